"""What a stack's status says, written when it differs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from firewatch.api.conditions import Finding, merge_conditions
from firewatch.api.resource import Object
from firewatch.api.stack import (
    ComponentStatus,
    JobStatus,
    MetricSize,
    MonitoringStackStatus,
    PackStatus,
    StackRetention,
    VolumeStatus,
)
from firewatch.api.synthetic import CheckStatus
from firewatch.api.visualization import VisualizationStatus
from firewatch.build.retention import RetentionInForce
from firewatch.cluster.errors import absent_is_fine
from firewatch.cluster.kinds import MONITORING_STACK
from firewatch.cluster.status import write_status
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import read_status
from firewatch.reconcile.targets import summarize_jobs


@dataclass(frozen=True)
class Shown:
    """What a stack's status shows besides its conditions."""

    rows: Sequence[ComponentStatus] = ()
    jobs: Sequence[JobStatus] = ()
    packs: Sequence[PackStatus] = ()
    health_checks: Sequence[CheckStatus] = ()
    journeys: Sequence[CheckStatus] = ()
    volumes: Sequence[VolumeStatus] = ()
    largest: Sequence[MetricSize] = ()
    url: str | None = None
    retention: RetentionInForce | None = None
    visualization: VisualizationStatus | None = None
    confirmed: str = ""
    """Hash of the configuration that Prometheus has confirmed last."""


async def report_stack(
    context: Context, live: Object, findings: Sequence[Finding], shown: Shown | None = None
) -> None:
    """Write the status of a stack."""
    before = read_status(MonitoringStackStatus, live)
    generation = live["metadata"]["generation"]
    shown = shown or Shown(
        confirmed=before.loaded_configuration, visualization=before.visualization
    )
    status = MonitoringStackStatus(
        observed_generation=generation,
        conditions=merge_conditions(
            before.conditions, findings, generation=generation, now=context.clock()
        ),
        components=[*shown.rows],
        targets=summarize_jobs(shown.jobs),
        jobs=[*shown.jobs],
        packs=[*shown.packs],
        health_checks=[*shown.health_checks],
        journeys=[*shown.journeys],
        volumes=[*shown.volumes],
        largest_metrics=[*shown.largest],
        prometheus_url=shown.url,
        loaded_configuration=shown.confirmed,
        retention=StackRetention(**asdict(shown.retention)) if shown.retention else None,
        rules=before.rules,
        alerting=before.alerting,
        visualization=shown.visualization,
    )
    with absent_is_fine():
        await write_status(context.cluster, MONITORING_STACK, live, status)

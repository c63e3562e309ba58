"""MonitoringStack: what monitoring runs in a namespace."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from firewatch.api.resource import (
    Column,
    Conditions,
    ConditionStatus,
    CustomKind,
    Interval,
    LabelName,
    Model,
    Rule,
    Status,
    parse_duration,
    rules,
)
from firewatch.api.workload import Placement, Storage

LabelValue = Annotated[str, Field(max_length=256)]
Target = Annotated[
    str,
    Field(pattern=r"^[^\s/:]+(:[0-9]{1,5})?$|^\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?$", max_length=320),
]
"""``host`` or ``host:port``."""


class Scheme(StrEnum):
    """Protocol of a scrape."""

    HTTP = "http"
    HTTPS = "https"


class ScrapeJob(Model):
    """One job of Prometheus: where metrics are read, and how often."""

    name: str = Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]*$", min_length=1, max_length=63)
    """Name of the job; it becomes the label ``job``. ``prometheus`` and ``node`` are taken."""
    targets: list[Target] = Field(min_length=1, max_length=256)
    """Addresses to scrape, as ``host:port``; hosts are resolved in the stack's namespace."""
    path: str = Field(default="/metrics", pattern=r"^/[^\s?#]*$", max_length=1024)
    """HTTP path of the metrics."""
    scheme: Scheme = Scheme.HTTP
    """``http`` or ``https``."""
    interval: Interval | None = None
    """How often; the stack's ``scrapeInterval`` when left out."""
    timeout: Interval | None = None
    """How long one scrape may take; Prometheus' 10s, or the interval if shorter, when left out."""
    labels: dict[LabelName, LabelValue] = Field(default={}, max_length=32)
    """Labels added to every series of these targets."""


class Retention(Model):
    """How long Prometheus keeps samples; whichever limit is reached first deletes."""

    time: Interval = "15d"
    """Oldest sample kept."""
    size: str | None = Field(default=None, pattern=r"^[0-9]+(MB|GB|TB|PB)$", max_length=16)
    """Largest total of all blocks, in Prometheus' units, for example ``40GB``."""


class Metrics(
    Placement,
    json_schema_extra=rules(
        Rule(
            "!has(self.scrapeJobs) || self.scrapeJobs.all(j, !(j.name in ['prometheus', 'node']))",
            "scrapeJobs: the names prometheus and node belong to jobs of the stack itself",
        ),
    ),
):
    """A Prometheus server with its volume and its jobs."""

    storage: Storage | None = None
    """Volume for the samples; without it they are lost when the pod is rescheduled."""
    retention: Retention = Retention()
    """How long samples are kept."""
    external_labels: dict[LabelName, LabelValue] = Field(default={}, max_length=32)
    """Labels added to everything that leaves this Prometheus (alerts, remote data)."""
    scrape_interval: Interval = "15s"
    """How often jobs are scraped that do not say otherwise."""
    evaluation_interval: Interval = "15s"
    """How often rules are evaluated whose group does not say otherwise."""
    scrape_jobs: list[ScrapeJob] = Field(
        default=[],
        max_length=256,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """What is scraped besides Prometheus itself and the stack's exporters."""

    @model_validator(mode="after")
    def _timeouts_fit_intervals(self) -> Self:
        # Not a CEL rule: CEL's duration() does not know days and weeks.
        for job in self.scrape_jobs:
            interval = job.interval or self.scrape_interval
            if job.timeout and parse_duration(job.timeout) > parse_duration(interval):
                raise ValueError(
                    f"scrapeJobs: job {job.name}: timeout {job.timeout} is longer than the interval"
                    f" {interval}; lower it or raise the interval"
                )
        return self


class NodeExporter(Placement):
    """Metrics of the machines, from a DaemonSet that sees the host read-only.

    It needs host network, host PID and a read-only mount of the host's root, so the namespace must
    allow the Pod Security level ``privileged``. It tolerates every taint unless ``tolerations`` is
    given.
    """

    port: int = Field(default=9100, ge=1, le=65535)
    """Port on every node."""


class Exporters(Model):
    """Programs that turn what they see into metrics."""

    node: NodeExporter | None = None
    """node_exporter on every node, scraped as the job ``node``."""


class MonitoringStackSpec(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.exporters) || !has(self.exporters.node) || has(self.metrics)",
            "exporters.node needs metrics: nothing would scrape it",
        )
    ),
):
    """What monitoring runs in this namespace; every block can be left out."""

    metrics: Metrics | None = None
    """Prometheus."""
    exporters: Exporters = Exporters()
    """Exporters, each scraped by the stack's Prometheus."""


class ComponentStatus(Status):
    """One workload of the stack."""

    name: str = Field(max_length=64)
    """prometheus or node-exporter."""
    ready: ConditionStatus
    """Whether every pod that should run is ready and up to date."""
    pods: str = Field(max_length=32)
    """Ready pods of wanted pods, as ``1/1``."""
    message: str = Field(default="", max_length=1024)
    """What is missing, when something is."""


class RulesStatus(Status):
    """Rules that the stack's Prometheus runs for AlertPolicies."""

    policies: int = Field(default=0, ge=0)
    """AlertPolicies that belong to this stack."""
    loaded: int = Field(default=0, ge=0)
    """AlertPolicies whose rules the server has confirmed."""


class MonitoringStackStatus(Status):
    """What the operator has seen and done; written by the operator only."""

    observed_generation: int | None = Field(default=None, ge=0)
    """The ``metadata.generation`` that this status speaks of."""
    conditions: Conditions = Field(default=[])
    """Accepted, Applied, Available (pods run), Loaded (Prometheus confirms its configuration), Ready
    (all of them).
    """
    components: list[ComponentStatus] = Field(
        default=[],
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """The workloads of the stack."""
    prometheus_url: str | None = Field(default=None, max_length=512)
    """Address of Prometheus inside the cluster."""
    rules: RulesStatus = RulesStatus()
    """AlertPolicies of this stack."""


MONITORING_STACK = CustomKind(
    kind="MonitoringStack",
    plural="monitoringstacks",
    singular="monitoringstack",
    short="mstack",
    description="What monitoring runs in a namespace: Prometheus and its exporters.",
    spec=MonitoringStackSpec,
    status=MonitoringStackStatus,
    columns=(
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Policies", ".status.rules.policies", type="integer"),
        Column("Loaded", ".status.rules.loaded", type="integer"),
        Column("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
    rules=(
        Rule(
            "size(self.metadata.name) <= 63",
            "metadata.name: at most 63 characters, since it is a label of every object of the stack",
        ),
    ),
)

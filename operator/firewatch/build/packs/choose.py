"""Which packs of rules run on a stack: those of which there is what they speak of."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from firewatch.api.packs import Pack
from firewatch.build.cluster_scope import granted_kube_state_metrics
from firewatch.build.objects import Stack
from firewatch.build.packs.alert import Alert
from firewatch.build.packs.application import (
    REQUESTS,
    SUCCESSES,
    api_alerts,
    coordination_alerts,
    throughput_rules,
)
from firewatch.build.packs.database import database_alerts
from firewatch.build.packs.kubernetes import kubernetes_alerts
from firewatch.build.packs.monitoring import (
    alertmanager_alerts,
    prometheus_alerts,
    watchdog_alerts,
)
from firewatch.build.packs.node import node_alerts
from firewatch.build.packs.own import LEADING, firewatch_alerts, grafana_alerts
from firewatch.build.packs.synthetic import synthetic_alerts
from firewatch.build.rule_text import render_rule_file
from firewatch.build.rules import RESERVED_PREFIX
from firewatch.build.surroundings import Surroundings

Alerts = Callable[[Any], Iterable[Alert]]
"""Makes the alerts of a pack from its block."""


@dataclass(frozen=True)
class _Subject:
    """What a pack speaks of."""

    name: str
    """Name of the pack and of its block."""
    alerts: Alerts
    needs: str = ""
    """What has to be there, in words; empty for what always is."""
    is_there: Callable[[Stack, Surroundings], object] = lambda _stack, _surroundings: True
    metric: str = ""
    """Metric that has to have been seen."""


_SUBJECTS = (
    _Subject("node", node_alerts, "exporters.node", lambda stack, _: stack.spec.exporters.node),
    _Subject(
        "kubernetes",
        kubernetes_alerts,
        "exporters.kubeStateMetrics, in a namespace of clusterStacks.namespaces of the chart",
        granted_kube_state_metrics,
    ),
    _Subject("api", api_alerts, metric=REQUESTS),
    _Subject("coordination", coordination_alerts, metric=SUCCESSES),
    _Subject(
        "database",
        database_alerts,
        "exporters.postgres",
        lambda stack, _: stack.spec.exporters.postgres,
    ),
    _Subject(
        "synthetic",
        synthetic_alerts,
        "synthetic.probes or synthetic.healthChecks",
        lambda stack, _: stack.spec.synthetic.probes or stack.spec.synthetic.health_checks,
    ),
    _Subject("prometheus", prometheus_alerts),
    _Subject("alertmanager", alertmanager_alerts, "alerting", lambda stack, _: stack.spec.alerting),
    _Subject("grafana", grafana_alerts, "visualization", lambda stack, _: stack.spec.visualization),
    _Subject("firewatch", firewatch_alerts, metric=LEADING),
    _Subject("watchdog", watchdog_alerts),
)


@dataclass(frozen=True)
class ChosenPack:
    """A pack, and whether its rules run."""

    name: str
    alerts: Sequence[Alert]
    why_not: str = ""
    """What is missing, or that it is turned off; empty if its rules run."""
    awaited: str = ""
    """Metric that has not been seen yet, if that is what is missing."""


def choose_packs(stack: Stack, surroundings: Surroundings) -> list[ChosenPack]:
    """Return every pack of a stack in a fixed order; none if it asks for none."""
    wanted = stack.spec.packs
    if wanted is None or stack.spec.metrics is None:
        return []
    blocks: dict[str, Pack] = {subject.name: getattr(wanted, subject.name) for subject in _SUBJECTS}
    return [_choose(subject, blocks[subject.name], stack, surroundings) for subject in _SUBJECTS]


def _choose(subject: _Subject, block: Pack, stack: Stack, surroundings: Surroundings) -> ChosenPack:
    alerts = [*subject.alerts(block)]
    if not block.enabled:
        return ChosenPack(subject.name, alerts, "it is turned off")
    if not subject.is_there(stack, surroundings):
        return ChosenPack(subject.name, alerts, f"it needs {subject.needs}")
    if subject.metric and subject.name not in surroundings.running_packs:
        why = f"{subject.metric} has not been seen yet; name its program in metrics.scrapeJobs"
        return ChosenPack(subject.name, alerts, why, awaited=subject.metric)
    return ChosenPack(subject.name, alerts)


def render_packs(stack: Stack, surroundings: Surroundings) -> str | None:
    """Return the rule file of the packs that run; None if none does."""
    url = stack.spec.packs.runbook_url if stack.spec.packs else None
    running = [pack for pack in choose_packs(stack, surroundings) if not pack.why_not]
    groups = [
        {
            "name": f"{RESERVED_PREFIX}pack:{pack.name}",
            "rules": [alert.rule(pack.name, url) for alert in pack.alerts],
        }
        for pack in running
    ]
    if any(pack.name == "api" for pack in running):
        groups.append({"name": f"{RESERVED_PREFIX}throughput", "rules": throughput_rules()})
    return render_rule_file(groups) if groups else None

"""What is different for a stack whose Prometheus others run (pure)."""

from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names
from firewatch.build.objects import Stack


def has_prometheus(spec: MonitoringStackSpec) -> bool:
    """Tell whether there is a Prometheus that evaluates rules, the stack's own or another's."""
    return spec.metrics is not None or spec.external.prometheus is not None


def marker_owner(stack: Stack) -> str:
    """Return what tells a stack's marker files from those of others; nothing if it shares no server."""
    if stack.spec.external.prometheus is None:
        return ""
    return names.short_hash(f"{stack.namespace}/{stack.name}")


def rule_labels(stack: Stack) -> dict[str, str]:
    """Return the labels by which another's Prometheus finds the rule ConfigMaps."""
    server = stack.spec.external.prometheus
    return {**server.rule_labels} if server else {}

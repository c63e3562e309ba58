"""Relabelling in Prometheus' words."""

from collections.abc import Sequence

from firewatch.api.relabeling import Relabeling
from firewatch.api.resource import Object


def relabelings(steps: Sequence[Relabeling]) -> list[Object]:
    """Return steps as a list for ``relabel_configs`` and its like."""
    return [_step(step) for step in steps]


def _step(step: Relabeling) -> Object:
    fields = {
        "source_labels": [*step.source_labels] or None,
        "separator": step.separator,
        "regex": step.regex,
        "modulus": step.modulus,
        "target_label": step.target_label,
        "replacement": step.replacement,
        "action": step.action.value,
    }
    return {name: value for name, value in fields.items() if value is not None}

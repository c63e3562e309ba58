"""Thresholds as alerting rules: expressions that mean what their words say.

docs/thresholds.md says in which way each differs from the runbook's own expression, and promtool
proves it (tests/golden/test_thresholds.py).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from firewatch.api.alerts import PrometheusRule
from firewatch.api.thresholds import FileSystems, Outcomes, Ratio, Requests, Signal, Threshold
from firewatch.api.triggers import Preset
from firewatch.build.promql import aggregate, equal, number, quote, selector

PRESET_LABEL = "firewatch_preset"
_WINDOW = "5m"
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


@dataclass(frozen=True)
class _Shape:
    """What all thresholds of a signal have in common."""

    name: str
    """Of the alert, as in the runbook."""
    preset: Preset
    expression: Callable[[Threshold], str]
    """Builds the part of the expression in front of the limit, and what stands behind it."""
    summary: str
    subject: str
    """What the value is a share of, for people."""


def build_threshold_rule(threshold: Threshold) -> PrometheusRule:
    """Return the alerting rule that a threshold stands for."""
    shape = _SHAPES[threshold.signal]
    return PrometheusRule(
        alert=threshold.name or shape.name,
        expr=shape.expression(threshold),
        for_=threshold.for_,
        labels={"severity": threshold.severity.value, PRESET_LABEL: shape.preset.value},
        annotations={
            "summary": shape.summary + _place(threshold),
            "description": _description(threshold, shape.subject),
        },
    )


def _place(threshold: Threshold) -> str:
    """Return where it is, for people: the labels that the alert has."""
    match threshold.signal:
        case Signal.CPU | Signal.MEMORY:
            labels = ["instance"]
        case Signal.DISK:
            labels = ["instance", "mountpoint"]
        case Signal.ERROR_RATE:
            labels = (threshold.requests or Requests()).by
        case Signal.FAILURE_RATE:
            labels = (threshold.outcomes or Outcomes()).by
    places = " ".join(f"{{{{ $labels.{label} }}}}" for label in labels)
    return f": {places}" if places else ""


def _description(threshold: Threshold, subject: str) -> str:
    side = "below" if threshold.signal is Signal.DISK else "above"
    window = "" if threshold.signal in _GAUGES else f" over the last {_window(threshold)}"
    value = '{{ printf "%.1f" $value }} %'
    return (
        f"{subject.format(value=value)}{window}, {side} {_limit(threshold)} % for {threshold.for_}."
    )


def _cpu(threshold: Threshold) -> str:
    idle = _rate("node_cpu_seconds_total", threshold, ['mode="idle"'])
    return f"100 * (1 - avg by (instance) ({idle})) > {_limit(threshold)}"


def _memory(threshold: Threshold) -> str:
    available = _series("node_memory_MemAvailable_bytes", threshold)
    total = _series("node_memory_MemTotal_bytes", threshold)
    return f"100 * (1 - {available} / {total}) > {_limit(threshold)}"


def _disk(threshold: Threshold) -> str:
    # The filter need stand only once: the operators take series of the same labels together.
    chosen = _file_systems(threshold.file_systems or FileSystems())
    available = _series("node_filesystem_avail_bytes", threshold, chosen)
    size = _series("node_filesystem_size_bytes", threshold)
    readonly = _series("node_filesystem_readonly", threshold)
    return f"100 * {available} / {size} < {_limit(threshold)} and {readonly} == 0"


def _error_rate(threshold: Threshold) -> str:
    wanted = threshold.requests or Requests()
    failed = [f"{wanted.error_label}=~{quote(wanted.error_pattern)}"]
    errors = _sum(wanted, _rate(wanted.metric, threshold, failed))
    total = _sum(wanted, _rate(wanted.metric, threshold))
    return _share(threshold, wanted, part=errors, whole=total)


def _failure_rate(threshold: Threshold) -> str:
    wanted = threshold.outcomes or Outcomes()
    failures = _sum(wanted, _rate(wanted.failures, threshold))
    successes = _sum(wanted, _rate(wanted.successes, threshold))
    # A job that has never succeeded may not have the series of successes at all.
    whole = f"({failures} + ({successes} or 0 * {failures}))"
    return _share(threshold, wanted, part=failures, whole=whole)


def _share(threshold: Threshold, wanted: Ratio, *, part: str, whole: str) -> str:
    share = f"100 * {part} / {whole} > {_limit(threshold)}"
    return f"{share} and {whole} >= {number(wanted.min_rate)}" if wanted.min_rate else share


def _sum(wanted: Ratio, expression: str) -> str:
    return aggregate("sum", expression, by=wanted.by)


def _rate(metric: str, threshold: Threshold, matchers: Iterable[str] = ()) -> str:
    return f"rate({_series(metric, threshold, matchers)}[{_window(threshold)}])"


def _series(metric: str, threshold: Threshold, matchers: Iterable[str] = ()) -> str:
    return selector(metric, [*matchers, *equal(threshold.match)])


def _file_systems(wanted: FileSystems) -> list[str]:
    filters = (
        ("fstype", "!~", wanted.ignore_types),
        ("mountpoint", "=~", wanted.mount_points),
        ("mountpoint", "!~", wanted.ignore_mount_points),
    )
    return [f"{name}{sign}{quote(_any_of(values))}" for name, sign, values in filters if values]


def _any_of(values: Iterable[str]) -> str:
    """Return the regular expression for one of these very texts."""
    return "|".join(_META.sub(r"\\\g<0>", value) for value in values)


def _window(threshold: Threshold) -> str:
    return threshold.window or _WINDOW


def _limit(threshold: Threshold) -> str:
    limit = threshold.below if threshold.signal is Signal.DISK else threshold.above
    assert limit is not None  # a CEL rule, and the check of the model
    return number(limit)


_GAUGES = frozenset({Signal.MEMORY, Signal.DISK})
_SHAPES: Mapping[Signal, _Shape] = {
    Signal.CPU: _Shape(
        "HighCPUUsage",
        Preset.CPU_HIGH,
        _cpu,
        "High CPU usage",
        "The CPU was {value} busy",
    ),
    Signal.MEMORY: _Shape(
        "HighMemoryUsage",
        Preset.MEMORY_HIGH,
        _memory,
        "High memory usage",
        "{value} of the memory is in use",
    ),
    Signal.DISK: _Shape(
        "DiskSpaceLow",
        Preset.DISK_LOW,
        _disk,
        "Low disk space",
        "{value} of the space is left",
    ),
    Signal.ERROR_RATE: _Shape(
        "APIHighErrorRate",
        Preset.ERROR_RATE_HIGH,
        _error_rate,
        "High error rate",
        "{value} of the requests failed",
    ),
    Signal.FAILURE_RATE: _Shape(
        "AgentCoordinationFailures",
        Preset.FAILURE_RATE_HIGH,
        _failure_rate,
        "High failure rate",
        "{value} of the attempts failed",
    ),
}

"""Alerts on the application, by the runbook's families."""

from collections.abc import Iterator

from firewatch.api.packs import ApiPack, CoordinationPack
from firewatch.api.resource import Object
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number

REQUESTS = "freeagentics_requests_total"
SUCCESSES = "freeagentics_agent_coordination_success_total"
_FAILURES = "freeagentics_agent_coordination_failures_total"
_DURATIONS = "freeagentics_request_duration_seconds"


def api_alerts(wanted: ApiPack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``api``."""
    rate = f"sum by (job) (rate({REQUESTS}[5m]))"
    errors = f'sum by (job) (rate({REQUESTS}{{status=~"5.."}}[5m]))'
    enough = f"{rate} > {number(wanted.min_rate)}"
    yield Alert(
        "ApiErrorsHigh",
        f"100 * {errors} / ({enough}) > {number(wanted.error_percent)}",
        "4m",
        CRITICAL,
        "{{ $labels.job }} answers many requests with errors.",
        '{{ $value | printf "%.1f" }} percent of its answers have a status from 500 on.',
    )
    slow = f"histogram_quantile(0.95, sum by (job, le) (rate({_DURATIONS}_bucket[5m])))"
    yield Alert(
        "ApiSlow",
        f"{slow} > {number(wanted.latency_seconds)} and ({enough})",
        "4m",
        WARNING,
        "{{ $labels.job }} is slow.",
        'One request in twenty takes longer than {{ $value | printf "%.2f" }} seconds.',
    )
    yield Alert(
        "ApiWithoutRequests",
        f"sum by (job) (rate({REQUESTS}[15m])) == 0"
        f" and sum by (job) (rate({REQUESTS}[1h] offset 1h)) > {number(wanted.min_rate)}",
        "5m",
        WARNING,
        "{{ $labels.job }} gets no requests any more.",
        "An hour ago it did. Perhaps they do not reach it.",
    )


def throughput_rules() -> list[Object]:
    """Return the recording rules of the runbook's names of throughput: each is a counter's rate."""
    return [
        {
            "record": f"freeagentics_{what}_per_second",
            "expr": f"sum by (job, instance) (rate(freeagentics_{what}_total[5m]))",
        }
        for what in ("requests", "transactions", "agent_actions")
    ]


def coordination_alerts(wanted: CoordinationPack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``coordination``."""
    failed = f"sum by (job) (rate({_FAILURES}[5m]))"
    tried = f"({failed} + sum by (job) (rate({SUCCESSES}[5m])))"
    yield Alert(
        "CoordinationFailing",
        f"100 * {failed} / ({tried} > {number(wanted.min_rate)})"
        f" > {number(wanted.failure_percent)}",
        "4m",
        WARNING,
        "Agents of {{ $labels.job }} often fail to coordinate.",
        '{{ $value | printf "%.1f" }} percent of their attempts fail.',
    )
    yield Alert(
        "CoordinationStopped",
        f"sum by (job) (rate({SUCCESSES}[15m])) == 0"
        f" and sum by (job) (rate({SUCCESSES}[1h] offset 1h)) > {number(wanted.min_rate)}",
        "5m",
        WARNING,
        "Agents of {{ $labels.job }} do not coordinate any more.",
        "An hour ago they did.",
    )

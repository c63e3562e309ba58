"""Pieces of queries that dashboards have in common."""

from dashboards.parts import CHOSEN, RANGE


def chosen(metric: str, *matchers: str) -> str:
    """Return the series of a metric that are chosen above the dashboard."""
    return f"{metric}{{{', '.join((CHOSEN, *matchers))}}}"


def rate(metric: str, *matchers: str) -> str:
    """Return the increase of a counter per second."""
    return f"rate({chosen(metric, *matchers)}{RANGE})"


def total(metric: str, *matchers: str, by: str = "") -> str:
    """Return the sum of a counter's increase per second."""
    return f"sum{_by(by)} ({rate(metric, *matchers)})"


def of(subject: str, expression: str) -> str:
    """Return only what is of the programs that have the metric ``subject``.

    All jobs being chosen means every job there is, and a process has the same metrics in each.
    """
    return f"{expression} and on (job, instance) group by (job, instance) ({chosen(subject)})"


def quantile(share: float, histogram: str, *matchers: str, by: str = "") -> str:
    """Return a quantile of a histogram, of all of its series together.

    Buckets are added up before: the mean of percentiles is a percentile of nothing.
    """
    labels = f"le, {by}" if by else "le"
    inner = total(f"{histogram}_bucket", *matchers, by=labels)
    return f"histogram_quantile({share:g}, {inner})"


def percentiles(histogram: str) -> tuple[tuple[str, str], ...]:
    """Return the queries of the runbook's three percentiles, with their names."""
    return tuple((quantile(share, histogram), f"p{100 * share:g}") for share in (0.5, 0.95, 0.99))


def error_ratio(*matchers: str) -> str:
    """Return the share of the API's answers with a status from 500 on.

    Both sides are added up first; where there is no error yet, there is no series of any.
    """
    requests = "freeagentics_requests_total"
    failed = total(requests, *matchers, 'status=~"5.."')
    return f"({failed} or vector(0)) / {total(requests, *matchers)}"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


CPU_IN_USE = "100 - 100 * avg by (instance) (" + rate("node_cpu_seconds_total", 'mode="idle"') + ")"
"""Part of the time in which the CPUs of a machine are not idle, in percent."""
MEMORY_IN_USE = (
    f"100 - 100 * {chosen('node_memory_MemAvailable_bytes')}"
    f" / {chosen('node_memory_MemTotal_bytes')}"
)
"""Memory of a machine that no program could be given, in percent."""
COORDINATED = total("freeagentics_agent_coordination_success_total")
NOT_COORDINATED = total("freeagentics_agent_coordination_failures_total")
COORDINATION_SUCCESS = f"{COORDINATED} / ({COORDINATED} + {NOT_COORDINATED})"

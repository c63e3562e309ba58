"""What pods have answered, as their counters at Prometheus say (pure)."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from firewatch.api.circuit_breaker import Measure
from firewatch.api.conditions import parse_time
from firewatch.api.resource import Key, Object
from firewatch.build.promql import quote
from firewatch.respond.circuit.world import Traffic

POD = "pod"
"""Label by which series tell the pod that they are of."""
Counts = Mapping[str, float]
"""Values of a counter by pod."""
_NOTHING = Traffic(0, 0)
_FIRST_SCRAPE = timedelta(minutes=1)
"""How long after its start a program is scraped for the first time, at the latest."""


class Queries(NamedTuple):
    """PromQL expressions, each with one series for each pod that is scraped."""

    requests: str
    errors: str
    requests_before: str
    """The same as they were at the beginning of the window."""
    errors_before: str


class Counters(NamedTuple):
    """What Prometheus answers to them."""

    requests: Counts
    errors: Counts
    requests_before: Counts
    errors_before: Counts


Counting = Callable[[Key, Queries], Awaitable[Counters | str]]
"""Asks a source of alerts; returns why that could not be, where it could not."""


def build_queries(measure: Measure, namespace: str) -> Queries:
    """Return what to ask for."""
    scope = f"namespace={quote(namespace)}"
    failed = f"{scope},{measure.error_label}=~{quote(measure.error_pattern)}"
    earlier = f" offset {measure.window}"

    def query(matchers: str, offset: str = "") -> str:
        return f"sum by ({POD}) ({measure.metric}{{{matchers}}}{offset})"

    return Queries(query(scope), query(failed), query(scope, earlier), query(failed, earlier))


def counters(requests: Counts, errors: Counts) -> dict[str, Traffic]:
    """Return what pods have answered since their counters began; no series of errors is no error."""
    return {pod: Traffic(count, errors.get(pod, 0.0)) for pod, count in requests.items() if pod}


def since(
    now: Mapping[str, Traffic], before: Mapping[str, Traffic], young: Collection[str]
) -> dict[str, Traffic]:
    """Return what pods have answered since earlier counts.

    ``young`` are the pods that may not have been scraped by then, and began at nought. Of others without a
    count nothing is told: they were not scraped, and what they count may be of days ago.
    """
    return {
        pod: _more(traffic, before.get(pod, _NOTHING))
        for pod, traffic in now.items()
        if pod in before or pod in young
    }


def young(pods: Iterable[Object], moment: datetime) -> set[str]:
    """Return the names of the pods whose programs may not have been scraped before a moment.

    A program is scraped some time after it has started; until then it has no count to compare with.
    """
    return {pod["metadata"]["name"] for pod in pods if _started(pod) > moment - _FIRST_SCRAPE}


def _started(pod: Object) -> datetime:
    """Return when the first of a pod's containers that run started; when it was made, if none runs."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    running = (each.get("state", {}).get("running") for each in statuses)
    times = [state["startedAt"] for state in running if state and state.get("startedAt")]
    return min(map(parse_time, times or [pod["metadata"]["creationTimestamp"]]))


def _more(now: Traffic, before: Traffic) -> Traffic:
    if now.requests < before.requests or now.errors < before.errors:
        return now  # a container that was started again counts from nought
    return Traffic(now.requests - before.requests, now.errors - before.errors)

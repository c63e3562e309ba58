"""The runbook's five API metric families, each proved by a query to Prometheus."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from e2e.demo.api import Prometheus
from e2e.demo.names import API_JOB, NAMESPACE, DemoError
from e2e.kubectl import NeverError, wait_for

_ADDED = frozenset({"__name__", "job", "instance", "le"})
"""Labels that come from Prometheus and from the form of a histogram, not from the program."""


@dataclass(frozen=True)
class Family:
    """A metric family as the runbook's section "API Metrics" declares it."""

    name: str
    type: str
    labels: frozenset[str] = frozenset()

    @property
    def series(self) -> tuple[str, ...]:
        """Return the names of its series."""
        if self.type == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


FAMILIES = (
    Family("freeagentics_requests_total", "counter", frozenset({"method", "endpoint", "status"})),
    Family("freeagentics_request_duration_seconds", "histogram", frozenset({"method", "endpoint"})),
    Family("freeagentics_active_connections", "gauge"),
    Family("freeagentics_agent_coordination_success_total", "counter"),
    Family("freeagentics_agent_coordination_failures_total", "counter"),
)


@dataclass(frozen=True)
class Proof:
    """A family that Prometheus has, and how many series of it."""

    family: Family
    series: int


def prove_families(prometheus: Prometheus) -> Iterator[Proof]:
    """Find each family of the API's job, with its type and exactly its labels."""
    for family in FAMILIES:
        try:
            yield wait_for(family.name, partial(_prove, prometheus, family), seconds=60)
        except NeverError as error:
            raise DemoError(
                f"Prometheus does not have the family {family.name} as the runbook has it: {error}",
                f"kubectl get pods,endpoints -n {NAMESPACE}",
                f"Prometheus' page Status > Target health, job {API_JOB}",
            ) from error


def _prove(prometheus: Prometheus, family: Family) -> Proof:
    assert _type(prometheus, family) == family.type, "no such type in the metadata"
    count = 0
    for name in family.series:
        found = prometheus.ask("query", query=f'{name}{{job="{API_JOB}"}}')["result"]
        assert found, f"no series {name}"
        for series in found:
            assert frozenset(series["metric"]) - _ADDED == family.labels, series["metric"]
        count += len(found)
    return Proof(family, count)


def _type(prometheus: Prometheus, family: Family) -> str:
    """Return a family's type; OpenMetrics names a counter's family without its `_total`."""
    for name in (family.name, family.name.removesuffix("_total")):
        for entry in prometheus.ask("metadata", metric=name).get(name, ()):
            return str(entry["type"])
    return ""

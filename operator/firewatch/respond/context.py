"""What the responding half works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from firewatch.api.resource import Key
from firewatch.cluster.absent import AbsentKinds
from firewatch.cluster.client import Cluster
from firewatch.metrics import Metrics
from firewatch.respond.circuit.measure import Counters, Counting, Queries
from firewatch.respond.registry import Registry, Sources
from firewatch.settings import Settings


async def nothing_counted(_source: Key, _queries: Queries) -> Counters | str:
    """Return that nobody can be asked what pods have answered."""
    return "no Prometheus is asked"


@dataclass(frozen=True)
class RespondContext:
    """Dependencies of receiver, polls and targets."""

    cluster: Cluster
    settings: Settings
    metrics: Metrics
    clock: Callable[[], datetime]
    """The present time in UTC."""
    wake: Callable[[Key], None]
    registry: Registry
    sources: Sources
    absent: AbsentKinds = field(default_factory=AbsentKinds)
    others_wait: Callable[[], bool] = lambda: False
    """Whether more targets are to be looked at than can be at a time."""
    count: Counting = nothing_counted
    """Returns what pods have answered, as their counters say."""

"""What a mechanism would do, or why it cannot (data, and what several of them need)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from firewatch.api.circuit import BreakerRecord
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.respond.circuit.world import Service, Traffic, World

MOST_PODS = 64
"""By so many pods, in the order of their names, all of the traffic is judged."""


class Obstacle(NamedTuple):
    """Why a mechanism cannot be used now."""

    reason: str
    message: str
    """For people, with the remedy."""


@dataclass(frozen=True)
class Plan:
    """What a mechanism would do."""

    mechanism: Mechanism
    does: str
    """For people: what follows after "would"."""
    service: str = ""
    """The Service whose traffic it is, where there is one."""
    shares: tuple[str, ...] = ("",)
    """What is tried one after the other: names of pods, or one share without a name."""
    revision: str = ""
    """The ReplicaSet whose pod template the target is given back, if that is what it does."""


def find_service(world: World, wanted: CircuitBreaker) -> Service | Obstacle:
    """Return the Service that leads to the target."""
    who = str(world.target)
    leading = [each for each in world.services if any(map(each.selects, world.target.pods))]
    if wanted.service is not None:
        named = [each for each in leading if each.name == wanted.service]
        if named:
            return named[0]
        message = f"Service {wanted.service} does not lead to {who}; set circuitBreaker.service"
        return Obstacle("NoService", message)
    if len(leading) == 1:
        return leading[0]
    if not leading:
        return Obstacle("NoService", f"no Service leads to {who}; it takes one to divert traffic")
    names = ", ".join(sorted(each.name for each in leading))
    message = f"Services {names} lead to {who}; set circuitBreaker.service to one of them"
    return Obstacle("AmbiguousService", message)


def service_of(record: BreakerRecord, world: World) -> Service | None:
    """Return the Service whose traffic a breaker takes off, unless that is gone."""
    return next((each for each in world.services if each.name == record.service), None)


def nothing_lost(_record: BreakerRecord, _world: World) -> str:
    """Return that a breaker has all that it needs."""
    return ""


def service_gone(record: BreakerRecord, world: World) -> str:
    """Return that the Service of a breaker is gone, if so."""
    return f"Service {record.service} is gone" if service_of(record, world) is None else ""


def all_ready(_record: BreakerRecord, world: World) -> list[str]:
    """Return the pods that answer what is tried where that is all of the traffic."""
    return [pod.name for pod in world.target.ready][:MOST_PODS]


def total(traffic: Mapping[str, Traffic], pods: Iterable[str]) -> Traffic:
    """Return what pods of these names have answered together, as far as that is known."""
    found = [traffic[name] for name in pods if name in traffic]
    return Traffic(sum(each.requests for each in found), sum(each.errors for each in found))


def error_ratio(traffic: Mapping[str, Traffic] | None, pods: Iterable[str]) -> float | None:
    """Return the share of the requests to pods that have failed; None if there were none."""
    found = total(traffic or {}, pods)
    return min(1.0, found.errors / found.requests) if found.requests else None


def fails(traffic: Traffic, wanted: CircuitBreaker) -> bool:
    """Tell whether so many requests have failed that it takes more than a few bad ones by chance."""
    measure = wanted.measure
    most = measure.good_below / 100 * max(traffic.requests, measure.min_requests)
    return traffic.errors > 0 and traffic.errors >= most


def find_too_little(world: World, wanted: CircuitBreaker) -> Obstacle | None:
    """Return that too little is known of what the target answers, if so."""
    if world.traffic is None:
        why = world.unmeasured or "nothing is known of them"
        return Obstacle(
            "NoMeasure", f"it cannot be told what the pods of {world.target} answer: {why}"
        )
    answered = total(world.traffic, (pod.name for pod in world.target.pods)).requests
    least, window = wanted.measure.min_requests, wanted.measure.window
    if answered < least:
        message = (
            f"{world.target} has answered {answered:.0f} requests within {window}, and"
            f" measure.minRequests is {least}: too few to tell"
        )
        return Obstacle("TooFewRequests", message)
    return None

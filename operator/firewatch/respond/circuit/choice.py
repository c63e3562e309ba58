"""Which mechanism a breaker uses (pure): the one that is asked for, or the least invasive that can work."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from firewatch.api.circuit import BreakerRecord
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.respond.circuit import fallback, flag, isolate, mesh, rollback, shed
from firewatch.respond.circuit.levers import Lever
from firewatch.respond.circuit.plan import Obstacle, Plan, all_ready, nothing_lost, service_gone
from firewatch.respond.circuit.world import World


class Way(NamedTuple):
    """How a mechanism works."""

    plan: Callable[[World, CircuitBreaker], Plan | Obstacle]
    """Returns what it would do."""
    wanted_in: Callable[[BreakerRecord, CircuitBreaker, World], Mapping[Lever, str | None]]
    """Returns what it holds in the phase of a record."""
    tried: Callable[[BreakerRecord, World], list[str]] = all_ready
    """Returns the names of the pods that answer what is tried."""
    serving: Callable[[BreakerRecord, World], list[str]] = all_ready
    """Returns the names of the pods that answer while it is open."""
    find_lost: Callable[[BreakerRecord, World], str] = nothing_lost
    """Returns what it cannot go on without, if that is gone; else nothing."""


WAYS: Mapping[Mechanism, Way] = {
    Mechanism.FLAG: Way(flag.plan, flag.wanted_in, find_lost=flag.find_lost),
    Mechanism.MESH: Way(mesh.plan, mesh.wanted_in, find_lost=mesh.find_lost),
    Mechanism.ISOLATE: Way(
        isolate.plan, isolate.wanted_in, isolate.tried, isolate.serving, service_gone
    ),
    Mechanism.FALLBACK: Way(
        fallback.plan, fallback.wanted_in, fallback.tried, fallback.serving, fallback.find_lost
    ),
    Mechanism.ROLLBACK: Way(rollback.plan, rollback.wanted_in, rollback.tried, rollback.serving),
    Mechanism.SHED: Way(shed.plan, shed.wanted_in),
}
"""The least invasive first."""


def choose(world: World, wanted: CircuitBreaker) -> Plan | Obstacle:
    """Return what would be done; of ``auto`` with why it is this and nothing that comes before it."""
    if wanted.mechanism is not Mechanism.AUTO:
        return WAYS[wanted.mechanism].plan(world, wanted)
    passed_over: list[str] = []
    for mechanism, way in WAYS.items():
        if not is_offered(mechanism, wanted):
            continue
        found = way.plan(world, wanted)
        if isinstance(found, Plan):
            why = f" ({'; '.join(passed_over)})" if passed_over else ""
            return replace(found, does=f"{found.does}{why}")
        passed_over.append(f"not {mechanism}: {found.message}")
    return Obstacle("NoMechanism", f"no mechanism can work: {'; '.join(passed_over)}")


def is_offered(mechanism: Mechanism, wanted: CircuitBreaker) -> bool:
    """Tell whether a mechanism is given at all; those that ask for nothing always are."""
    given = {
        Mechanism.FLAG: wanted.flag,
        Mechanism.FALLBACK: wanted.fallback,
        Mechanism.SHED: wanted.shed,
    }
    return mechanism not in given or given[mechanism] is not None

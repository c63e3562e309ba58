"""``shed`` (pure): fewer replicas, down to none, for who asks for it by name."""

from firewatch.api.circuit import BreakerRecord, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.respond.circuit.levers import Lever, as_text
from firewatch.respond.circuit.plan import Obstacle, Plan
from firewatch.respond.circuit.world import World

REPLICAS = "/spec/replicas"
"""Field of a target's scale."""


def plan(world: World, wanted: CircuitBreaker) -> Plan | Obstacle:
    """Return how many replicas would be left."""
    if wanted.shed is None:
        return Obstacle("NoShed", "circuitBreaker.shed says of no number of replicas")
    who, left = str(world.target), wanted.shed.replicas
    if world.scaled_by:
        message = (
            f"{world.scaled_by} scales {who} and would take 0 for switched off; use another way"
        )
        return Obstacle("Autoscaled", message)
    if world.replicas <= left:
        message = f"{who} has {world.replicas} replicas, and shed.replicas is {left}"
        return Obstacle("NothingToShed", message)
    return Plan(Mechanism.SHED, f"scale {who} {world.replicas} → {left}")


def wanted_in(
    record: BreakerRecord, wanted: CircuitBreaker, world: World
) -> dict[Lever, str | None]:
    """Return how many replicas there are to be: at least one while they are tried."""
    phase = record.circuit.phase
    if phase is Phase.CLOSED or wanted.shed is None:
        return {}
    left = wanted.shed.replicas if phase is Phase.OPEN else max(1, wanted.shed.replicas)
    return {Lever(world.target.kind, world.target.name, REPLICAS): as_text(left)}

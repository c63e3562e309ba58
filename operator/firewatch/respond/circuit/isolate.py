"""``isolate`` (pure): pods that fail leave their Service, and come back one at a time.

They leave by losing a label that the Service selects them by, and go on running. Where a ReplicaSet knows
its pods by the same label it lets go of such a pod and starts another; once the label is back it takes it
up again, and ends one too many.
"""

from firewatch.api.circuit import BreakerRecord, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.respond.circuit.levers import Lever, pointer
from firewatch.respond.circuit.plan import (
    Obstacle,
    Plan,
    fails,
    find_service,
    find_too_little,
    service_of,
)
from firewatch.respond.circuit.world import Pod, Service, Traffic, World

_NONE = Traffic(0, 0)


def plan(world: World, wanted: CircuitBreaker) -> Plan | Obstacle:
    """Return which pods would leave: those that fail, if they are not more than half."""
    service = find_service(world, wanted)
    if isinstance(service, Obstacle):
        return service
    if obstacle := find_too_little(world, wanted) or _find_owned(world, service):
        return obstacle
    endpoints = [pod for pod in world.target.ready if service.selects(pod)]
    failing = _failing(world, wanted, endpoints)
    if not failing:
        message = f"no single pod of {world.target} fails more than measure.goodBelow allows"
        return Obstacle("NoPodFails", message)
    if obstacle := _find_too_many(world, failing, endpoints):
        return obstacle
    names = tuple(pod.name for pod in failing)
    does = f"take {', '.join(names)} out of Service {service.name}"
    return Plan(Mechanism.ISOLATE, does, service.name, names)


def wanted_in(
    record: BreakerRecord, _wanted: CircuitBreaker, world: World
) -> dict[Lever, str | None]:
    """Return the labels that are to be missing: of all that wait, but of the one that is tried."""
    phase, service = record.circuit.phase, service_of(record, world)
    if phase is Phase.CLOSED or service is None:
        return {}
    waiting = record.shares[1:] if phase is Phase.HALF_OPEN else record.shares
    field = pointer("metadata", "labels", _label(world, service))
    return {Lever("Pod", name, field): None for name in waiting}


def tried(record: BreakerRecord, _world: World) -> list[str]:
    """Return the pod that has come back."""
    return record.shares[:1]


def serving(record: BreakerRecord, world: World) -> list[str]:
    """Return the pods that have stayed."""
    service = service_of(record, world)
    return [pod.name for pod in world.target.ready if service and service.selects(pod)]


def _failing(world: World, wanted: CircuitBreaker, endpoints: list[Pod]) -> list[Pod]:
    """Return the pods that fail, the one that fails least first: it is tried first."""
    traffic = {pod.name: (world.traffic or {}).get(pod.name, _NONE) for pod in endpoints}
    found = [pod for pod in endpoints if fails(traffic[pod.name], wanted)]

    def ratio(pod: Pod) -> float:
        requests, errors = traffic[pod.name]
        return errors / requests

    return sorted(found, key=ratio)


def _find_too_many(world: World, failing: list[Pod], endpoints: list[Pod]) -> Obstacle | None:
    most = len(endpoints) // 2
    if len(failing) > most:
        message = (
            f"{len(failing)} of {len(endpoints)} pods of {world.target} fail, and at most half may"
            " leave: it is not a matter of single pods; look for what they have in common"
        )
        return Obstacle("TooManyFail", message)
    allowed = world.disruptions_allowed
    if allowed is not None and len(failing) > allowed:
        message = f"{len(failing)} pods of {world.target} fail, and its PodDisruptionBudget lets {allowed} go"
        return Obstacle("BudgetExhausted", message)
    return None


def _find_owned(world: World, service: Service) -> Obstacle | None:
    if world.target.kind == "Deployment" or _label(world, service) not in world.target.selector:
        return None
    message = (
        f"{world.target} and Service {service.name} know the pods by the same labels, and another pod of"
        " the same name cannot be made; give the pods, and the selector of the Service, one more label"
    )
    return Obstacle("LabelIsOwned", message)


def _label(world: World, service: Service) -> str:
    """Return the label to take off: one that only the Service goes by, if there is any."""
    return min(service.selector, key=lambda label: (label in world.target.selector, label))

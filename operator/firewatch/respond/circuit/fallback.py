"""``fallback`` (pure): the Service selects other pods, and one of its own again while that is tried.

While one is tried, the Service selects by a label that it and the other pods are given for that time, so
each of them gets the same share.
"""

from firewatch.api.circuit import BreakerRecord, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.respond.circuit.levers import Lever, as_text, pointer
from firewatch.respond.circuit.plan import (
    Obstacle,
    Plan,
    find_service,
    find_too_little,
    service_gone,
    service_of,
)
from firewatch.respond.circuit.world import Backend, Pod, Service, World

SERVES = "monitoring.freeagentics.io/serves"
"""Label of pods, with the name of the Service: they answer for it while one is tried."""
_LABEL = pointer("metadata", "labels", SERVES)


def plan(world: World, wanted: CircuitBreaker) -> Plan | Obstacle:
    """Return what would answer instead."""
    if wanted.fallback is None:
        return Obstacle("NoFallback", "circuitBreaker.fallback names nothing that could answer")
    service = find_service(world, wanted)
    if isinstance(service, Obstacle):
        return service
    fallback = world.fallback
    if fallback is None:
        ref = wanted.fallback.target
        return Obstacle("NoFallback", f"there is no {ref.kind} {ref.name} here; create it")
    if obstacle := find_too_little(world, wanted) or _find_unfit(world, fallback, service):
        return obstacle
    does = f"lead Service {service.name} to {fallback}"
    return Plan(Mechanism.FALLBACK, does, service.name)


def wanted_in(
    record: BreakerRecord, _wanted: CircuitBreaker, world: World
) -> dict[Lever, str | None]:
    """Return what the Service is to select, and before that the labels it takes."""
    phase, service, fallback = record.circuit.phase, service_of(record, world), world.fallback
    if phase is Phase.CLOSED or service is None or fallback is None:
        return {}
    selector, back = Lever("Service", service.name, pointer("spec", "selector")), _find_tried(world)
    if phase is Phase.OPEN or back is None:
        return {selector: as_text({**fallback.selector})}
    serving = [back, *fallback.ready]
    labels = {Lever("Pod", pod.name, _LABEL): as_text(service.name) for pod in serving}
    return {**labels, selector: as_text({SERVES: service.name})}


def tried(_record: BreakerRecord, world: World) -> list[str]:
    """Return the pod that answers again."""
    found = _find_tried(world)
    return [found.name] if found else []


def serving(_record: BreakerRecord, world: World) -> list[str]:
    """Return the pods that answer instead."""
    return [pod.name for pod in world.fallback.ready] if world.fallback else []


def find_lost(record: BreakerRecord, world: World) -> str:
    """Return that nobody could answer instead any more: then at least the target answers again."""
    if gone := service_gone(record, world):
        return gone
    if world.fallback is None:
        return "what answers instead is gone"
    return "" if world.fallback.ready else f"no pod of {world.fallback} is ready any more"


def _find_tried(world: World) -> Pod | None:
    """Return the pod to try: the one that is tried already, as long as it is ready."""
    ready = world.target.ready
    return min(ready, key=lambda pod: (SERVES not in pod.labels, pod.name), default=None)


def _find_unfit(world: World, fallback: Backend, service: Service) -> Obstacle | None:
    """Return why the other pods could not answer."""
    who = str(fallback)
    if not fallback.ready:
        return Obstacle("FallbackNotReady", f"no pod of {who} is ready; look after it")
    if not fallback.selector or not fallback.is_simple:
        message = f"{who} knows its pods by expressions, which a Service cannot; use matchLabels"
        return Obstacle("FallbackSelector", message)
    if any(fallback.selector.items() <= pod.labels.items() for pod in world.target.pods):
        message = f"the labels by which {who} knows its pods are on those of {world.target} too"
        return Obstacle("FallbackSelector", message)
    missing = {port for pod in fallback.ready for port in service.ports - pod.ports}
    if missing:
        names = ", ".join(sorted(missing))
        message = f"pods of {who} have no port named {names}, to which Service {service.name} leads"
        return Obstacle("FallbackPorts", message)
    return None

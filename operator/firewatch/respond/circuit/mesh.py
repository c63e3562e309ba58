"""``mesh`` (pure): Istio's or Linkerd's own circuit breaking, only for as long as an alert asks for it.

Their proxies then leave out single pods that fail, and try them again by themselves; a trial is all of the
traffic without that. For Istio a DestinationRule of ours is made and deleted again: of several for one host
it takes one, so that none may be there. For Linkerd the Service gets an annotation, which it pays no heed
to where there is a ServiceProfile.
"""

from firewatch.api.circuit import BreakerRecord, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.respond.circuit.levers import Lever, as_text, pointer
from firewatch.respond.circuit.plan import (
    Obstacle,
    Plan,
    find_service,
    find_too_little,
    service_of,
)
from firewatch.respond.circuit.world import World

ISTIO, LINKERD = "Istio", "Linkerd"
ACCRUAL = "balancer.linkerd.io/failure-accrual"
"""Annotation of a Service: Linkerd's clients leave out pods that fail several times in a row."""
WHOLE = ""
"""Pointer to all of an object: it is made and deleted."""
_RULE = {
    "consecutive5xxErrors": 5,
    "interval": "5s",
    "baseEjectionTime": "30s",
    "maxEjectionPercent": 50,
}
"""Istio's outlier detection with its own defaults, but looked at more often, and for half of the pods at most."""


def plan(world: World, wanted: CircuitBreaker) -> Plan | Obstacle:
    """Return what the mesh would be told."""
    mesh = world.mesh
    if mesh is None:
        message = f"neither Istio's nor Linkerd's proxy is in the pods of {world.target}"
        return Obstacle("NoMesh", message)
    service = find_service(world, wanted)
    if isinstance(service, Obstacle):
        return service
    if taken := mesh.taken.get(service.name):
        message = f"{taken} says already how {mesh.name} treats Service {service.name}; change that"
        return Obstacle("MeshTaken", message)
    if obstacle := find_too_little(world, wanted):
        return obstacle
    does = f"have {mesh.name} leave out pods of Service {service.name} that fail"
    return Plan(Mechanism.MESH, does, service.name)


def wanted_in(
    record: BreakerRecord, _wanted: CircuitBreaker, world: World
) -> dict[Lever, str | None]:
    """Return what tells the mesh so, while it is open."""
    service = service_of(record, world)
    if record.circuit.phase is not Phase.OPEN or service is None or world.mesh is None:
        return {}
    if world.mesh.name == LINKERD:
        return {accrual_of(service.name): as_text("consecutive")}
    rule = {"host": service.name, "trafficPolicy": {"outlierDetection": _RULE}}
    return {rule_of(service.name): as_text(rule)}


def find_lost(record: BreakerRecord, world: World) -> str:
    """Return that there is nothing to tell any more, if so."""
    if service_of(record, world) is None:
        return f"Service {record.service} is gone"
    return "the mesh is gone from the pods" if world.mesh is None and world.target.pods else ""


def accrual_of(service: str) -> Lever:
    """Return the annotation of a Service."""
    return Lever("Service", service, pointer("metadata", "annotations", ACCRUAL))


def rule_of(service: str) -> Lever:
    """Return our DestinationRule for a Service."""
    return Lever("DestinationRule", f"firewatch-{service}"[:253].rstrip("-."), WHOLE)


def is_about(host: str, service: str, namespace: str) -> bool:
    """Tell whether a host, as people write it for a mesh in this namespace, means a Service."""
    full = f"{service}.{namespace}"
    return host in (service, full, f"{full}.svc") or host.startswith(f"{full}.svc.")

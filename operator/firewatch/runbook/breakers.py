"""A circuit breaker in words, and what one would meet (pure, but for what is read)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from firewatch.api.circuit import BreakerRecord, Change, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster
from firewatch.cluster.kinds import CONFIG_MAP, SERVICE, Kind
from firewatch.respond.circuit.choice import WAYS, choose, is_offered
from firewatch.respond.circuit.episode import share_of
from firewatch.respond.circuit.look import Lookout, Subject
from firewatch.respond.circuit.plan import Obstacle, Plan
from firewatch.respond.circuit.world import Traffic, World
from firewatch.respond.context import nothing_counted
from firewatch.respond.gitops import Field, find_keeper, remedy
from firewatch.runbook.checking import Check, Grade

_UNWRITTEN = "nothing"


def describe(record: BreakerRecord) -> Iterator[str]:
    """Yield how a circuit breaker stands, a line for each thing: mechanism, effect, next step, changes."""
    yield f"mechanism: {record.mechanism}, {record.does}"
    yield f"errors: {_share(record.errors_before)} before, {_share(record.errors_open)} while open"
    yield f"next: {_next(record)}"
    for change in record.changes:
        yield f"changed: {_change(change)}"


def _share(ratio: float | None) -> str:
    return "not known" if ratio is None else f"{ratio:.1%}"


def _next(record: BreakerRecord) -> str:
    circuit, share = record.circuit, share_of(record)
    if record.ends:
        return "all is put back"
    if record.gave_up and circuit.phase is Phase.OPEN:
        return "nothing by itself; look after it, then `firewatch response undo`"
    match circuit.phase:
        case Phase.OPEN:
            return f"{share} is tried from {circuit.ends_at} on"
        case Phase.HALF_OPEN:
            return f"{share} is judged from {circuit.ends_at} on; if it is good, {_then(record)}"
        case _:
            return "what was changed is put back"


def _then(record: BreakerRecord) -> str:
    return f"{record.shares[1]} is tried" if len(record.shares) > 1 else "it closes"


def _change(change: Change) -> str:
    before, after = change.before or _UNWRITTEN, change.written or _UNWRITTEN
    left = f"; left to {change.released_by}" if change.released_by else ""
    return f"{change.kind} {change.name} {change.field}: {before} → {after}{left}"


async def examine_breaker(
    cluster: Cluster, subject: Subject, wanted: CircuitBreaker, now: datetime
) -> list[Check]:
    """Return what a circuit breaker would meet, read with the user's own rights."""
    lookout = Lookout(cluster, nothing_counted, None, subject, wanted=wanted, record=None, now=now)
    world = await lookout.look()
    checks = [*check_mechanisms(world, wanted, now)]
    chosen = choose(_supposed(world, wanted, now), wanted)
    if isinstance(chosen, Plan) and (around := _kept(chosen, wanted)):
        kind, name, path = around
        live = await cluster.get(kind, subject.namespace, name)
        checks.append(_keeper(live, kind, subject.namespace, path))
    return checks


def check_mechanisms(world: World, wanted: CircuitBreaker, now: datetime) -> Iterator[Check]:
    """Yield for each mechanism whether it could be used, the least invasive first (pure).

    It is supposed that the alert fires now: that one pod fails, for ``isolate``, and else all of them.
    """
    supposed = _supposed(world, wanted, now)
    chosen = choose(supposed, wanted)
    for mechanism, way in WAYS.items():
        if wanted.mechanism not in (Mechanism.AUTO, mechanism) or not is_offered(mechanism, wanted):
            continue
        found = way.plan(_for(mechanism, supposed), wanted)
        if isinstance(found, Obstacle):
            grade = Grade.LOOK if wanted.mechanism is Mechanism.AUTO else Grade.BAD
            yield Check(mechanism, grade, found.message)
        else:
            only = " if it alone fails" if mechanism is Mechanism.ISOLATE else ""
            yield Check(mechanism, Grade.FINE, f"would {found.does}{only}")
    if isinstance(chosen, Obstacle) and wanted.mechanism is Mechanism.AUTO:
        yield Check("circuit breaker", Grade.LOOK, f"if all pods fail, {chosen.message}")
    measure = wanted.measure
    yield Check(
        "measure",
        Grade.LOOK,
        f"{measure.metric} must have the labels namespace, pod and {measure.error_label}, and"
        f" {measure.min_requests} requests within {measure.window}; Prometheus is not asked here",
    )


def _supposed(world: World, wanted: CircuitBreaker, now: datetime) -> World:
    """Return the world as if all pods of the target had begun to fail now."""
    requests = float(wanted.measure.min_requests)
    traffic = {pod.name: Traffic(requests, requests) for pod in world.target.pods}
    return replace(world, traffic=traffic, errors_since=now)


def _for(mechanism: Mechanism, supposed: World) -> World:
    """Return the world in which a mechanism has something to do."""
    if mechanism is not Mechanism.ISOLATE or not supposed.target.ready:
        return supposed
    first = supposed.target.ready[0].name
    traffic = {
        name: each if name == first else Traffic(each.requests, 0)
        for name, each in (supposed.traffic or {}).items()
    }
    return replace(supposed, traffic=traffic)


def _kept(plan: Plan, wanted: CircuitBreaker) -> tuple[Kind, str, str] | None:
    """Return the object beside the target that others may keep as it should be, and its field."""
    if plan.mechanism is Mechanism.FALLBACK:
        return SERVICE, plan.service, "/spec/selector"
    if plan.mechanism is Mechanism.FLAG and wanted.flag is not None:
        return CONFIG_MAP, wanted.flag.config_map, f"/data/{wanted.flag.key}"
    return None


def _keeper(live: Object, kind: Kind, namespace: str, path: str) -> Check:
    keeper, name = find_keeper(live), live["metadata"]["name"]
    if keeper is None:
        message = f"no Argo CD, Flux or Helm is recognised on {kind.kind} {name}"
        return Check("GitOps", Grade.FINE, message)
    field = Field(kind.group, kind.kind, namespace, name, path)
    message = f"{keeper} keeps {kind.kind} {name}; {remedy(keeper, field)}"
    return Check("GitOps", Grade.LOOK, message)

"""Objects of the API server as a breaker sees them (pure)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from firewatch.api.circuit_breaker import CircuitBreaker
from firewatch.api.conditions import parse_time
from firewatch.api.resource import Object
from firewatch.respond.circuit.fallback import SERVES
from firewatch.respond.circuit.levers import Lever, Seen, as_text, pointer
from firewatch.respond.circuit.rollback import TEMPLATE
from firewatch.respond.circuit.shed import REPLICAS
from firewatch.respond.circuit.world import Backend, ConfigMap, Pod, Revision, Service, World
from firewatch.respond.managers import last_writer
from firewatch.respond.selecting import budgets_of, selects

_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"
_UNKNOWN = "unknown"
"""What a Deployment has whose pod template no ReplicaSet has yet."""


@dataclass(frozen=True)
class Objects:
    """What was read of a target and of what stands around it."""

    target: Object
    pods: Sequence[Object] = ()
    """All of the namespace."""
    services: Sequence[Object] = ()
    replica_sets: Sequence[Object] = ()
    fallback: Object | None = None
    config_map: Object | None = None
    config_maps: frozenset[str] | None = None
    """Names of those of the namespace; None if they were not read."""
    budgets: Sequence[Object] = ()
    scaled_by: str = ""
    kept_by: str = ""


def build_world(objects: Objects, wanted: CircuitBreaker) -> World:
    """Return how things stand, without what only Prometheus knows."""
    live = [pod for pod in objects.pods if _is_live(pod)]
    target = _backend(objects.target, live)
    return World(
        target=target,
        replicas=objects.target["spec"].get("replicas", 1),
        services=tuple(map(_service, objects.services)),
        is_paused=objects.target["spec"].get("paused", False),
        scaled_by=objects.scaled_by,
        kept_by=objects.kept_by,
        fallback=_backend(objects.fallback, live) if objects.fallback else None,
        config_map=_config_map(objects.config_map) if objects.config_map else None,
        revisions=_revisions(objects, live),
        disruptions_allowed=_allowed(objects),
        names=frozenset(pod["metadata"]["name"] for pod in live),
        seen=dict(_seen(objects, wanted)),
    )


def _is_live(pod: Object) -> bool:
    is_over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not is_over and "deletionTimestamp" not in pod["metadata"]


def _backend(workload: Object, pods: Iterable[Object]) -> Backend:
    selector = workload["spec"].get("selector") or {}
    mine = (pod for pod in pods if selects(selector, _labels(pod)))
    return Backend(
        kind=workload["kind"],
        name=workload["metadata"]["name"],
        selector=selector.get("matchLabels") or {},
        pods=tuple(map(_pod, mine)),
        is_simple=not selector.get("matchExpressions"),
    )


def _pod(pod: Object) -> Pod:
    conditions = pod.get("status", {}).get("conditions") or ()
    ready = {(each["type"], each["status"]) for each in conditions}
    containers = pod["spec"].get("containers") or ()
    ports = (port.get("name") for each in containers for port in each.get("ports") or ())
    return Pod(
        name=pod["metadata"]["name"],
        labels=_labels(pod),
        is_ready=("Ready", "True") in ready,
        ports=frozenset(filter(None, ports)),
    )


def _labels(live: Object) -> dict[str, str]:
    found: dict[str, str] = live["metadata"].get("labels") or {}
    return found


def _service(live: Object) -> Service:
    spec = live["spec"]
    targets = (port.get("targetPort") for port in spec.get("ports") or ())
    return Service(
        name=live["metadata"]["name"],
        selector=spec.get("selector") or {},
        ports=frozenset(each for each in targets if isinstance(each, str)),
    )


def _config_map(live: Object) -> ConfigMap:
    name, is_immutable = live["metadata"]["name"], bool(live.get("immutable"))
    return ConfigMap(name, live.get("data"), is_immutable=is_immutable)


def _allowed(objects: Objects) -> int | None:
    found = budgets_of(objects.target, objects.budgets)
    return min((allowed for _, allowed in found), default=None)


def _revisions(objects: Objects, pods: Sequence[Object]) -> tuple[Revision, ...]:
    """Return the present revision of a Deployment and those that it keeps, the newest first."""
    present = _template(objects.target)
    found = sorted(_owned(objects), key=_number, reverse=True)
    if not found or _template(found[0]) != present:
        return ()  # the controller has yet to see what somebody has just written
    return tuple(
        Revision(
            replica_set=each["metadata"]["name"],
            number=_number(each),
            began=_began(each, pods),
            lacking=_lacking(_template(each), present, objects.config_maps),
        )
        for each in found
    )


def _owned(objects: Objects) -> list[Object]:
    """Return the ReplicaSets of the target."""
    uid = objects.target["metadata"]["uid"]
    return [each for each in objects.replica_sets if _owner(each) == uid]


def _owner(live: Object) -> str:
    owners = live["metadata"].get("ownerReferences") or ()
    return next((str(each["uid"]) for each in owners if each.get("controller")), "")


def _number(replica_set: Object) -> int:
    annotations = replica_set["metadata"].get("annotations") or {}
    return int(annotations.get(_REVISION, 0))


def _template(live: Object) -> Object:
    """Return a pod template without the label that the Deployment controller gives it."""
    template: Object = live["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != _HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _began(replica_set: Object, pods: Iterable[Object]) -> datetime:
    """Return when a revision was rolled out: one that was gone back to is older than its pods."""
    mark = _labels(replica_set).get(_HASH)
    times = [
        parse_time(pod["metadata"]["creationTimestamp"])
        for pod in pods
        if mark and _labels(pod).get(_HASH) == mark
    ]
    made = parse_time(replica_set["metadata"]["creationTimestamp"])
    return max(made, min(times, default=made))


def _lacking(template: Object, present: Object, config_maps: frozenset[str] | None) -> str:
    """Return what a pod template needs that is not there, or of which that cannot be told.

    Secrets are not read for this: what the present one needs as well is there.
    """
    secrets = {*_named(template, "Secret")} - {*_named(present, "Secret")}
    if secrets:
        names = ", ".join(sorted(secrets))
        return f"it needs Secret {names}, which the present one does not, so it may be gone"
    if config_maps is None:
        return "ConfigMaps cannot be listed"
    missing = {*_named(template, "ConfigMap")} - config_maps
    return f"ConfigMap {', '.join(sorted(missing))} is gone" if missing else ""


_NAMES = {
    "ConfigMap": {"configMap": "name", "configMapKeyRef": "name", "configMapRef": "name"},
    "Secret": {
        "secret": "secretName",
        "secretKeyRef": "name",
        "secretRef": "name",
        "nodePublishSecretRef": "name",
    },
}
"""Where pod templates name an object of a kind: the field that holds it, and its name within."""


def _named(part: Any, kind: str) -> Iterator[str]:
    """Yield the names of objects of a kind without which a pod does not start."""
    if isinstance(part, list):
        for each in part:
            yield from _named(each, kind)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        name = _NAMES[kind].get(key)
        if name and isinstance(value, dict):
            # Projected volumes hold Secrets by "name" where plain ones have "secretName".
            found = value.get(name) or value.get("name")
            if found and not value.get("optional"):
                yield found
        yield from _named(value, kind)


def _seen(objects: Objects, wanted: CircuitBreaker) -> Iterator[tuple[Lever, Seen]]:
    """Yield what stands in the fields that a breaker may hold."""
    for service in objects.services:
        value = service["spec"].get("selector")
        yield _see(service, pointer("spec", "selector"), value, "selector")
    keys = {key for each in objects.services for key in each["spec"].get("selector") or {}}
    for pod in filter(_is_live, objects.pods):
        for key in {*keys, SERVES}:
            yield _see(pod, pointer("metadata", "labels", key), _labels(pod).get(key))
    if objects.config_map and wanted.flag:
        data = objects.config_map.get("data") or {}
        value = data.get(wanted.flag.key)
        yield _see(objects.config_map, pointer("data", wanted.flag.key), value)
    target = objects.target
    yield _see(target, REPLICAS, target["spec"].get("replicas", 1), "replicas")
    if target["kind"] == "Deployment":
        yield _see(target, TEMPLATE, _present(objects), "template")


def _see(live: Object, path: str, value: Any, writer_of: str = "") -> tuple[Lever, Seen]:
    lever = Lever(live["kind"], live["metadata"]["name"], path)
    text = None if value is None else as_text(value)
    writer = last_writer(live, writer_of) if writer_of else ""
    return lever, Seen(live["metadata"]["uid"], text, writer)


def _present(objects: Objects) -> str:
    """Return the name of the ReplicaSet that has the pod template of the Deployment."""
    present = _template(objects.target)
    found = (
        str(each["metadata"]["name"]) for each in _owned(objects) if _template(each) == present
    )
    return next(found, _UNKNOWN)

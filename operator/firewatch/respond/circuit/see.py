"""Objects of the API server as a breaker sees them (pure)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

from firewatch.api.circuit import Change
from firewatch.api.circuit_breaker import CircuitBreaker
from firewatch.api.conditions import parse_time
from firewatch.api.resource import Object
from firewatch.api.restart import RESTARTED_AT
from firewatch.respond.circuit.fallback import SERVES
from firewatch.respond.circuit.levers import Lever, Seen, as_text, lever_of, parts_of, pointer
from firewatch.respond.circuit.mesh import (
    ACCRUAL,
    ISTIO,
    LINKERD,
    WHOLE,
    accrual_of,
    is_about,
    rule_of,
)
from firewatch.respond.circuit.rollback import TEMPLATE
from firewatch.respond.circuit.shed import REPLICAS
from firewatch.respond.circuit.world import Backend, ConfigMap, Mesh, Pod, Revision, Service, World
from firewatch.respond.managers import last_writer
from firewatch.respond.selecting import budgets_of, selects
from firewatch.settings import MANAGED_BY

_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"
_ISTIO_MARK, _LINKERD_MARK = "sidecar.istio.io/status", "linkerd.io/proxy-version"
"""Annotations of pods in which there is a proxy of theirs."""
_UNKNOWN = "unknown"
"""What a Deployment has whose pod template no ReplicaSet has yet."""


_RESTARTS = frozenset({RESTARTED_AT, "kubectl.kubernetes.io/restartedAt"})
"""Annotations of a pod template that only renew its pods."""


@dataclass(frozen=True)
class Objects:
    """What was read of a target and of what stands around it."""

    kind: str
    """Kind of the target."""
    name: str
    """Its name."""
    target: Object | None
    """None if it is gone, or is not the one that is meant any more."""
    pods: Sequence[Object] = ()
    """All of the namespace."""
    services: Sequence[Object] = ()
    replica_sets: Sequence[Object] = ()
    fallback: Object | None = None
    flag_maps: Sequence[Object] = ()
    """ConfigMaps of which a key is held, or may be."""
    destination_rules: Sequence[Object] | None = None
    """Istio's; None if there is no such kind."""
    service_profiles: Sequence[Object] | None = None
    """Linkerd's, likewise."""
    config_maps: frozenset[str] | None = None
    """Names of those of the namespace; None if they were not read."""
    budgets: Sequence[Object] = ()
    scaled_by: str = ""
    kept_by: str = ""


def build_world(objects: Objects, wanted: CircuitBreaker, held: Iterable[Change] = ()) -> World:
    """Return how things stand, without what only Prometheus knows.

    ``held`` is what is changed at present: that is looked at, whatever is wanted by now.
    """
    live = [pod for pod in objects.pods if _is_live(pod)]
    spec = objects.target["spec"] if objects.target else {}
    return World(
        target=_target(objects, live),
        replicas=spec.get("replicas", 1),
        services=tuple(map(_service, objects.services)),
        is_paused=spec.get("paused", False),
        scaled_by=objects.scaled_by,
        kept_by=objects.kept_by,
        fallback=_backend(objects.fallback, live) if objects.fallback else None,
        mesh=_mesh(objects, live),
        config_map=_config_map(objects.flag_maps, wanted),
        revisions=_revisions(objects.target, objects, live) if objects.target else (),
        disruptions_allowed=_allowed(objects.target, objects.budgets) if objects.target else None,
        names=frozenset(pod["metadata"]["name"] for pod in live),
        seen=dict(_seen(objects, wanted, held)),
    )


def _target(objects: Objects, pods: Iterable[Object]) -> Backend:
    if objects.target is None:
        return Backend(objects.kind, objects.name, {})
    return _backend(objects.target, pods)


def _is_live(pod: Object) -> bool:
    is_over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not is_over and "deletionTimestamp" not in pod["metadata"]


def _backend(workload: Object, pods: Iterable[Object]) -> Backend:
    selector = workload["spec"].get("selector") or {}
    return Backend(
        kind=workload["kind"],
        name=workload["metadata"]["name"],
        selector=selector.get("matchLabels") or {},
        pods=tuple(map(_pod, _pods_of(workload, pods))),
        is_simple=not selector.get("matchExpressions"),
    )


def _pods_of(workload: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the pods that a workload knows as its own."""
    selector = workload["spec"].get("selector") or {}
    return [pod for pod in pods if selects(selector, _labels(pod))]


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
        config_maps=frozenset(_mounted(pod["spec"].get("volumes") or ())),
        replica_set=_replica_set(pod),
    )


def _replica_set(pod: Object) -> str:
    controller = _controller(pod)
    return str(controller["name"]) if controller.get("kind") == "ReplicaSet" else ""


def _mounted(volumes: Iterable[Object]) -> Iterator[str]:
    """Yield the names of the ConfigMaps of volumes."""
    for volume in volumes:
        parts = (volume, *(volume.get("projected", {}).get("sources") or ()))
        yield from (str(part["configMap"]["name"]) for part in parts if "configMap" in part)


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


def _mesh(objects: Objects, pods: Iterable[Object]) -> Mesh | None:
    """Return the mesh whose proxy is in a pod of the target."""
    if objects.target is None:
        return None
    mine = _pods_of(objects.target, pods)
    marks = {mark for pod in mine for mark in pod["metadata"].get("annotations") or {}}
    rules, profiles = objects.destination_rules, objects.service_profiles
    services = [each["metadata"] for each in objects.services]
    if _ISTIO_MARK in marks and rules is not None:
        return Mesh(ISTIO, dict(_taken_at_istio(services, rules)))
    if _LINKERD_MARK in marks and profiles is not None:
        return Mesh(LINKERD, dict(_taken_at_linkerd(services, profiles)))
    return None


def _taken_at_istio(
    services: Iterable[Object], rules: Iterable[Object]
) -> Iterator[tuple[str, str]]:
    for rule, service in product(rules, services):
        name, host = rule["metadata"]["name"], str(rule["spec"].get("host", ""))
        is_ours = name == rule_of(service["name"]).name and is_managed(rule)
        if not is_ours and is_about(host, service["name"], service["namespace"]):
            yield service["name"], f"DestinationRule {name}"


def _taken_at_linkerd(
    services: Iterable[Object], profiles: Iterable[Object]
) -> Iterator[tuple[str, str]]:
    hosts = {str(each["metadata"]["name"]) for each in profiles}
    for service in services:
        for host in hosts:
            if is_about(host, service["name"], service["namespace"]):
                yield service["name"], f"ServiceProfile {host}"
        if ACCRUAL in (service.get("annotations") or {}):
            yield service["name"], f"the annotation {ACCRUAL}"


def is_managed(live: Object) -> bool:
    """Tell whether an object is one that the operator has made."""
    return MANAGED_BY.items() <= _labels(live).items()


def _config_map(found: Iterable[Object], wanted: CircuitBreaker) -> ConfigMap | None:
    name = wanted.flag.config_map if wanted.flag else ""
    live = next((each for each in found if each["metadata"]["name"] == name), None)
    if live is None:
        return None
    return ConfigMap(name, live.get("data"), is_immutable=bool(live.get("immutable")))


def _allowed(target: Object, budgets: Iterable[Object]) -> int | None:
    return min((allowed for _, allowed in budgets_of(target, budgets)), default=None)


def _revisions(target: Object, objects: Objects, pods: Sequence[Object]) -> tuple[Revision, ...]:
    """Return the present revision of a Deployment and those that it keeps, the newest first.

    Those that only renewed the pods are the same one.
    """
    present = lasting_template(target)
    found = sorted(_owned(target, objects.replica_sets), key=_number, reverse=True)
    if not found or lasting_template(found[0]) != present:
        return ()  # the controller has yet to see what somebody has just written
    return tuple(
        Revision(
            replica_set=each["metadata"]["name"],
            number=_number(each),
            began=_began(each, pods),
            lacking=_lacking(lasting_template(each), present, objects.config_maps),
        )
        for each in _apart(found)
    )


def _apart(replica_sets: Iterable[Object]) -> Iterator[Object]:
    """Yield those that differ from all before them by more than by when their pods were renewed."""
    known: list[Object] = []
    for each in replica_sets:
        template = _apart_from_renewals(each)
        if template not in known:
            known.append(template)
            yield each


def _apart_from_renewals(replica_set: Object) -> Object:
    template = lasting_template(replica_set)
    metadata = template["metadata"]
    annotations = metadata.get("annotations") or {}
    kept = {k: v for k, v in annotations.items() if k not in _RESTARTS}
    return {**template, "metadata": {**metadata, "annotations": kept}}


def _owned(target: Object, replica_sets: Iterable[Object]) -> list[Object]:
    """Return the ReplicaSets of the target."""
    uid = target["metadata"]["uid"]
    return [each for each in replica_sets if _controller(each).get("uid") == uid]


def _controller(live: Object) -> Object:
    """Return the reference to what controls an object; empty if nothing does."""
    owners = live["metadata"].get("ownerReferences") or ()
    return next((each for each in owners if each.get("controller")), {})


def _number(replica_set: Object) -> int:
    annotations = replica_set["metadata"].get("annotations") or {}
    return int(annotations.get(_REVISION, 0))


def lasting_template(live: Object) -> Object:
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


def _seen(
    objects: Objects, wanted: CircuitBreaker, held: Iterable[Change]
) -> Iterator[tuple[Lever, Seen]]:
    """Yield what stands in the fields that a breaker holds, or may hold."""
    yield from _seen_of_target(objects)
    around = (*objects.services, *filter(_is_live, objects.pods), *objects.flag_maps)
    there = {(each["kind"], each["metadata"]["name"]): each for each in around}
    rules = {each["metadata"]["name"]: each for each in objects.destination_rules or ()}
    for lever in {*_offered(objects, wanted), *map(lever_of, held)}:
        if lever.field == WHOLE:
            yield lever, _see_whole(rules.get(lever.name))
            continue
        live = there.get((lever.kind, lever.name))
        if live is not None:
            value = find_field(live, lever.field)
            writer = last_writer(live, "selector") if lever.kind == "Service" else ""
            yield lever, _see(live, value, writer)


def _seen_of_target(objects: Objects) -> Iterator[tuple[Lever, Seen]]:
    live, kind, name = objects.target, objects.kind, objects.name
    if live is None:
        return
    replicas = live["spec"].get("replicas", 1)
    yield Lever(kind, name, REPLICAS), _see(live, replicas, last_writer(live, "replicas"))
    if kind == "Deployment":
        present = present_replica_set(live, objects.replica_sets)
        yield Lever(kind, name, TEMPLATE), _see(live, present, last_writer(live, "template"))


def _offered(objects: Objects, wanted: CircuitBreaker) -> Iterator[Lever]:
    """Yield what may be held: what is told of Services, labels by which they select, and the flag."""
    for service in objects.services:
        name = service["metadata"]["name"]
        yield Lever("Service", name, pointer("spec", "selector"))
        yield accrual_of(name)
        if objects.destination_rules is not None:
            yield rule_of(name)
    keys = {key for each in objects.services for key in each["spec"].get("selector") or {}}
    for pod in objects.pods:
        for key in {*keys, SERVES}:
            yield Lever("Pod", pod["metadata"]["name"], pointer("metadata", "labels", key))
    if wanted.flag:
        yield Lever("ConfigMap", wanted.flag.config_map, pointer("data", wanted.flag.key))


def _see_whole(live: Object | None) -> Seen:
    """Return an object as one that comes and goes: whichever it is, there is no other of its name."""
    return Seen("", None if live is None else as_text(live["spec"]))


def find_field(live: Object, path: str) -> Any:
    """Return what a JSON pointer leads to; None if there is nothing."""
    found: Any = live
    for part in parts_of(path):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _see(live: Object, value: Any, writer: str) -> Seen:
    text = None if value is None else as_text(value)
    return Seen(live["metadata"]["uid"], text, writer)


def present_replica_set(target: Object, replica_sets: Iterable[Object]) -> str:
    """Return the name of the ReplicaSet that has the pod template of the Deployment."""
    present = lasting_template(target)
    found = (
        str(each["metadata"]["name"])
        for each in _owned(target, replica_sets)
        if lasting_template(each) == present
    )
    return next(found, _UNKNOWN)

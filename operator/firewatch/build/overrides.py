"""Overrides: what a user changes on a finished workload, and where that ends.

A patch is merged as JSON merge patches are (a null removes), but for lists of named things, such as
containers: their entries are found by name and merged one by one, since a list that is replaced
whole would have to repeat everything that Firewatch puts there.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from firewatch.api.resource import GROUP, Object
from firewatch.build import names
from firewatch.build.objects import container_security
from firewatch.build.quantities import canonical_quantity

_FORMS: Mapping[str, type] = {
    **dict.fromkeys(("containers", "initContainers", "volumes"), list),
    **dict.fromkeys(("ports", "volumeMounts", "sources"), list),
    **dict.fromkeys(("securityContext", "capabilities", "seccompProfile", "projected"), dict),
}
"""What the fence looks into must be what it takes it for."""
_FREE_FORM = frozenset({"labels", "annotations"})
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
}
"""Lists whose entries are found by a field, with that field."""
_WORKLOADS = frozenset({"StatefulSet", "DaemonSet", "Deployment"})
_FIXED = (
    *("serviceAccountName", "serviceAccount", "automountServiceAccountToken"),
    *("hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"),
)
_TOKEN_VOLUMES = frozenset({"token"})
"""Names of Firewatch's own volumes that hold a token of a service account."""
_IDENTITIES = frozenset({"runAsUser", "runAsGroup", "fsGroup"})
_FREE_SECURITY = _IDENTITIES | {
    *("fsGroupChangePolicy", "supplementalGroups", "readOnlyRootFilesystem"),
}


class OverrideError(ValueError):
    """An override that is not made; ``str()`` names what it may not touch or what is wrong."""


@dataclass(frozen=True)
class Overridden:
    """Objects with the overrides that could be made, and those that could not, by component."""

    objects: Sequence[Object]
    refused: Mapping[str, str]


def override_all(overrides: Mapping[str, Object], objects: Sequence[Object]) -> Overridden:
    """Return a stack's objects with the overrides of their components."""
    refused = {
        name: f"the stack has no component {name}"
        for name in overrides.keys() - set(filter(None, map(component, objects)))
    }
    found = []
    for item in objects:
        name = component(item)
        patched = item
        if name is not None and name in overrides:
            try:
                patched = override(item, overrides[name])
            except OverrideError as error:
                refused[name] = str(error)
        found.append(patched)
    return Overridden(found, refused)


def component(item: Object) -> str | None:
    """Return the name of the component whose workload an object is; None if it is no workload."""
    if item["kind"] not in _WORKLOADS:
        return None
    return str(item["metadata"]["labels"][names.NAME_LABEL])


def override(workload: Object, patch: Object) -> Object:
    """Return a workload with a patch merged into it; ``OverrideError`` if it goes too far."""
    merged: Object = _merge(workload, patch, "")
    for container in _containers(merged):
        security = container.get("securityContext")
        container["securityContext"] = {**container_security(), **(security or {})}
    if problem := next(_breaches(workload, merged), None):
        raise OverrideError(problem)
    return merged


def _merge(base: Any, patch: Any, key: str) -> Any:
    if isinstance(patch, dict):
        merged = deepcopy(base) if isinstance(base, dict) else {}
        for name, value in patch.items():
            if value is None:
                merged.pop(name, None)
                continue
            if key not in _FREE_FORM and not isinstance(value, _FORMS.get(name, object)):
                raise OverrideError(f"{name}: it has not the form of a workload")
            merged[name] = _merge(merged.get(name), _canonical(value, key, name), name)
        return merged
    if isinstance(patch, list) and key in _KEYS:
        return _merge_list(base, patch, key)
    return deepcopy(patch)


def _merge_list(base: Any, patch: Sequence[Any], key: str) -> list[Any]:
    field = _KEYS[key]
    merged = deepcopy(base) if isinstance(base, list) else []
    for entry in patch:
        if not isinstance(entry, dict) or field not in entry:
            raise OverrideError(f"an entry of {key} has no {field}, by which it is found")
        places = [i for i, old in enumerate(merged) if old[field] == entry[field]]
        if places:
            merged[places[0]] = _merge(merged[places[0]], entry, "")
        else:
            merged.append(_merge({}, entry, ""))
    return merged


def _canonical(value: Any, parent: str, name: str) -> Any:
    """Return a value as the API server would store it, if it is a quantity."""
    is_quantity = parent in {"requests", "limits"} or name == "sizeLimit"
    if not is_quantity or isinstance(value, dict | list):
        return value
    try:
        return canonical_quantity(str(value))
    except ValueError as error:
        raise OverrideError(str(error)) from error


def _breaches(before: Object, after: Object) -> Iterator[str]:
    """Yield what an override has touched that it may not."""
    yield from _meta_breaches("metadata", before["metadata"], after.get("metadata"))
    if {**before, "metadata": 0, "spec": 0} != {**after, "metadata": 0, "spec": 0}:
        yield "only metadata and spec can be overridden"
    try:
        yield from _workload_breaches(before["spec"], after["spec"])
    except (TypeError, AttributeError, KeyError):
        yield "it has not the form of a workload"


def _workload_breaches(before: Object, after: Object) -> Iterator[str]:
    for name in ("selector", "serviceName"):
        if before.get(name) != after.get(name):
            yield f"spec.{name} may not be overridden"
    old, new = before["template"], after["template"]
    yield from _meta_breaches("spec.template.metadata", old["metadata"], new["metadata"])
    yield from _pod_breaches(old["spec"], new["spec"])


def _meta_breaches(path: str, before: Object, after: Any) -> Iterator[str]:
    if not isinstance(after, dict):
        yield f"{path} may not be overridden"
        return
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name not in {"labels", "annotations"} or not isinstance(new, dict):
            yield f"{path}.{name} may not be overridden"
            continue
        changed = {k for k in {*(old or ()), *new} if (old or {}).get(k) != new.get(k)}
        ours = [k for k in changed if k in (old or ()) or k.startswith(f"{GROUP}/")]
        if ours:
            yield f"{path}.{name}: {min(ours)} belongs to Firewatch"


def _pod_breaches(before: Object, after: Object) -> Iterator[str]:
    for name in _FIXED:
        if before.get(name) != after.get(name):
            yield f"{name} may not be overridden"
    yield from _security_breaches(
        "the pod", before.get("securityContext"), after.get("securityContext")
    )
    yield from _volume_breaches(before, after)
    old = {each["name"]: each for each in _pod_containers(before)}
    new = {each["name"]: each for each in _pod_containers(after)}
    for name in sorted(old.keys() - new.keys()):
        yield f"container {name} may not be removed"
    for name in sorted(new):
        yield from _container_breaches(name, old.get(name, {}), new[name])


def _volume_breaches(before: Object, after: Object) -> Iterator[str]:
    """Yield volumes that reach the node or hold a token, if Firewatch has not made them."""
    for volume in after.get("volumes") or ():
        if volume in (before.get("volumes") or ()):
            continue
        if "hostPath" in volume:
            yield f"volume {volume['name']}: hostPath may not be used"
        if _holds_token(volume):
            yield f"volume {volume['name']}: tokens of service accounts may not be mounted"
    left = {volume["name"] for volume in after.get("volumes") or ()}
    for volume in before.get("volumes") or ():
        if volume["name"] not in left:
            yield f"volume {volume['name']} may not be removed"


def _holds_token(volume: Object) -> bool:
    sources = volume.get("projected", {}).get("sources") or ()
    return any("serviceAccountToken" in source for source in sources)


def _container_breaches(name: str, before: Object, after: Object) -> Iterator[str]:
    what = f"container {name}"
    yield from _security_breaches(
        what, before.get("securityContext", container_security()), after.get("securityContext")
    )
    for port in after.get("ports") or ():
        if "hostPort" in port and port not in (before.get("ports") or ()):
            yield f"{what}: hostPort may not be used"
    for mount in after.get("volumeMounts") or ():
        is_ours = mount in (before.get("volumeMounts") or ())
        if mount.get("name") in _TOKEN_VOLUMES and not is_ours:
            yield f"{what}: the volume {mount['name']} holds a token and may not be mounted"


def _security_breaches(what: str, before: Object | None, after: Any) -> Iterator[str]:
    old, new = before or {}, after or {}
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if name not in _FREE_SECURITY:
            yield f"{what}: securityContext.{name} may not be overridden"
        elif name in _IDENTITIES and not (type(new.get(name)) is int and new[name] > 0):
            yield f"{what}: securityContext.{name} must be above 0"


def _containers(workload: Object) -> list[Object]:
    """Return the containers of a workload, as far as it has the form of one."""
    try:
        found = _pod_containers(workload["spec"]["template"]["spec"])
    except (TypeError, AttributeError, KeyError):
        return []
    return [each for each in found if isinstance(each, dict)]


def _pod_containers(pod: Object) -> list[Object]:
    return [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]

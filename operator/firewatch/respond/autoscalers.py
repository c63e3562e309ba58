"""What scales a target (pure): a ScaledObject, else a HorizontalPodAutoscaler, else nobody.

An autoscaler writes the replicas again and again. So it is its minimum that is raised: then it does
the rest itself, and nobody fights.
"""

from collections.abc import Iterable

from firewatch.api.resource import Object
from firewatch.cluster.kinds import HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, Kind
from firewatch.respond.managers import last_writer
from firewatch.respond.situation import Autoscaler

MINIMUM_FIELD = {
    HORIZONTAL_POD_AUTOSCALER.kind: "minReplicas",
    SCALED_OBJECT.kind: "minReplicaCount",
}
"""Where the minimum stands in the spec of each kind of autoscaler."""
_DEFAULT_MINIMUM = {HORIZONTAL_POD_AUTOSCALER.kind: 1, SCALED_OBJECT.kind: 0}
_DEFAULT_MAXIMUM = 100
"""KEDA's; a HorizontalPodAutoscaler always has one."""
_PAUSED = (
    "autoscaling.keda.sh/paused",
    "autoscaling.keda.sh/paused-replicas",
    "autoscaling.keda.sh/paused-scale-out",
)
"""Annotations that stop KEDA: whatever its minimum, nothing grows."""


def find_autoscaler(
    kind: Kind, name: str, scalers: Iterable[Object], scaled_objects: Iterable[Object]
) -> Autoscaler | str | None:
    """Return what scales a target; text if that cannot be told, None if nothing does.

    KEDA scales by a HorizontalPodAutoscaler of its own, and undoes what others write to that.
    """
    found = [each for each in scaled_objects if _scales(each, kind, name)]
    if not found:
        found = [each for each in scalers if _scales(each, kind, name)]
    if len(found) > 1:
        names = ", ".join(sorted(f"{each['kind']} {each['metadata']['name']}" for each in found))
        return f"{kind.kind} {name} is scaled by several: {names}; delete all but one"
    return _autoscaler(found[0]) if found else None


def is_made_by_keda(scaler: Object) -> bool:
    """Tell whether a HorizontalPodAutoscaler belongs to a ScaledObject."""
    owners = scaler["metadata"].get("ownerReferences") or ()
    return any(owner["kind"] == SCALED_OBJECT.kind for owner in owners)


def _scales(live: Object, kind: Kind, name: str) -> bool:
    reference = live["spec"].get("scaleTargetRef") or {}
    group = str(reference.get("apiVersion", "apps/v1")).rpartition("/")[0]
    wanted = (kind.group, kind.kind, name)
    return (group, reference.get("kind", "Deployment"), reference.get("name")) == wanted


def _autoscaler(live: Object) -> Autoscaler:
    metadata, spec, kind = live["metadata"], live["spec"], live["kind"]
    field = MINIMUM_FIELD[kind]
    annotations = metadata.get("annotations") or {}
    maximum = spec.get(
        "maxReplicas" if kind == HORIZONTAL_POD_AUTOSCALER.kind else "maxReplicaCount"
    )
    return Autoscaler(
        kind=kind,
        name=metadata["name"],
        uid=metadata["uid"],
        minimum=spec.get(field, _DEFAULT_MINIMUM[kind]),
        is_set=field in spec,
        maximum=_DEFAULT_MAXIMUM if maximum is None else maximum,
        paused=any(annotations.get(name, "false") != "false" for name in _PAUSED),
        last_writer=last_writer(live, field),
    )

"""How many replicas a target has: in its spec, or by its scale where nobody knows the field.

Of the kinds that the chart names further only that is known: they have a scale.
"""

from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ForbiddenError, NotFoundError
from firewatch.cluster.kinds import TARGET_KINDS, Kind, target_kind
from firewatch.settings import Settings

KIND_NOT_GRANTED = "KindNotGranted"
NOT_SCALABLE = "NotScalable"


@dataclass(frozen=True)
class Size:
    """The replicas of a target."""

    replicas: int
    """As they should be."""
    ready: int
    """As they are."""
    paused: bool


def is_extra(kind: Kind) -> bool:
    """Tell whether a kind of targets is one that only the chart names."""
    return kind not in TARGET_KINDS


def kind_not_granted(kind: str) -> str:
    """Return what is said of a target whose kind is not one of those that may be changed."""
    return (
        f"Firewatch may not change a {kind}; if it has a scale subresource, add its group, kind and"
        " resource to targets.extraKinds of the chart"
    )


def granted_kind(settings: Settings, name: str) -> Kind:
    """Return the kind of a target; ``ForbiddenError`` if it may not be changed any more."""
    kind = target_kind(settings, name)
    if kind is None:
        raise ForbiddenError(kind_not_granted(name), reason=KIND_NOT_GRANTED)
    return kind


async def read_scale(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Object | None:
    """Return the scale of a target, where its replicas cannot be read from its spec."""
    if not is_extra(kind):
        return None
    try:
        # A name has no slash, so this is the path of the subresource.
        return await cluster.get(kind, namespace, f"{name}/scale")
    except NotFoundError:
        return None


def size_of(kind: Kind, live: Object, scale: Object | None) -> Size:
    """Return the replicas of a target; ``ForbiddenError`` if it cannot be scaled at all."""
    spec, status = live.get("spec") or {}, live.get("status") or {}
    if not is_extra(kind):
        paused = bool(spec.get("paused", False))
        return Size(spec.get("replicas", 1), status.get("readyReplicas", 0), paused)
    if scale is None:
        name = f"{kind.kind} {live['metadata']['name']}"
        message = (
            f"{name} has no scale, by which alone it may be changed; name another target, or have its"
            " CustomResourceDefinition offer the subresource"
        )
        raise ForbiddenError(message, reason=NOT_SCALABLE)
    running = (scale.get("status") or {}).get("replicas", 0)
    return Size(
        # The API leaves out a number that is 0.
        replicas=(scale.get("spec") or {}).get("replicas", 0),
        ready=status.get("readyReplicas", running),
        paused=spec.get("paused") is True,
    )

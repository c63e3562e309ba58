"""Desired objects against live ones: server-side apply that writes only what differs."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Literal

from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster, Labels, Verb, Write
from firewatch.cluster.errors import ConflictError, absent_is_fine
from firewatch.cluster.find import find
from firewatch.cluster.kinds import Kind
from firewatch.settings import FIELD_MANAGER, MANAGED_BY

HASH_ANNOTATION = "monitoring.freeagentics.io/applied-hash"


def with_hash(desired: Object) -> Object:
    """Return the object with the hash of its content in an annotation."""
    text = json.dumps(desired, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    metadata = desired["metadata"]
    annotations = {**metadata.get("annotations", {}), HASH_ANNOTATION: digest}
    return {**desired, "metadata": {**metadata, "annotations": annotations}}


def covers(live: Any, desired: Any) -> bool:
    """Tell whether the live value holds everything that is desired.

    Maps may hold more (defaults, other managers' fields). Lists must be equal in length and order,
    since the objects that builders make own their lists whole.
    """
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(
            covers(live.get(key), value) for key, value in desired.items()
        )
    if isinstance(desired, list):
        return (
            isinstance(live, list) and len(live) == len(desired) and all(map(covers, live, desired))
        ) or (live is None and not desired)
    return live == desired or (live is None and desired in ({}, ""))


def is_ours(live: Object) -> bool:
    """Tell whether an object is ours: by its label, or because we have applied to it."""
    metadata = live["metadata"]
    labelled = MANAGED_BY.items() <= metadata.get("labels", {}).items()
    return labelled or any(
        entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
        for entry in metadata.get("managedFields", ())
    )


@dataclass(frozen=True)
class Applied:
    """Outcome of applying one object."""

    live: Object
    written: bool


class Reading(Enum):
    """Whether an object has been read."""

    UNREAD = auto()


UNREAD: Final = Reading.UNREAD


async def apply(
    cluster: Cluster,
    kind: Kind,
    desired: Object,
    *,
    known: Object | Literal[Reading.UNREAD] | None = UNREAD,
) -> Applied:
    """Make one object as desired, without a write if it is so already.

    ``known`` is the object as just read, None if there was none, so that it need not be read again.
    ``ConflictError`` if an object of that name is there and is not ours.
    """
    wanted = with_hash(desired)
    metadata = wanted["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    live = await find(cluster, kind, namespace, name) if known is UNREAD else known
    if live is not None and covers(live, wanted):
        return Applied(live, written=False)
    if live is not None and not is_ours(live):
        # The API server reports a conflict only if both set the same field.
        raise ConflictError(
            f"{kind.kind} {name} is there already and was not made by Firewatch;"
            " rename or delete it, or rename the resource that needs it"
        )
    # Without force where nothing was: somebody may have made it in between.
    write = Write(Verb.APPLY, kind, namespace, name, wanted, force=live is not None)
    return Applied(await cluster.write(write), written=True)


async def prune(
    cluster: Cluster,
    kinds: Iterable[Kind],
    *,
    namespace: str,
    labels: Labels,
    keep: frozenset[tuple[str, str]],
) -> list[str]:
    """Delete our objects with these labels that are not wanted any more.

    ``keep`` holds (kind, name). Returns what was deleted, as ``Kind/name``.
    """
    deleted: list[str] = []
    for kind in kinds:
        for live in await cluster.list(kind, namespace, {**MANAGED_BY, **labels}):
            metadata = live["metadata"]
            key = (kind.kind, metadata["name"])
            if key in keep or "deletionTimestamp" in metadata:
                continue
            await delete(cluster, kind, live)
            deleted.append("/".join(key))
    return deleted


async def delete_ours(cluster: Cluster, kind: Kind, namespace: str, name: str) -> None:
    """Delete an object by name, if it is there and ours."""
    live = await find(cluster, kind, namespace, name)
    if live and is_ours(live):
        await delete(cluster, kind, live)


async def delete(cluster: Cluster, kind: Kind, live: Object, *, orphan: bool = False) -> None:
    """Delete this very object; it is fine if it is gone already.

    With ``orphan`` what it owns stays, without an owner.
    """
    metadata = live["metadata"]
    body = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": metadata["uid"]},
        "propagationPolicy": "Orphan" if orphan else "Background",
    }
    with absent_is_fine():
        await cluster.write(Write(Verb.DELETE, kind, metadata["namespace"], metadata["name"], body))

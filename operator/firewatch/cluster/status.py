"""Status of our own kinds: written once per pass, and only when it differs."""

from firewatch.api.resource import Object, Status
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.kinds import Kind


def dump_status(status: Status) -> Object:
    """Return a status as JSON data, without fields that are not set."""
    data: Object = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return data


async def write_status(
    cluster: Cluster,
    kind: Kind,
    live: Object,
    status: Status | Object,
    *,
    at_version: bool = False,
) -> Object:
    """Make the status of a live object as given and return the object as it then is.

    ``ConflictError`` if it is another object by now, and with ``at_version`` also if it has
    changed in any way since it was read.
    """
    before = live.get("status", {})
    after = dump_status(status) if isinstance(status, Status) else status
    if before == after:
        return live
    metadata = live["metadata"]
    # Not a merge patch: on /status the API server pays no heed to the uid in it.
    patch = [{"op": "test", "path": "/metadata/uid", "value": metadata["uid"]}]
    if at_version:
        seen = metadata["resourceVersion"]
        patch.append({"op": "test", "path": "/metadata/resourceVersion", "value": seen})
    patch += _changes(before, after)
    return await cluster.write(
        Write(Verb.JSON_PATCH, kind, metadata["namespace"], metadata["name"], patch, "status")
    )


def _changes(before: Object, after: Object) -> list[Object]:
    """Return the JSON patch of the parts that differ, so that another writer's parts stay."""
    if not before:
        return [{"op": "add", "path": "/status", "value": after}]
    gone = sorted(before.keys() - after.keys())
    changed = sorted(key for key, value in after.items() if before.get(key) != value)
    return [
        *({"op": "remove", "path": f"/status/{key}"} for key in gone),
        *({"op": "add", "path": f"/status/{key}", "value": after[key]} for key in changed),
    ]

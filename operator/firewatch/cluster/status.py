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

    With ``at_version`` the write is refused with ``ConflictError`` unless the object is still the
    one that was read.
    """
    before = live.get("status", {})
    after = dump_status(status) if isinstance(status, Status) else status
    if before == after:
        return live
    removed = dict.fromkeys(before.keys() - after.keys())
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    metadata = live["metadata"]
    body: Object = {
        "metadata": {"uid": metadata["uid"]},
        "status": _patch(before, changed, removed),
    }
    if at_version:
        body["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    return await cluster.write(
        Write(Verb.MERGE, kind, metadata["namespace"], metadata["name"], body, "status")
    )


def _patch(before: Object, changed: Object, removed: Object) -> Object:
    """Return the merge patch; nested maps need nulls for keys that go."""
    patch: Object = dict(removed)
    for key, value in changed.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            gone = dict.fromkeys(old.keys() - value.keys())
            patch[key] = _patch(old, value, gone)
        else:
            patch[key] = value
    return patch

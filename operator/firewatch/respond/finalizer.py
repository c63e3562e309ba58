"""The finalizer: an AutoResponse has it while, and only while, something is owed to a target."""

from firewatch.api.resource import GROUP, Object
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.kinds import AUTO_RESPONSE

FINALIZER = f"{GROUP}/restore"


def has_finalizer(live: Object) -> bool:
    """Tell whether deletion of the object waits for us."""
    return FINALIZER in live["metadata"].get("finalizers", ())


async def add_finalizer(cluster: Cluster, live: Object) -> Object:
    """Make deletion wait for us, and return the object as it then is.

    What is being deleted already takes no further finalizer; whatever holds it decides.
    """
    if "deletionTimestamp" in live["metadata"]:
        return live
    held = live["metadata"].get("finalizers", [])
    return await _write(cluster, live, [*held, FINALIZER])


async def remove_finalizer(cluster: Cluster, live: Object) -> Object:
    """Let deletion go on, and return the object as it then is."""
    return await _write(
        cluster, live, [f for f in live["metadata"]["finalizers"] if f != FINALIZER]
    )


async def _write(cluster: Cluster, live: Object, finalizers: list[str]) -> Object:
    """Replace the finalizers if they still are as they were read."""
    metadata = live["metadata"]
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        # A path that is not there equals null.
        {"op": "test", "path": "/metadata/finalizers", "value": metadata.get("finalizers")},
        {"op": "add", "path": "/metadata/finalizers", "value": finalizers},
    ]
    write = Write(Verb.JSON_PATCH, AUTO_RESPONSE, metadata["namespace"], metadata["name"], patch)
    return await cluster.write(write)

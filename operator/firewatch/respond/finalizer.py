"""The finalizer: an AutoResponse has it while, and only while, something is owed to a target."""

from firewatch.api.resource import GROUP, Object
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.kinds import AUTO_RESPONSE

FINALIZER = f"{GROUP}/restore"


def has_finalizer(live: Object) -> bool:
    """Tell whether deletion of the object waits for us."""
    return FINALIZER in live["metadata"].get("finalizers", ())


async def add_finalizer(cluster: Cluster, live: Object) -> Object:
    """Make deletion wait for us, and return the object as it then is."""
    return await _write(cluster, live, [*live["metadata"].get("finalizers", ()), FINALIZER])


async def remove_finalizer(cluster: Cluster, live: Object) -> Object:
    """Let deletion go on, and return the object as it then is."""
    others = [name for name in live["metadata"]["finalizers"] if name != FINALIZER]
    return await _write(cluster, live, others)


async def _write(cluster: Cluster, live: Object, finalizers: list[str]) -> Object:
    metadata = live["metadata"]
    body = {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "finalizers": finalizers,
        }
    }
    write = Write(Verb.MERGE, AUTO_RESPONSE, metadata["namespace"], metadata["name"], body)
    return await cluster.write(write)

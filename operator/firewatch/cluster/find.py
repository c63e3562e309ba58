"""Reading an object that need not be there."""

from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import Kind


async def find(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Object | None:
    """Return an object, or None if there is none."""
    try:
        return await cluster.get(kind, namespace, name)
    except NotFoundError:
        return None

"""Reading what need not be there."""

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


async def find_all(cluster: Cluster, kind: Kind, namespace: str) -> list[Object] | None:
    """Return the objects of a kind in a namespace, or None if the kind is not installed."""
    try:
        return await cluster.list(kind, namespace)
    except NotFoundError:
        return None

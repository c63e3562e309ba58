"""Kubernetes Events: what people see in ``kubectl describe``."""

from datetime import datetime

from firewatch.api.conditions import format_time
from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.errors import ForbiddenError
from firewatch.cluster.kinds import EVENT
from firewatch.settings import FIELD_MANAGER

_NOTE_LIMIT = 1024


async def post_event(
    cluster: Cluster,
    involved: Object,
    *,
    reason: str,
    message: str,
    now: datetime,
    warning: bool = False,
) -> None:
    """Post an Event on an object; one that its terminating namespace refuses is dropped."""
    metadata = involved["metadata"]
    namespace = metadata["namespace"]
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name'][:200]}.", "namespace": namespace},
        "involvedObject": {
            "apiVersion": involved["apiVersion"],
            "kind": involved["kind"],
            "namespace": namespace,
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "reason": reason,
        "message": message[:_NOTE_LIMIT],
        "type": "Warning" if warning else "Normal",
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "firstTimestamp": format_time(now),
        "lastTimestamp": format_time(now),
        "count": 1,
    }
    try:
        await cluster.write(Write(Verb.CREATE, EVENT, namespace, metadata["name"], body))
    except ForbiddenError as error:
        if "being terminated" not in str(error):
            raise

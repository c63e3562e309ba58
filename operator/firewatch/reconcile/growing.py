"""Reading the claims of a stack, and asking for other sizes."""

from collections.abc import Sequence

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.errors import ClusterError, UnreachableError
from firewatch.cluster.kinds import PERSISTENT_VOLUME_CLAIM
from firewatch.reconcile.volumes import Course, Refusals, Volume
from firewatch.settings import MANAGED_BY, STACK_LABEL


async def gather_claims(cluster: Cluster, stack: Stack) -> list[Object]:
    """Read the claims of a stack, also those that an earlier stack of its name has left."""
    labels = {**MANAGED_BY, STACK_LABEL: names.stack_label(stack.name)}
    return await cluster.list(PERSISTENT_VOLUME_CLAIM, stack.namespace, labels)


async def resize_volumes(cluster: Cluster, volumes: Sequence[Volume]) -> Refusals:
    """Have the claims ask for what is wanted; return which may not, and why.

    All are tried first without effect: replicas of one server should not differ because the last
    one of them was refused. The API server itself checks ``allowVolumeExpansion`` of the
    StorageClass, so the operator needs no right to read that.
    """
    asking = [volume for volume in volumes if volume.course() is Course.ASK]
    refusals = {}
    for volume in asking:
        if refusal := await _ask(cluster, volume, dry_run=True):
            refusals[volume.name] = refusal
    if not refusals:
        for volume in asking:
            if refusal := await _ask(cluster, volume, dry_run=False):
                refusals[volume.name] = refusal
    return refusals


async def _ask(cluster: Cluster, volume: Volume, *, dry_run: bool) -> tuple[str, str] | None:
    metadata = volume.claim["metadata"]
    path = "/spec/resources/requests/storage"
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "test", "path": path, "value": volume.requested},
        {"op": "replace", "path": path, "value": volume.wanted},
    ]
    write = Write(
        Verb.JSON_PATCH,
        PERSISTENT_VOLUME_CLAIM,
        metadata["namespace"],
        volume.name,
        patch,
        dry_run=dry_run,
    )
    try:
        await cluster.write(write)
    except UnreachableError:
        raise
    except ClusterError as error:
        return _refusal(str(error))
    return None


def _refusal(words: str) -> tuple[str, str]:
    if "must support resize" in words:
        return (
            "ExpansionNotAllowed",
            "its StorageClass does not have allowVolumeExpansion, or it was not provisioned by one",
        )
    if "exceeded quota" in words:
        return ("QuotaExceeded", words)
    return ("ResizeRefused", words)

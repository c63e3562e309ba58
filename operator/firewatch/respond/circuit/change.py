"""Writing a field that a circuit breaker holds, if it still is as it was read."""

import json
import logging
from collections.abc import Iterable

from firewatch.api.circuit import Change
from firewatch.api.resource import Object
from firewatch.cluster.apply import delete
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.errors import ClusterError, ConflictError, InvalidError, NotFoundError
from firewatch.cluster.kinds import (
    BREAKER_KINDS,
    CONFIG_MAP,
    DEPLOYMENT,
    DESTINATION_RULE,
    POD,
    REPLICA_SET,
    SERVICE,
    Kind,
)
from firewatch.respond.circuit.levers import as_text, patch_of
from firewatch.respond.circuit.mesh import WHOLE
from firewatch.respond.circuit.rollback import TEMPLATE
from firewatch.respond.circuit.see import (
    find_field,
    is_managed,
    lasting_template,
    present_replica_set,
)
from firewatch.respond.circuit.shed import REPLICAS
from firewatch.settings import MANAGED_BY

_log = logging.getLogger(__name__)

SYNCED_AT = "monitoring.freeagentics.io/synced-at"
"""Annotation of a pod: changing it has kubelet look after the pod's files."""
_KINDS = (*BREAKER_KINDS, SERVICE, POD, CONFIG_MAP, DESTINATION_RULE)
_ANNOTATIONS = "/metadata/annotations/"


async def write_change(
    cluster: Cluster, namespace: str, change: Change, *, dry_run: bool = False
) -> None:
    """Write what a change announces; ``ConflictError`` if the field is another by now."""
    kind = next(each for each in _KINDS if each.kind == change.kind)
    subresource = "scale" if change.field == REPLICAS else ""
    if change.field == WHOLE:
        await _write_whole(cluster, namespace, change, dry_run=dry_run)
        return
    if change.field == TEMPLATE:
        patch = await _template_patch(cluster, namespace, change)
    elif kind is CONFIG_MAP or change.field.startswith(_ANNOTATIONS):
        patch = await _read_patch(cluster, kind, namespace, change)
    else:
        patch = [*patch_of(change)]
    write = Write(
        Verb.JSON_PATCH, kind, namespace, change.name, patch, subresource, dry_run=dry_run
    )
    await cluster.write(write)


async def hurry_kubelet(cluster: Cluster, namespace: str, pods: Iterable[str], at: str) -> None:
    """Have pods' files brought up to date at once, and not when kubelet gets to it, after a minute or so.

    It does so when a pod changes; nothing depends on it.
    """
    body = {"metadata": {"annotations": {SYNCED_AT: at}}}
    for name in pods:
        try:
            await cluster.write(Write(Verb.MERGE, POD, namespace, name, body))
        except ClusterError as error:
            _log.info("pod %s/%s takes its time with its files: %s", namespace, name, error)


async def _read_patch(cluster: Cluster, kind: Kind, namespace: str, change: Change) -> list[Object]:
    """Return the patch that writes a key of a ConfigMap, or an annotation.

    Any text may stand there, and the API server compares texts as it writes them, not as they are.
    """
    live = await _find(cluster, kind, namespace, change.name)
    value = find_field(live, change.field)
    if (None if value is None else as_text(value)) != change.written:
        raise ConflictError(f"{change.field} of {change.kind} {change.name} is another by now")
    uid, _, write = patch_of(change)
    has_none = change.field.startswith(_ANNOTATIONS) and "annotations" not in live["metadata"]
    first = [{"op": "add", "path": "/metadata/annotations", "value": {}}] if has_none else []
    return [uid, _same(live), *first, write]


async def _find(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Object:
    """Return an object; of Services there is a right to list them only."""
    if kind is not SERVICE:
        return await cluster.get(kind, namespace, name)
    found = await cluster.list(kind, namespace, fields={"metadata.name": name})
    if not found:
        raise NotFoundError(f"Service {name} is gone")
    return found[0]


async def _write_whole(cluster: Cluster, namespace: str, change: Change, *, dry_run: bool) -> None:
    """Make an object of ours, or delete it."""
    if change.intended is not None:
        body = {
            "apiVersion": DESTINATION_RULE.api_version,
            "kind": DESTINATION_RULE.kind,
            "metadata": {"name": change.name, "namespace": namespace, "labels": {**MANAGED_BY}},
            "spec": json.loads(change.intended),
        }
        write = Write(Verb.CREATE, DESTINATION_RULE, namespace, change.name, body, dry_run=dry_run)
        await cluster.write(write)
        return
    found = await cluster.list(DESTINATION_RULE, namespace)
    for live in found:
        if live["metadata"]["name"] == change.name and is_managed(live):
            await delete(cluster, DESTINATION_RULE, live)


async def _template_patch(cluster: Cluster, namespace: str, change: Change) -> list[Object]:
    """Return the patch that gives a Deployment the pod template of a ReplicaSet.

    As ``kubectl rollout undo`` does it: without the label that the Deployment controller gives.
    """
    live = await cluster.get(DEPLOYMENT, namespace, change.name)
    replica_sets = await cluster.list(REPLICA_SET, namespace)
    if present_replica_set(live, replica_sets) != _name(change.written):
        raise ConflictError(f"the pod template of Deployment {change.name} is another by now")
    wanted = _name(change.intended)
    found = next((each for each in replica_sets if each["metadata"]["name"] == wanted), None)
    if found is None:
        message = f"ReplicaSet {wanted}, whose pod template it would be given, is gone"
        raise InvalidError(f"Deployment {change.name}: {message}")
    return [
        {"op": "test", "path": "/metadata/uid", "value": change.uid},
        _same(live),
        {"op": "replace", "path": TEMPLATE, "value": lasting_template(found)},
    ]


def _name(text: str | None) -> str:
    return "" if text is None else str(json.loads(text))


def _same(live: Object) -> Object:
    version = live["metadata"]["resourceVersion"]
    return {"op": "test", "path": "/metadata/resourceVersion", "value": version}

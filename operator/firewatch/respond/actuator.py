"""Writes to a target and to what scales it (pure): each fails if what it builds on has changed."""

from firewatch.api.ledger import Ledger
from firewatch.api.resource import Object
from firewatch.api.restart import RESTARTED_AT
from firewatch.cluster.client import Verb, Write
from firewatch.cluster.kinds import AUTOSCALER_KINDS, TARGET_KINDS, Kind
from firewatch.respond.autoscalers import MINIMUM_FIELD
from firewatch.respond.situation import Target


def replicas_write(
    target: Target, namespace: str, replicas: int, *, dry_run: bool = False
) -> Write:
    """Return the write of a target's replicas."""
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": target.uid},
        {"op": "test", "path": "/spec/replicas", "value": target.replicas},
        {"op": "replace", "path": "/spec/replicas", "value": replicas},
    ]
    kind = target.extra or _kind(TARGET_KINDS, target.kind)
    return Write(Verb.JSON_PATCH, kind, namespace, target.name, patch, "scale", dry_run=dry_run)


def level_write(
    target: Target,
    namespace: str,
    level: int,
    ledger: Ledger | None = None,
    *,
    dry_run: bool = False,
) -> Write:
    """Return the write of a target's replicas, or of the minimum of what scales it.

    A minimum that was not set before, as the ledger says, is removed when it goes back.
    """
    scaler = target.autoscaler
    if scaler is None:
        return replicas_write(target, namespace, level, dry_run=dry_run)
    path = f"/spec/{MINIMUM_FIELD[scaler.kind]}"
    was_set = ledger is None or ledger.autoscaler is None or ledger.autoscaler.was_set
    is_back = ledger is not None and level == ledger.baseline
    change = (
        {"op": "remove", "path": path}
        if is_back and not was_set
        else {"op": "add", "path": path, "value": level}
    )
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": scaler.uid},
        # A path that is not there equals null.
        {"op": "test", "path": path, "value": scaler.minimum if scaler.is_set else None},
        change,
    ]
    kind = _kind(AUTOSCALER_KINDS, scaler.kind)
    return Write(Verb.JSON_PATCH, kind, namespace, scaler.name, patch, dry_run=dry_run)


def restart_write(target: Target, namespace: str, at: str, *, dry_run: bool = False) -> Write:
    """Return the write that has a target's pods renewed, if its spec still is as it was read."""
    place, renewal = "/spec/template/metadata/annotations", target.renewal
    path = f"{place}/{RESTARTED_AT.replace('/', '~1')}"
    if renewal.is_annotated:
        test = {"op": "test", "path": path, "value": renewal.restarted_at or None}
        change: Object = {"op": "add", "path": path, "value": at}
    else:
        test = {"op": "test", "path": place, "value": None}
        change = {"op": "add", "path": place, "value": {RESTARTED_AT: at}}
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": target.uid},
        {"op": "test", "path": "/metadata/generation", "value": renewal.generation},
        test,
        change,
    ]
    kind = _kind(TARGET_KINDS, target.kind)
    return Write(Verb.JSON_PATCH, kind, namespace, target.name, patch, dry_run=dry_run)


def _kind(kinds: tuple[Kind, ...], name: str) -> Kind:
    return next(kind for kind in kinds if kind.kind == name)

"""Writes to a target."""

from firewatch.cluster.client import Verb, Write
from firewatch.cluster.kinds import DEPLOYMENT
from firewatch.respond.situation import Target


def scale_write(target: Target, namespace: str, replicas: int, *, dry_run: bool = False) -> Write:
    """Return the write of a target's replicas; it fails if uid or replicas have changed."""
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": target.uid},
        {"op": "test", "path": "/spec/replicas", "value": target.replicas},
        {"op": "replace", "path": "/spec/replicas", "value": replicas},
    ]
    return Write(
        Verb.JSON_PATCH, DEPLOYMENT, namespace, target.name, patch, "scale", dry_run=dry_run
    )

"""Conditions that stacks and policies have in common (pure)."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import ValidationError

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.resource import Object, Status
from firewatch.api.visualization import DashboardLeftOut
from firewatch.cluster.errors import ClusterError, ConflictError, ForbiddenError, InvalidError

ACCEPTED = "Accepted"
APPLIED = "Applied"
AVAILABLE = "Available"
LOADED = "Loaded"
SECRETS_PRESENT = "SecretsPresent"
ROUTES_ACCEPTED = "RoutesAccepted"
ALERTMANAGER_LOADED = "AlertmanagerLoaded"
NOTIFYING = "Notifying"
GRAFANA_LOADED = "GrafanaLoaded"
DASHBOARDS_LOADED = "DashboardsLoaded"
ROUTED = "Routed"
RECEIVERS_VERIFIED = "ReceiversVerified"
NOTIFICATION_CONDITIONS = (
    SECRETS_PRESENT,
    ROUTES_ACCEPTED,
    ALERTMANAGER_LOADED,
    NOTIFYING,
    RECEIVERS_VERIFIED,
)
"""Conditions of a stack that the pass over its notifications finds out."""
STORAGE_READY = "StorageReady"
TESTED = "Tested"
REJECTED_BY_SERVER = "RejectedByServer"
"""Reason: our checks let it pass, and the server that is to run it does not take it."""

S = TypeVar("S", bound=Status)


def read_status(model: type[S], live: Object) -> S:
    """Return the status of a live object, or an empty one if it cannot be read."""
    try:
        return model.model_validate(live.get("status", {}))
    except ValidationError:
        return model()


def dashboards_loaded(left_out: Sequence[DashboardLeftOut], message: str) -> Finding:
    """Return whether Grafana has its dashboards; ``message`` is what to say if none is left out."""
    if not left_out:
        return good(DASHBOARDS_LOADED, "Loaded", message)
    more = f" ({len(left_out) - 1} more in status.visualization.leftOut)" if left_out[1:] else ""
    said = f"{left_out[0].source} is left out: {left_out[0].message}{more}"
    return bad(DASHBOARDS_LOADED, "DashboardLeftOut", said)


def not_granted(namespace: str) -> Finding:
    """Return that the operator has no rights in a namespace, and what to do."""
    return bad(
        ACCEPTED,
        "NamespaceNotGranted",
        f"Firewatch may not run stacks in namespace {namespace}; add it to stacks.namespaces of"
        " the chart",
    )


def not_applied(kind: str, name: str, error: ClusterError) -> Finding:
    """Return why an object could not be written, and what to do."""
    what = f"{kind} {name}"
    if isinstance(error, ConflictError):
        return bad(
            APPLIED,
            "Conflict",
            f"{what} is there and somebody else's: {error}; delete or rename it",
        )
    if isinstance(error, ForbiddenError):
        return bad(APPLIED, "Forbidden", f"{what}: {error}")
    if isinstance(error, InvalidError):
        return bad(APPLIED, "Invalid", f"{what}: {error}")
    return bad(APPLIED, "Failed", f"{what}: {error}")

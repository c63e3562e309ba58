"""The action ``restart``: renew the pods of a target once while an alert fires."""

from enum import StrEnum

from pydantic import Field

from firewatch.api.ledger import Effect, LedgerTarget
from firewatch.api.resource import Model, Status

RESTARTED_AT = "monitoring.freeagentics.io/restarted-at"
"""Annotation of a pod template: changing it renews the pods, one after the other."""


class Restart(Model):
    """All pods are renewed once while the alert fires, one after the other.

    As by ``kubectl rollout restart``. Nothing is put back. It needs the chart's ``targets.restart``. Refused while pods are being
    renewed anyway, or fewer are ready than the target's own strategy or a PodDisruptionBudget asks for,
    with the strategies ``Recreate`` and ``OnDelete``, and for a paused target.
    """


class RestartState(StrEnum):
    """How far a restart has come."""

    ANNOUNCED = "Announced"
    DONE = "Done"
    SKIPPED = "Skipped"


class RestartRecord(Status):
    """A restart, written down before it is done, and kept until its alert is over."""

    target: LedgerTarget
    """The very object that is restarted."""
    alert: str = Field(default="", max_length=64)
    """Identity of the alert."""
    alert_name: str = Field(max_length=256)
    """Name of the alert."""
    at: str = Field(max_length=32)
    """When it was announced (RFC 3339, UTC): what the annotation of the pod template says then."""
    generation: int = Field(ge=0)
    """``metadata.generation`` of the target before."""
    state: RestartState = RestartState.ANNOUNCED
    """Announced, Done, or Skipped (somebody else changed the target just then, so that it cannot be told
    whether it was done; it is not done again).
    """
    resolved_at: str | None = Field(default=None, max_length=32)
    """Since when no matching alert is active."""
    orphaned_at: str | None = Field(default=None, max_length=32)
    """Since when the alert's rule is gone from Prometheus."""
    effect: Effect | None = None
    """Whether it helps; empty if ``rails.verifyWithin`` asks for nothing."""

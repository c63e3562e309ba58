"""What is known of a change whose record is lost, as after a restore from a backup without status."""

from pydantic import Field

from firewatch.api.resource import Status


class LostLedger(Status):
    """That a target may have been changed, and nobody knows from what."""

    found_at: str = Field(max_length=32)
    """When that was found out (RFC 3339, UTC)."""
    level: int | None = Field(default=None, ge=0)
    """The target's replicas, or its autoscaler's minimum, at that time; once it is another,
    somebody has decided.
    """
    resolved_at: str | None = Field(default=None, max_length=32)
    """Since when the alert has resolved. Before that nothing is done on the target; afterwards its
    next response counts from what it then has.
    """

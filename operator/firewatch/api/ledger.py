"""What AutoResponses have changed: written before the change itself, so that it can be undone."""

from enum import StrEnum

from pydantic import Field

from firewatch.api.resource import Status


class Verdict(StrEnum):
    """Whether something has helped."""

    UNKNOWN = "Unknown"
    IMPROVED = "Improved"
    INEFFECTIVE = "Ineffective"


class Effect(Status):
    """Whether what was done helps against the alert."""

    value: float | None = None
    """What the alert's rule measured at first, where more of it is worse."""
    since: str | None = Field(default=None, max_length=32)
    """Since when all that was asked for is there (RFC 3339, UTC)."""
    verdict: Verdict = Verdict.UNKNOWN
    """Unknown (yet), Improved, or Ineffective."""


class Claim(Status):
    """One AutoResponse's wish for the target."""

    response: str = Field(max_length=253)
    """Name of the AutoResponse."""
    uid: str = Field(max_length=64)
    """Its uid."""
    alert: str = Field(max_length=64)
    """Identity of the alert that opened the claim (hash of its labels)."""
    alert_name: str = Field(max_length=256)
    """Name of that alert."""
    floor: int = Field(ge=1)
    """Replicas that this claim asks for, computed from the baseline."""
    steps: int = Field(default=0, ge=0)
    """How many steps it has escalated."""
    since: str = Field(max_length=32)
    """When the claim was opened (RFC 3339, UTC)."""
    resolved_at: str | None = Field(default=None, max_length=32)
    """Since when no matching alert is active; empty while one is, or while it cannot be told."""
    orphaned_at: str | None = Field(default=None, max_length=32)
    """Since when the alert's rule is gone from Prometheus."""
    effect: Effect | None = None
    """Whether it helps; empty if ``rails.verifyWithin`` asks for nothing."""


class LedgerTarget(Status):
    """The very object that was changed."""

    kind: str = Field(max_length=64)
    """Kind of the target."""
    name: str = Field(max_length=253)
    """Name of the target."""
    uid: str = Field(max_length=64)
    """Uid of the target: an object of the same name made anew is not this one."""


class LedgerAutoscaler(Status):
    """The very autoscaler whose minimum was raised."""

    kind: str = Field(max_length=64)
    """HorizontalPodAutoscaler or ScaledObject."""
    name: str = Field(max_length=253)
    """Name of the autoscaler."""
    uid: str = Field(max_length=64)
    """Uid of the autoscaler."""
    was_set: bool = True
    """Whether the minimum was written in it before; if not, it is removed again."""


class Ledger(Status):
    """What the operator changed on the target, written before the change itself."""

    schema_version: int = Field(alias="schema", ge=0)
    """Version of this record; an operator that does not know it holds still."""
    target: LedgerTarget
    """The very object that was changed."""
    autoscaler: LedgerAutoscaler | None = None
    """The autoscaler whose minimum was raised; if there is none, the target's own replicas were."""
    baseline: int
    """Replicas, or the autoscaler's minimum, before the first claim: what it goes back to."""
    written: int
    """The same after the operator's last confirmed write."""
    intended: int
    """What the operator is writing; differs from ``written`` only during a write."""
    counted_from: int | None = Field(default=None, ge=0)
    """Replicas from which steps are counted, where they are not the baseline: those that an
    autoscaler had set.
    """
    changed_at: str = Field(max_length=32)
    """When the operator last wrote to the target (RFC 3339, UTC)."""
    released_by: str = Field(default="", max_length=256)
    """Who else changed the target during the episode; the operator then leaves it alone."""
    reverts: int = Field(default=0, ge=0)
    """How often somebody else has put the baseline back during the episode."""
    reverted_by: str = Field(default="", max_length=256)
    """Who did that last."""
    claims: list[Claim] = Field(default=[], max_length=64)
    """Who asks for how much."""

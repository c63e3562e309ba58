"""The parts of an AlertPolicy that say whom its alerts are told: routes, escalation, inhibition."""

from pydantic import Field

from firewatch.api.receivers import ReceiverName
from firewatch.api.resource import Duration, Model
from firewatch.api.routing import GroupLabel, MatcherText, RouteBranch


class Escalation(Model):
    """Somebody else who is told when an alert is not over in time."""

    after: Duration
    """How long the condition of the alert has held by then, its ``for`` included."""
    receiver: ReceiverName
    """Name of the receiver that is told."""
    severity: str | None = Field(default=None, min_length=1, max_length=64)
    """Severity of what is told; that of the alert when left out."""


class PolicyRoute(RouteBranch):
    """Alerts that are told to a receiver, besides whom the stack tells.

    In a policy of another namespace than the stack's, it takes only alerts whose label ``namespace``
    is the policy's.
    """

    escalate: list[Escalation] = Field(default=[], max_length=4)
    """Who else is told when alerts of this route are not over in time. What is told carries the
    labels of the alert, so that a silence on the alert mutes it as well, unless the silence asks for
    a ``severity`` that the escalation changes.
    """


class Inhibition(Model):
    """Alerts that mute others while they fire.

    In a policy of another namespace than the stack's, both must have the policy's ``namespace``.
    """

    source: list[MatcherText] = Field(min_length=1, max_length=16)
    """Which alerts mute: all of these must match."""
    target: list[MatcherText] = Field(min_length=1, max_length=16)
    """Which alerts are muted: all of these must match."""
    equal: list[GroupLabel] = Field(default=[], max_length=16)
    """Labels that must have the same value in both."""

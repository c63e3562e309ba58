"""Routes: which alerts go to which receiver, how grouped, and when."""

from typing import Annotated

from pydantic import Field

from firewatch.api.receivers import ReceiverName
from firewatch.api.resource import Duration, Model

MatcherText = Annotated[str, Field(min_length=1, max_length=1024)]
"""A matcher as Alertmanager writes it: ``severity="critical"``, with = != =~ or !~."""
GroupLabel = Annotated[str, Field(min_length=1, max_length=128)]
IntervalName = Annotated[str, Field(pattern=r"^[^/]+$", min_length=1, max_length=128)]
_Clock = Annotated[str, Field(pattern=r"^((([01][0-9])|(2[0-3])):[0-5][0-9]|24:00)$")]
_DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
    "|[1-9]|1[0-2]"
)


class Grouping(Model):
    """Whom a route tells, and how alerts are gathered into messages."""

    receiver: ReceiverName | None = None
    """Name of the receiver; that of the route above when left out."""
    group_by: list[GroupLabel] | None = Field(default=None, max_length=32)
    """Labels by which alerts are put into one message; ``...`` alone gives every alert its own.
    As in the route above when left out.
    """
    group_wait: Duration | None = None
    """How long the first message of a group waits for further alerts."""
    # No rule that it be longer than 0: in a tree of lists that passes the API server's budget.
    group_interval: Duration | None = None
    """How long after a message the next one about new alerts of the same group may follow."""
    repeat_interval: Duration | None = None
    """How long until alerts that still fire are told again."""


class RouteLeaf(Grouping):
    """Alerts that are told to a receiver."""

    matchers: list[MatcherText] = Field(default=[], max_length=32)
    """Which alerts: all of these must match. Without any, all alerts of the route above."""
    continue_: bool = Field(default=False, alias="continue")
    """Whether the routes after this one are looked at as well when this one has matched."""
    mute_time_intervals: list[IntervalName] = Field(default=[], max_length=16)
    """Time intervals, by name, in which nothing is sent."""
    active_time_intervals: list[IntervalName] = Field(default=[], max_length=16)
    """Time intervals, by name, outside of which nothing is sent."""


class RouteBranch(RouteLeaf):
    """Alerts that are told to a receiver, with exceptions."""

    routes: list[RouteLeaf] = Field(default=[], max_length=32)
    """Exceptions: the first route that matches is taken, unless it says ``continue``."""


class Route(RouteLeaf):
    """Alerts that are told to a receiver, with exceptions."""

    routes: list[RouteBranch] = Field(default=[], max_length=32)
    """Exceptions: the first route that matches is taken, unless it says ``continue``."""


class RootRoute(Grouping):
    """The route that every alert takes for which no route below it matches."""

    receiver: ReceiverName
    """Name of the receiver of what no other route takes."""
    routes: list[Route] = Field(default=[], max_length=128)
    """Routes for some alerts: the first that matches is taken, unless it says ``continue``."""


class TimeRange(Model):
    """A part of the day."""

    start_time: _Clock
    """When it begins, as ``08:00``."""
    end_time: _Clock
    """When it ends, as ``18:00`` or ``24:00``."""


class TimeSpan(Model):
    """Times for which everything that is set here holds."""

    times: list[TimeRange] = Field(default=[], max_length=16)
    """Parts of the day."""
    weekdays: list[Annotated[str, Field(pattern=rf"^({_DAYS})(:({_DAYS}))?$")]] = Field(
        default=[], max_length=7
    )
    """Days of the week, as ``saturday`` or ``monday:friday``; the week begins on Sunday."""
    days_of_month: list[
        Annotated[str, Field(pattern=r"^-?[1-9][0-9]?(:-?[1-9][0-9]?)?$", max_length=8)]
    ] = Field(default=[], max_length=31)
    """Days of the month, as ``1`` or ``1:5``; -1 is the last one."""
    months: list[Annotated[str, Field(pattern=rf"^({_MONTHS})(:({_MONTHS}))?$")]] = Field(
        default=[], max_length=12
    )
    """Months, as ``december`` or ``1:3``."""
    years: list[Annotated[str, Field(pattern=r"^[0-9]{4}(:[0-9]{4})?$", max_length=9)]] = Field(
        default=[], max_length=16
    )
    """Years, as ``2026`` or ``2026:2028``."""
    location: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$", max_length=64)
    """Time zone, as ``Europe/Berlin``; UTC when left out."""


class TimeInterval(Model):
    """Times with a name, for routes that send or keep still by the clock."""

    name: IntervalName
    """Name, by which routes refer to it."""
    time_intervals: list[TimeSpan] = Field(min_length=1, max_length=16)
    """The times: those of any entry."""

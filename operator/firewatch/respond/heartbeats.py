"""Whether pushes still arrive, told by an alert that always fires.

What is not pushed is found by asking, some seconds later, so that nobody would notice that pushes have
stopped. Where something must be heard of a source again and again, silence has a meaning.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from firewatch.api.alert_source import ExternalSource
from firewatch.api.resource import Key, parse_duration
from firewatch.build import watchdog
from firewatch.cluster.prometheus import RuntimeRule

_PATIENCE = timedelta(minutes=3)
"""Two pushes of Prometheus may be lost: it sends an alert again after a minute."""
_MISSED = 3
"""So many messages of a webhook must have been missed."""
_FIRING = "firing"


@dataclass(frozen=True)
class Pulse:
    """That something must be heard of a source again and again."""

    since: datetime
    """Since when that is so."""
    patience: timedelta
    """How long nothing may be heard."""


def watchdog_pulse(rules: Iterable[RuntimeRule]) -> Pulse | None:
    """Return what must be heard of a stack: its Watchdog, while that fires.

    An alert is sent again at the first evaluation that is later than a minute after the last time.
    """
    for rule in rules:
        began = [alert.active_at for alert in rule.alerts if alert.state == _FIRING]
        # A policy may have an alert of that name; it is in a group of its own.
        if (rule.group, rule.name) == (watchdog.GROUP, watchdog.ALERT) and began:
            return Pulse(min(began), _PATIENCE + 2 * rule.interval)
    return None


def agreed_pulse(source: ExternalSource, since: datetime) -> Pulse | None:
    """Return what must be heard of a webhook, if people say so."""
    if source.heartbeat is None:
        return None
    longest = timedelta(seconds=parse_duration(source.heartbeat))
    return Pulse(since, max(_PATIENCE, _MISSED * longest))


class Heartbeats:
    """When something was last heard of each source: one moment, whatever it sends."""

    def __init__(self) -> None:
        self._heard: dict[Key, datetime] = {}
        self._seen: dict[Key, datetime] = {}
        """Since when each has answered without a break, in this replica's term."""

    def hear(self, key: Key, at: datetime) -> None:
        """Take in that an alert that fires has been pushed."""
        self._heard[key] = at

    def begin_anew(self) -> None:
        """Take the silence of others, who have led meanwhile, for no silence.

        What this replica has heard while it stood by remains true.
        """
        self._seen.clear()

    def lose_sight(self, key: Key) -> None:
        """Take in that a source cannot be asked: whatever cut it off may have held up pushes too."""
        self._seen.pop(key, None)

    def are_missing(self, key: Key, pulse: Pulse | None, now: datetime) -> bool | None:
        """Tell whether pushes of a source that answers are missing; None if it is too early to tell."""
        since = self._seen.setdefault(key, now)
        if pulse is None:
            return False
        heard = self._heard.get(key)
        if heard is not None and now - heard < pulse.patience:
            return False
        return True if now - max(since, pulse.since) >= pulse.patience else None

    def drop(self, key: Key) -> None:
        """Forget a source that nobody listens to."""
        self._heard.pop(key, None)
        self._seen.pop(key, None)

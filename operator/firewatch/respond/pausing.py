"""Pausing an AutoResponse (pure): what its annotation says, until when, and for how long."""

from dataclasses import dataclass
from datetime import datetime

from firewatch.api.conditions import format_time
from firewatch.api.resource import Object
from firewatch.api.responses import PAUSED_UNTIL


@dataclass(frozen=True)
class Pause:
    """That nothing is done and nothing undone."""

    message: str
    until: datetime | None = None
    """When it ends; None if only the annotation ends it."""


def find_pause(live: Object, now: datetime) -> Pause | None:
    """Return the pause that an AutoResponse's annotation asks for, if it still lasts.

    A value that says nothing pauses as well: somebody wanted it.
    """
    value = (live["metadata"].get("annotations") or {}).get(PAUSED_UNTIL)
    if value is None or value == "false":
        return None
    if value == "true":
        return Pause(f"paused until its annotation {PAUSED_UNTIL} is removed")
    until = _parse(value)
    if until is None:
        message = f"paused, though {value[:64]!r} is no time: write one like 2026-01-31T06:00:00Z,"
        return Pause(f"{message} or true, in its annotation {PAUSED_UNTIL}")
    if until <= now:
        return None
    return Pause(f"paused until {format_time(until)} by its annotation {PAUSED_UNTIL}", until)


def _parse(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else None

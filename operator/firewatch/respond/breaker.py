"""The breaker on the operator itself (pure): too many episodes of a namespace end badly.

Then nothing more is begun there until a human has looked and resets it. It is found out from what stands
in the statuses and stays in them, so neither a restart nor time resets it; what is owed is put back.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from firewatch.api.conditions import parse_time
from firewatch.api.responses import RESET, Tripped
from firewatch.respond.registry import Entry
from firewatch.respond.situation import Decision, Note, Situation

TRIPPED = "Tripped"
"""Event, and reason of what follows from it."""
_HOUR = timedelta(hours=1)


def find_trip(namespace: str, entries: Iterable[Entry], most: int, now: datetime) -> Tripped | None:
    """Return why nothing more is begun in a namespace, if so many episodes have ended badly."""
    here = [entry for entry in entries if entry.namespace == namespace]
    resets = {text for entry in here if (text := _reset(entry))}
    known = [trip for entry in here if (trip := entry.tripped) and trip.at not in resets]
    if known:
        return min(known, key=lambda trip: parse_time(trip.at))
    looked = [moment for each in resets if (moment := _moment(each)) and moment <= now]
    since = max([now - _HOUR, *looked])
    found = {
        (entry.target, at)
        for entry in here
        for at in entry.live.get("status", {}).get("failed") or ()
        if parse_time(at) > since
    }
    if len(found) < most:
        return None
    # The instant of the last of them, so that whoever finds it out finds the same.
    return Tripped(
        at=max((at for _, at in found), key=parse_time), message=_message(namespace, most)
    )


def _message(namespace: str, most: int) -> str:
    return (
        f"{most} episodes in namespace {namespace} have ended badly within an hour, so nothing more is"
        " begun there; look after them (`firewatch response list`), then `firewatch response reset`"
    )


def _reset(entry: Entry) -> str:
    return str((entry.live["metadata"].get("annotations") or {}).get(RESET, ""))


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def with_trip(situation: Situation, decision: Decision) -> Decision:
    """Return a decision that says in each status whether the breaker is open, and tells of it once."""
    if decision.writes:
        return decision
    trip = situation.trip
    notes = (
        Note(TRIPPED, trip.message, r.name, warning=True, at=trip.at)
        for r in situation.responders
        if trip is not None and r.is_armed and r.tripped_at != trip.at
    )
    return replace(decision, notes=(*decision.notes, *notes), trip=trip, knows_trip=True)

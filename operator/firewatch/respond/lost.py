"""A target whose record is lost (pure): it may have been changed, and nobody knows from what.

A backup tool applies resources without their status. The finalizer then says that something is owed,
and the ledger that says what is gone. So nothing is put back, and nothing is built on the number that
is there: it may be one of an episode, and the next would come on top of it. The case is named. Once
somebody has set another number, or the alert has resolved, which is when the number from before would
have come back, the target is as good as any other.
"""

from dataclasses import replace
from datetime import datetime

from firewatch.api.conditions import Finding, bad, format_instant
from firewatch.api.lost_ledger import LostLedger
from firewatch.api.resource import Object
from firewatch.api.responses import AutoResponseSpec
from firewatch.respond.finalizer import has_finalizer
from firewatch.respond.signals import Kind
from firewatch.respond.situation import TARGET_READY, Note, Responder, Situation

LEDGER_LOST = "LedgerLost"
"""Event, and reason of the condition."""


def is_unrecorded(live: Object) -> bool:
    """Tell whether an AutoResponse owes something and does not say what.

    The operator gives the finalizer only to one that has a ledger, and so a status.
    """
    return has_finalizer(live) and not live.get("status")


def lost_of(situation: Situation, responder: Responder) -> LostLedger | None:
    """Return what is known of a lost record, as things are now; None once it does not matter."""
    target = situation.target
    found = newly_found(situation.now) if responder.is_unrecorded else responder.lost
    if found is None or target is None:
        return found
    if found.level not in (None, target.level):
        return None
    found = found.model_copy(update={"level": target.level})
    if found.resolved_at is None and responder.signal.kind is Kind.RESOLVED:
        return found.model_copy(update={"resolved_at": format_instant(situation.now)})
    return found


def all_lost(situation: Situation) -> dict[str, LostLedger]:
    """Return what is known of lost records, by name of the AutoResponse.

    Within an episode none matters: it began when that was settled, and its own number may be the one
    that was found.
    """
    if situation.ledger is not None:
        return {}
    found = {r.name: lost_of(situation, r) for r in situation.responders}
    return {name: lost for name, lost in found.items() if lost is not None}


def obstacle_of(situation: Situation) -> Finding | None:
    """Return why nothing may be done on the target, whichever AutoResponse asks; None if it may."""
    if all(lost.resolved_at for lost in all_lost(situation).values()):
        return None
    message = (
        f"{_missing(situation)}; set the replicas that it should have. Nothing is done before that,"
        " or before the alert has resolved; an AutoResponse that is deleted and applied anew acts"
        " at once"
    )
    return bad(TARGET_READY, LEDGER_LOST, message)


def reminder_of(situation: Situation, responder: Responder) -> str:
    """Return what is said of a target that may have been left changed; nothing if none was."""
    lost = lost_of(situation, responder)
    if lost is None or lost.resolved_at is None or situation.target is None:
        return ""
    return f"{_missing(situation)}; see to it that it has the replicas that it should have"


def _missing(situation: Situation) -> str:
    target = situation.target
    assert target is not None
    return (
        f"the record of what was changed on {target.kind} {target.name} is missing, as after a"
        " restore from a backup without status"
    )


def lost_notes(situation: Situation) -> tuple[Note, ...]:
    """Return what is told once of each record that turns out to be missing."""
    lost = [responder for responder in situation.responders if responder.is_unrecorded]
    target = situation.target
    if target is None:
        return tuple(unseen_note(responder.name, responder.spec) for responder in lost)
    message = (
        f"{_missing(situation)}; {target.lever} is left at {target.level}: set the replicas that it"
        " should have"
    )
    return tuple(Note(LEDGER_LOST, message, r.name, warning=True) for r in lost)


def unseen_note(responder: str, spec: AutoResponseSpec) -> Note:
    """Return what is told of a missing record about a target that cannot be looked at."""
    name = f"{spec.target.kind} {spec.target.name}" if spec.target else "its target"
    message = (
        f"the record of what was changed on {name} is missing, as after a restore from a backup"
        f" without status, and {name} cannot be looked at: set the replicas that it should have"
    )
    return Note(LEDGER_LOST, message, responder, warning=True)


def newly_found(now: datetime) -> LostLedger:
    """Return what is known of a record that has just turned out to be missing."""
    return LostLedger(found_at=format_instant(now))


def forgotten(responder: Responder) -> Responder:
    """Return a responder whose lost record does not matter any more: it has made another."""
    return replace(responder, lost=None, is_unrecorded=False)

"""Decisions about one target (pure): from the situation to what is written.

The ledger belongs to the target. Its baseline is recorded with the first claim and kept until the
last one closes; what is wanted is the highest claim, so alerts compose and new ones of the same
kind cannot make a ladder.

A decision is taken again right after its write with the target as it then is, so what has happened
is told in one place, whether the operator saw its own write succeed or found it after a crash.
"""

from dataclasses import replace
from datetime import timedelta

from firewatch.api.conditions import bad, format_instant, format_time, good, parse_time
from firewatch.api.resource import parse_duration
from firewatch.api.responses import Claim, Ledger, LedgerTarget, State
from firewatch.respond.claims import (
    current_claims,
    highest,
    hold_ends,
    is_over,
    is_withdrawn,
    open_claim,
    responder_of,
)
from firewatch.respond.idle import RECHECK_SECONDS, idle, idle_view, openers, would_notes
from firewatch.respond.scaling import next_down
from firewatch.respond.signals import Kind
from firewatch.respond.situation import (
    LEDGER_SCHEMA,
    TARGET_READY,
    Decision,
    Note,
    Responder,
    Situation,
    Target,
    View,
)

WATCH_SECONDS = 2.0
"""How often a changed target is compared with what was written to it."""


def decide(situation: Situation) -> Decision:
    """Return what to do now."""
    ledger, target = situation.ledger, situation.target
    if situation.unreadable:
        return _hold_still(situation, situation.unreadable)
    if ledger is None:
        starters = openers(situation)
        if starters and target is not None:
            return _open(situation, starters, target)
        return idle(situation)
    if target is None or target.uid != ledger.target.uid:
        return _target_gone(situation, ledger)
    problem = _ledger_problem(situation, ledger)
    if problem:
        return _hold_still(situation, problem)
    settled, notes = _settle(ledger, target)
    settled = settled.model_copy(update={"claims": current_claims(situation, settled)})
    decision = (
        _released(situation, settled, target)
        if settled.released_by
        else _episode(situation, settled)
    )
    return replace(decision, notes=(*notes, *decision.notes))


def _hold_still(situation: Situation, problem: str) -> Decision:
    view = View(State.ACTIVE, problem, bad(TARGET_READY, "LedgerInvalid", problem))
    views = _everyone(situation, view)
    return Decision(None, keeps_ledger=True, views=views, seconds=RECHECK_SECONDS)


def _everyone(situation: Situation, view: View) -> dict[str, View]:
    return {responder.name: view for responder in situation.responders}


def _open(situation: Situation, starters: list[Responder], target: Target) -> Decision:
    claims = [open_claim(r, baseline=target.replicas, now=situation.now) for r in starters]
    ledger = Ledger(
        schema_version=LEDGER_SCHEMA,
        target=LedgerTarget(kind=target.kind, name=target.name, uid=target.uid),
        baseline=target.replicas,
        written=target.replicas,
        intended=target.replicas,
        changed_at=format_instant(situation.now),
        claims=claims,
    )
    return _write(situation, ledger, highest(claims, target.replicas))


def _ledger_problem(situation: Situation, ledger: Ledger) -> str:
    maximum = max((r.scale_up.max_replicas for r in situation.responders), default=ledger.baseline)
    if not 1 <= ledger.baseline <= maximum:
        return (
            f"the ledger's baseline {ledger.baseline} is not between 1 and maxReplicas {maximum};"
            " nothing is changed until maxReplicas is raised"
        )
    return ""


def _settle(ledger: Ledger, target: Target) -> tuple[Ledger, tuple[Note, ...]]:
    """Take in what became of the last write, and of the target since."""
    if ledger.released_by or target.replicas == ledger.written == ledger.intended:
        return ledger, ()
    if target.replicas == ledger.intended:
        return ledger.model_copy(update={"written": ledger.intended}), _written_notes(ledger)
    if target.replicas == ledger.written:  # the operator stopped before its write
        return ledger.model_copy(update={"intended": ledger.written}), ()
    released = ledger.model_copy(update={"released_by": target.last_writer[:256]})
    message = _released_message(released, target)
    return released, tuple(
        Note("Released", message, claim.response, warning=True) for claim in ledger.claims
    )


def _written_notes(ledger: Ledger) -> tuple[Note, ...]:
    """Tell of a write that has succeeded."""
    before, after, name = ledger.written, ledger.intended, ledger.target.name
    if after > before:
        event, verb = "ScaledUp", "scaled"
    elif after > ledger.baseline:
        event, verb = "RampedDown", "ramped down"
    else:
        event, verb = "Restored", "restored"
    return tuple(
        Note(
            event,
            f"{claim.alert_name}: {verb} {name} {before} → {after} (baseline {ledger.baseline})",
            claim.response,
            claim.alert_name,
            before,
            after,
        )
        for claim in ledger.claims
    )


def _episode(situation: Situation, ledger: Ledger) -> Decision:
    active = [claim for claim in ledger.claims if not is_over(situation, claim)]
    wanted = [claim for claim in active if responder_of(situation, claim).fires]
    goal = highest(active, ledger.baseline)
    if highest(wanted, ledger.written) > ledger.written:
        return _write(situation, ledger, highest(wanted, ledger.written))
    if goal < ledger.written:
        return _down(situation, ledger, goal)
    if not active:
        return _close(situation)
    ledger = ledger.model_copy(update={"claims": active})
    bystanders = tuple(r for r in situation.responders if not r.may_write)
    return Decision(
        ledger,
        views=_views(situation, ledger),
        notes=tuple(would_notes(replace(situation, responders=bystanders))),
        seconds=_seconds(situation, ledger),
    )


def _write(situation: Situation, ledger: Ledger, replicas: int) -> Decision:
    """Announce a write in the ledger and ask for it."""
    ledger = ledger.model_copy(
        update={"intended": replicas, "changed_at": format_instant(situation.now)}
    )
    return Decision(
        ledger,
        scale_to=replicas,
        views=_views(situation, ledger),
        seconds=_seconds(situation, ledger),
    )


def _down(situation: Situation, ledger: Ledger, goal: int) -> Decision:
    """Take the next step down, or wait until it is due."""
    over = [claim for claim in ledger.claims if is_over(situation, claim)]
    if not over or any(is_withdrawn(situation, claim) for claim in over):
        return _write(situation, ledger, goal)  # nobody is left who asks to go slowly
    ramp = responder_of(situation, over[0]).spec.recovery.ramp_down
    peak = highest(ledger.claims, ledger.written)
    due = parse_time(ledger.changed_at) + timedelta(seconds=parse_duration(ramp.every))
    if ledger.written < peak and situation.now < due:
        wait = min((due - situation.now).total_seconds(), WATCH_SECONDS)
        return Decision(ledger, views=_views(situation, ledger), seconds=max(0.05, wait))
    step = next_down(ramp, baseline=ledger.baseline, peak=peak, current=ledger.written, goal=goal)
    return _write(situation, ledger, step)


def _close(situation: Situation) -> Decision:
    """Nothing is owed any more: no claim is active, and the target is not changed by us."""
    assert situation.ledger is not None
    names = frozenset(claim.response for claim in situation.ledger.claims)
    return replace(idle(_at_rest(situation)), ended=names, notes=(), dry_run_to=None, seconds=0.0)


def _at_rest(situation: Situation) -> Situation:
    """Return the situation as if nothing fired: what follows is decided in the next pass."""
    resting = tuple(
        replace(r, signal=replace(r.signal, kind=Kind.HOLD)) if r.fires else r
        for r in situation.responders
    )
    return replace(situation, ledger=None, responders=resting)


def _target_gone(situation: Situation, ledger: Ledger) -> Decision:
    message = f"{ledger.target.kind} {ledger.target.name} was deleted or made anew; not restored"
    notes = tuple(
        Note("TargetGone", message, claim.response, warning=True) for claim in ledger.claims
    )
    return replace(_close(situation), notes=notes)


def _released(situation: Situation, ledger: Ledger, target: Target) -> Decision:
    """Leave a target alone that somebody else has changed, until its alerts have resolved."""
    message = _released_message(ledger, target)
    if all(c.resolved_at is not None or is_withdrawn(situation, c) for c in ledger.claims):
        assert situation.ledger is not None
        notes = tuple(
            Note("RestoreSkipped", message, claim.response, warning=True)
            for claim in situation.ledger.claims
        )
        return replace(_close(situation), notes=notes)
    view = View(State.RELEASED, message, bad(TARGET_READY, "ChangedByOthers", message))
    return Decision(ledger, views=_everyone(situation, view), seconds=WATCH_SECONDS)


def _released_message(ledger: Ledger, target: Target) -> str:
    return (
        f"{ledger.released_by} set {ledger.target.name} to {target.replicas} replicas during the"
        " episode; it is left alone and will not be restored"
    )


def _views(situation: Situation, ledger: Ledger) -> dict[str, View]:
    claims = {claim.uid: claim for claim in ledger.claims}
    return {
        r.name: _claim_view(situation, ledger, claims[r.uid])
        if r.uid in claims
        else idle_view(situation, r)
        for r in situation.responders
    }


def _claim_view(situation: Situation, ledger: Ledger, claim: Claim) -> View:
    target = ledger.target
    finding = good(TARGET_READY, "Changed", f"{target.kind} {target.name} is changed at present")
    stands = f"{target.name} stands at {ledger.intended} (baseline {ledger.baseline})"
    if is_over(situation, claim):
        return View(State.RESTORING, f"{claim.alert_name} is over; {stands}", finding)
    ends = hold_ends(situation, claim)
    if ends is None:
        says = responder_of(situation, claim).signal.message
        return View(State.ACTIVE, f"{says}; {stands}", finding)
    message = f"{claim.alert_name} has resolved; {stands} until {format_time(ends)}"
    return View(State.HOLDING, message, finding)


def _seconds(situation: Situation, ledger: Ledger) -> float:
    """Return when to look again: when a hold ends, and often enough to see foreign writes."""
    ends = [end for claim in ledger.claims if (end := hold_ends(situation, claim)) is not None]
    waits = [(end - situation.now).total_seconds() for end in ends]
    return max(0.05, min([*waits, WATCH_SECONDS]))

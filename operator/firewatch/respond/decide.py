"""Decisions about one target (pure): from the situation to what is written.

The ledger belongs to the target. Its baseline is recorded with the first claim and kept until the
last one closes; what is wanted is the highest claim, so alerts compose and new ones of the same
kind cannot make a ladder.

A decision is taken again right after its write with the target as it then is, so what has happened
is told in one place, whether the operator saw its own write succeed or found it after a crash.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from firewatch.api.conditions import bad, format_instant, parse_time
from firewatch.api.ledger import Claim, Ledger, LedgerAutoscaler, LedgerTarget
from firewatch.api.resource import parse_duration
from firewatch.api.responses import State
from firewatch.respond.claims import (
    current_claims,
    escalated,
    highest,
    hold_ends,
    is_over,
    is_withdrawn,
    open_claim,
    responder_of,
)
from firewatch.respond.effect import verify
from firewatch.respond.idle import RECHECK_SECONDS, idle, limit_of, openers, would_notes
from firewatch.respond.lost import forgotten
from firewatch.respond.scaling import next_down
from firewatch.respond.signals import Kind
from firewatch.respond.situation import (
    AUTOSCALER_SCHEMA,
    LEDGER_SCHEMA,
    TARGET_READY,
    Decision,
    Note,
    Responder,
    Situation,
    Target,
    View,
)
from firewatch.respond.standing import claim_views

WATCH_SECONDS = 2.0
"""How often a changed target is compared with what was written to it."""
_REVERTS = 2
"""After so many the target is contested: whoever reverts will not stop."""
_NUDGE = timedelta(seconds=30)
"""How long after a write a target is helped to the minimum of its autoscaler: two of its periods."""


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
    return _go_on(situation, ledger, target)


def _go_on(situation: Situation, ledger: Ledger, target: Target) -> Decision:
    """Return what to do about a target that is changed at present."""
    if _autoscaler_changed(ledger, target):
        return _leave_to_autoscaler(situation, ledger, target)
    problem = _ledger_problem(situation, ledger)
    if problem:
        return _hold_still(situation, problem)
    settled, notes = _settle(ledger, target)
    settled = settled.model_copy(update={"claims": current_claims(situation, settled)})
    if settled.released_by:
        decision = _released(situation, settled, target)
    else:
        decision = _verified(situation, settled, target)
    return replace(decision, notes=(*notes, *decision.notes))


def _verified(situation: Situation, ledger: Ledger, target: Target) -> Decision:
    """Go on with what has become of the last action.

    What is found out is told, so it waits while there is something to write: ahead of that only the
    ledger is written.
    """
    checked, notes = verify(situation, ledger, target)
    decision = _stepped(situation, checked, target)
    if notes and decision.scale_to is not None:
        return _stepped(situation, ledger, target)
    return replace(decision, notes=(*notes, *decision.notes))


def _stepped(situation: Situation, ledger: Ledger, target: Target) -> Decision:
    claims = escalated(situation, ledger, target)
    return _episode(situation, ledger.model_copy(update={"claims": claims}))


def _hold_still(situation: Situation, problem: str) -> Decision:
    view = View(State.ACTIVE, problem, bad(TARGET_READY, "LedgerInvalid", problem))
    views = _everyone(situation, view)
    return Decision(None, keeps_ledger=True, views=views, seconds=RECHECK_SECONDS)


def _everyone(situation: Situation, view: View) -> dict[str, View]:
    return {responder.name: view for responder in situation.responders}


def _open(situation: Situation, starters: list[Responder], target: Target) -> Decision:
    ledger = Ledger(
        schema_version=AUTOSCALER_SCHEMA if target.autoscaler else LEDGER_SCHEMA,
        target=LedgerTarget(kind=target.kind, name=target.name, uid=target.uid),
        autoscaler=_autoscaler_in_ledger(target),
        baseline=target.level,
        written=target.level,
        intended=target.level,
        counted_from=target.replicas if target.autoscaler else None,
        changed_at=format_instant(situation.now),
    )
    claims = [open_claim(r, target, ledger, now=situation.now) for r in starters]
    ledger = ledger.model_copy(update={"claims": claims})
    return _write(situation, ledger, highest(claims, target.level))


def _autoscaler_in_ledger(target: Target) -> LedgerAutoscaler | None:
    found = target.autoscaler
    if found is None:
        return None
    return LedgerAutoscaler(kind=found.kind, name=found.name, uid=found.uid, was_set=found.is_set)


def _autoscaler_changed(ledger: Ledger, target: Target) -> bool:
    """Tell whether another autoscaler scales the target than when it was changed, or none does."""
    before = ledger.autoscaler.uid if ledger.autoscaler else None
    return before != (target.autoscaler.uid if target.autoscaler else None)


def _leave_to_autoscaler(situation: Situation, ledger: Ledger, target: Target) -> Decision:
    """End the episode: what was changed is gone, or is somebody else's business now."""
    name = f"{target.kind} {target.name}"
    if target.autoscaler:
        by = f"{target.autoscaler.kind} {target.autoscaler.name}"
        message = f"{by} scales {name} now and decides its replicas; nothing is restored"
    else:
        message = f"nothing scales {name} any more; its replicas stay as they are"
    notes = tuple(
        Note("AutoscalerChanged", message, claim.response, warning=True) for claim in ledger.claims
    )
    return replace(_close(situation), notes=notes)


def _ledger_problem(situation: Situation, ledger: Ledger) -> str:
    wanted = [r.scale_up.max_replicas for r in situation.responders if r.scale_up]
    maximum = max(wanted, default=ledger.baseline)
    minimum = 0 if ledger.autoscaler else 1  # a ScaledObject may go down to none
    if not minimum <= ledger.baseline <= maximum:
        return (
            f"the ledger's baseline {ledger.baseline} is not between {minimum} and maxReplicas"
            f" {maximum}; nothing is changed until maxReplicas is raised"
        )
    return ""


def _settle(ledger: Ledger, target: Target) -> tuple[Ledger, tuple[Note, ...]]:
    """Take in what became of the last write, and of the target since."""
    if ledger.released_by or target.level == ledger.written == ledger.intended:
        return ledger, ()
    if target.level == ledger.intended:
        written = ledger.model_copy(update={"written": ledger.intended})
        return written, _written_notes(ledger, target)
    if target.level == ledger.written:  # the operator stopped before its write
        return ledger.model_copy(update={"intended": ledger.written}), ()
    if target.level == ledger.baseline and ledger.reverts + 1 < _REVERTS:
        return _reverted(ledger, target), ()
    released = ledger.model_copy(
        update={
            "released_by": target.level_writer[:256],
            "reverts": ledger.reverts + (target.level == ledger.baseline),
        }
    )
    event = "Contested" if _is_contested(released) else "Released"
    message = _released_message(released, target)
    return released, tuple(
        Note(event, message, claim.response, warning=True) for claim in ledger.claims
    )


def _reverted(ledger: Ledger, target: Target) -> Ledger:
    """Take in that somebody has put the baseline back, perhaps without knowing better."""
    update = {
        "written": ledger.baseline,
        "intended": ledger.baseline,
        "reverts": ledger.reverts + 1,
        "reverted_by": target.level_writer[:256],
    }
    return ledger.model_copy(update=update)


def _is_contested(ledger: Ledger) -> bool:
    return bool(ledger.released_by) and ledger.reverts >= _REVERTS


def _written_notes(ledger: Ledger, target: Target) -> tuple[Note, ...]:
    """Tell of a write that has succeeded."""
    before, after = ledger.written, ledger.intended
    if after > before == ledger.baseline and ledger.reverts:
        event, verb = "Rewritten", f"{ledger.reverted_by} had put it back: scaled"
    elif after > before:
        event, verb = "ScaledUp", "scaled"
    elif after > ledger.baseline:
        event, verb = "RampedDown", "ramped down"
    else:
        event, verb = "Restored", "restored"
    return tuple(
        Note(
            event,
            f"{claim.alert_name}: {verb} {target.lever} {before} → {after}"
            f" (baseline {ledger.baseline})",
            claim.response,
            claim.alert_name,
            before,
            after,
            at=ledger.changed_at,
        )
        for claim in ledger.claims
    )


def _episode(situation: Situation, ledger: Ledger) -> Decision:
    active = [claim for claim in ledger.claims if not is_over(situation, claim)]
    wanted = [claim for claim in active if responder_of(situation, claim).asks]
    goal = highest(active, ledger.baseline)
    if highest(wanted, ledger.written) > ledger.written and _may_raise(situation, wanted):
        return _write(situation, ledger, highest(wanted, ledger.written))
    if goal < ledger.written:
        return _down(situation, ledger, goal)
    if not active:
        return _close(situation)
    ledger = ledger.model_copy(update={"claims": active})
    bystanders = tuple(r for r in situation.responders if not r.may_write)
    return Decision(
        ledger,
        views=claim_views(situation, ledger),
        notes=tuple(would_notes(replace(situation, responders=bystanders))),
        nudge_to=_nudge(situation, ledger),
        seconds=_seconds(situation, ledger),
    )


def _may_raise(situation: Situation, claims: list[Claim]) -> bool:
    """Tell whether any of the AutoResponses may still have the target raised."""
    return not all(limit_of(situation, responder_of(situation, claim)) for claim in claims)


def _nudge(situation: Situation, ledger: Ledger) -> int | None:
    """Return the replicas that an autoscaler's target lacks right after its minimum was raised."""
    target = situation.target
    recent = situation.now - parse_time(ledger.changed_at) < _NUDGE
    if target is None or target.autoscaler is None or not recent:
        return None
    return ledger.written if 0 < target.replicas < ledger.written else None


def _write(situation: Situation, ledger: Ledger, replicas: int) -> Decision:
    """Announce a write in the ledger and ask for it."""
    ledger = ledger.model_copy(
        update={"intended": replicas, "changed_at": format_instant(situation.now)}
    )
    return Decision(
        ledger,
        scale_to=replicas,
        views=claim_views(situation, ledger),
        seconds=_seconds(situation, ledger),
    )


def _down(situation: Situation, ledger: Ledger, goal: int) -> Decision:
    """Take the next step down, or wait until it is due."""
    over = [claim for claim in ledger.claims if is_over(situation, claim)]
    if ledger.autoscaler or not over or any(is_withdrawn(situation, claim) for claim in over):
        # An autoscaler goes down by its own rules, or nobody is left who asks to go slowly.
        return _write(situation, ledger, goal)
    ramp = responder_of(situation, over[0]).spec.recovery.ramp_down
    peak = highest(ledger.claims, ledger.written)
    due = parse_time(ledger.changed_at) + timedelta(seconds=parse_duration(ramp.every))
    if ledger.written < peak and situation.now < due:
        wait = min((due - situation.now).total_seconds(), WATCH_SECONDS)
        return Decision(ledger, views=claim_views(situation, ledger), seconds=max(0.05, wait))
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
        for r in map(forgotten, situation.responders)
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
    contested = _is_contested(ledger)
    state = State.CONTESTED if contested else State.RELEASED
    reason = "Contested" if contested else "ChangedByOthers"
    view = View(state, message, bad(TARGET_READY, reason, message))
    return Decision(ledger, views=_everyone(situation, view), seconds=WATCH_SECONDS)


def _released_message(ledger: Ledger, target: Target) -> str:
    if _is_contested(ledger):
        return (
            f"{ledger.released_by} has put {target.lever} back {ledger.reverts} times during the"
            " episode; it is left alone. If that is a GitOps controller, have it ignore this field"
            " (firewatch preflight shows how)"
        )
    return (
        f"{ledger.released_by} set {target.lever} to {target.level} during the episode; it is left"
        " alone and will not be restored"
    )


def _seconds(situation: Situation, ledger: Ledger) -> float:
    """Return when to look again: when a hold ends, and often enough to see foreign writes."""
    ends = [end for claim in ledger.claims if (end := _due(situation, claim)) is not None]
    waits = [(end - situation.now).total_seconds() for end in ends]
    return max(0.05, min([*waits, WATCH_SECONDS]))


def _due(situation: Situation, claim: Claim) -> datetime | None:
    """Return when a claim may end: while its AutoResponse is paused, not before the pause does."""
    ends, pause = hold_ends(situation, claim), responder_of(situation, claim).pause
    if ends is None or pause is None:
        return ends
    return max(ends, pause.until) if pause.until else None

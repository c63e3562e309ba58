"""Claims on a target (pure): opened by a firing alert, closed when it has stayed resolved."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from firewatch.api.conditions import format_instant, parse_time
from firewatch.api.ledger import Claim, Effect, Ledger, Verdict
from firewatch.api.resource import parse_duration
from firewatch.respond.scaling import floor_of
from firewatch.respond.signals import Kind
from firewatch.respond.situation import Responder, Situation, Target


def open_claim(responder: Responder, target: Target, ledger: Ledger, *, now: datetime) -> Claim:
    """Return the claim of a responder whose alert fires: never less than the baseline.

    (A target that is just starting has fewer replicas than its autoscaler's minimum.)
    """
    alert, scale_up = responder.signal.alert, responder.scale_up
    assert alert is not None
    assert scale_up is not None
    start = _start(ledger)
    return Claim(
        response=responder.name,
        uid=responder.uid,
        alert=alert.identity,
        alert_name=alert.name[:256],
        floor=max(floor_of(scale_up, start, target.ceiling), ledger.baseline),
        since=format_instant(now),
        effect=_expected(responder),
    )


def _expected(responder: Responder) -> Effect | None:
    """Return what is known of the effect before anything was done; None if nobody asks for it."""
    within = parse_duration(responder.spec.rails.verify_within)
    return Effect(value=responder.signal.value) if within else None


def current_claims(situation: Situation, ledger: Ledger) -> list[Claim]:
    """Return the claims as the alerts now stand, oldest responder first.

    A claim whose responder does not exist any more is left out; one that was withdrawn stays until
    what it asked for has been undone.
    """
    held = {claim.uid: claim for claim in ledger.claims}
    claims: list[Claim] = []
    for responder in situation.responders:
        claim = held.get(responder.uid)
        if claim is not None:
            claims.append(_updated(situation, ledger, responder, claim))
        elif responder.scale_up and _may_claim(situation, ledger, responder):
            assert situation.target is not None
            claims.append(open_claim(responder, situation.target, ledger, now=situation.now))
    return claims


def _may_claim(situation: Situation, ledger: Ledger, responder: Responder) -> bool:
    """Tell whether a claim may join those that there are."""
    is_closed = bool(ledger.released_by) or situation.trip is not None
    return responder.may_write and responder.asks and not is_closed


def _updated(situation: Situation, ledger: Ledger, responder: Responder, claim: Claim) -> Claim:
    now, kind = situation.now, responder.signal.kind
    moment = format_instant(now)
    resolved: str | None = None
    orphaned: str | None = None
    if kind is Kind.RESOLVED and not heavy(situation, ledger, responder):
        resolved = claim.resolved_at or moment
    elif kind is Kind.RULE_GONE:
        orphaned = claim.orphaned_at or moment
        wait = timedelta(seconds=parse_duration(responder.spec.recovery.orphan_after))
        if now >= parse_time(orphaned) + wait:
            resolved = claim.resolved_at or moment
    return claim.model_copy(update={"resolved_at": resolved, "orphaned_at": orphaned})


def escalated(situation: Situation, ledger: Ledger, target: Target) -> list[Claim]:
    """Return the claims with the next step of those that the last one has not helped.

    None is taken before the replicas of the last step are ready: until then it cannot have helped.
    """
    if target.ready < ledger.written:
        return ledger.claims
    return [
        _escalated(claim, responder_of(situation, claim), ledger, target)
        if _may_escalate(situation, ledger, claim)
        else claim
        for claim in ledger.claims
    ]


def _may_escalate(situation: Situation, ledger: Ledger, claim: Claim) -> bool:
    responder = responder_of(situation, claim)
    further = responder.scale_up.escalation if responder.scale_up else None
    if further is None or claim.steps >= further.max_steps or not responder.asks:
        return False
    if claim.effect and claim.effect.verdict is Verdict.INEFFECTIVE:
        return False  # more of what has not helped
    due = parse_time(ledger.changed_at) + timedelta(seconds=parse_duration(further.every))
    # What the last step asked for is written, and not only wished for beyond a limit.
    return claim.floor == ledger.written and situation.now >= due


def _escalated(claim: Claim, responder: Responder, ledger: Ledger, target: Target) -> Claim:
    steps, scale_up = claim.steps + 1, responder.scale_up
    assert scale_up is not None
    floor = floor_of(scale_up, _start(ledger), target.ceiling, steps)
    return claim.model_copy(update={"floor": max(floor, claim.floor), "steps": steps})


def _start(ledger: Ledger) -> int:
    """Return the replicas from which steps are counted."""
    return ledger.baseline if ledger.counted_from is None else ledger.counted_from


def heavy(situation: Situation, ledger: Ledger, responder: Responder) -> str:
    """Return why the baseline would not carry the present load; nothing if it would."""
    load, target = responder.signal.load, situation.target
    if load is None or target is None:
        return ""
    base = _start(ledger)
    if target.replicas <= base or load.allows(target.replicas, base):
        return ""
    return (
        f"resolved, but {load.value:.4g} on {target.replicas} replicas would be"
        f" {load.projected(target.replicas, base):.4g} on {base}, and the alert's limit is"
        f" {load.limit:.4g}"
    )


def responder_of(situation: Situation, claim: Claim) -> Responder:
    """Return the responder that holds the claim."""
    return next(r for r in situation.responders if r.uid == claim.uid)


def hold_ends(situation: Situation, claim: Claim) -> datetime | None:
    """Return when the claim ends if its alert stays resolved; None while it is not resolved."""
    if claim.resolved_at is None:
        return None
    hold = parse_duration(responder_of(situation, claim).spec.recovery.hold)
    return parse_time(claim.resolved_at) + timedelta(seconds=hold)


def is_withdrawn(situation: Situation, claim: Claim) -> bool:
    """Tell whether the claim's AutoResponse goes away or may not write any more, or it is undone."""
    responder = responder_of(situation, claim)
    return not responder.may_write or responder.undo == claim.since


def is_over(situation: Situation, claim: Claim) -> bool:
    """Tell whether the claim was withdrawn, or its alert has stayed resolved long enough.

    While its AutoResponse is paused, nothing is undone.
    """
    if is_withdrawn(situation, claim):
        return True
    ends = hold_ends(situation, claim)
    is_paused = responder_of(situation, claim).pause is not None
    return ends is not None and situation.now >= ends and not is_paused


def highest(claims: Iterable[Claim], default: int) -> int:
    """Return the highest floor of the claims."""
    return max((claim.floor for claim in claims), default=default)

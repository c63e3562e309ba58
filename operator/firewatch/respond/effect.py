"""Whether what was done helps (pure): the alert's own expression must say so, and in time.

Either the alert resolves, or what its rule measures falls by a tenth. Whatever cannot be seen proves
neither. What has not helped is not tried again in the same episode, and a human is told; what is owed
is put back as always.
"""

from datetime import datetime, timedelta

from firewatch.api.conditions import format_instant, parse_time
from firewatch.api.ledger import Claim, Effect, Ledger, Verdict
from firewatch.api.resource import parse_duration
from firewatch.api.responses import Rails
from firewatch.respond.claims import responder_of
from firewatch.respond.signals import Kind
from firewatch.respond.situation import Note, Responder, Situation, Target

INEFFECTIVE = "Ineffective"
"""Event, and reason of what follows from it."""
_BETTER = 0.9
"""Share of what was measured before, below which it counts as better: less than that is chance."""


def verify(situation: Situation, ledger: Ledger, target: Target) -> tuple[Ledger, tuple[Note, ...]]:
    """Return the ledger with what has become of its claims, and what is worth telling of that."""
    is_done = target.ready >= ledger.written
    claims: list[Claim] = []
    notes: list[Note] = []
    for claim in ledger.claims:
        responder = responder_of(situation, claim)
        if claim.effect is None or not _is_due(ledger, claim, responder):
            claims.append(claim)
            continue
        asked = parse_time(ledger.changed_at)
        after = weigh(claim.effect, responder, is_done=is_done, asked_at=asked, now=situation.now)
        claims.append(claim.model_copy(update={"effect": after}))
        if is_news(claim.effect, after):
            at = deadline(after, responder.spec.rails, asked)
            done = f"{target.lever} stands at {ledger.written}"
            message = explain(claim.alert_name, done, responder.spec.rails, after)
            notes.append(ineffective_note(responder, claim.alert_name, message, at))
    return ledger.model_copy(update={"claims": claims}), tuple(notes)


def _is_due(ledger: Ledger, claim: Claim, responder: Responder) -> bool:
    """Tell whether what the claim asks for was written, and somebody still wants to know."""
    was_written = ledger.written == ledger.intended >= claim.floor
    return was_written and responder.may_write and responder.pause is None


def weigh(
    effect: Effect, responder: Responder, *, is_done: bool, asked_at: datetime, now: datetime
) -> Effect:
    """Return what can be told of an effect now; ``is_done``: all that was asked for is there."""
    signal = responder.signal
    if effect.verdict is Verdict.IMPROVED:
        return effect
    if signal.kind is Kind.RESOLVED:
        return effect.model_copy(update={"verdict": Verdict.IMPROVED})
    if signal.kind is not Kind.FIRING:
        return effect
    if is_done and effect.since is None:
        # Also if it has taken so long that people were told: only from now on it can help.
        update = {"since": format_instant(now), "verdict": Verdict.UNKNOWN}
        effect = effect.model_copy(update=update)
    if effect.value is None:
        effect = effect.model_copy(update={"value": signal.value})
    elif effect.since is not None and _is_better(effect.value, signal.value):
        return effect.model_copy(update={"verdict": Verdict.IMPROVED})
    if now >= deadline(effect, responder.spec.rails, asked_at):
        return effect.model_copy(update={"verdict": Verdict.INEFFECTIVE})
    return effect


def _is_better(before: float, after: float | None) -> bool:
    return after is not None and before > 0 and after < before * _BETTER


def deadline(effect: Effect, rails: Rails, asked_at: datetime) -> datetime:
    """Return when it must have helped, or when all that was asked for must be there."""
    since = parse_time(effect.since) if effect.since else asked_at
    return since + timedelta(seconds=parse_duration(rails.verify_within))


def is_news(before: Effect, after: Effect) -> bool:
    """Tell whether it has just turned out that nothing was gained."""
    return after.verdict is Verdict.INEFFECTIVE and before != after


def explain(alert: str, done: str, rails: Rails, effect: Effect) -> str:
    """Return in words that something has not helped."""
    if effect.since is None:
        return (
            f"{alert} fires, and {done}, but not all replicas are ready after {rails.verify_within}"
        )
    return f"{alert} fires as before, although {done} for {rails.verify_within}; look after it"


def ineffective_note(responder: Responder, alert: str, message: str, at: datetime) -> Note:
    """Return what is told of it; its instant follows from what stands in the status.

    So it is told once, whenever the operator was stopped.
    """
    moment = format_instant(at)
    return Note(INEFFECTIVE, message, responder.name, alert, warning=True, at=moment)

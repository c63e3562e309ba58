"""What the statuses say while a target is changed (pure)."""

from firewatch.api.conditions import Finding, bad, format_time, good
from firewatch.api.ledger import Claim, Ledger, Verdict
from firewatch.api.responses import State
from firewatch.respond.claims import heavy, hold_ends, is_over, responder_of
from firewatch.respond.effect import INEFFECTIVE
from firewatch.respond.idle import idle_view
from firewatch.respond.situation import TARGET_READY, Situation, View


def claim_views(situation: Situation, ledger: Ledger) -> dict[str, View]:
    """Return what each status says, by name of the AutoResponse."""
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
    scaled = ledger.autoscaler
    what = f"the minimum of {scaled.kind} {scaled.name}" if scaled else target.name
    stands = f"{what} stands at {ledger.intended} (baseline {ledger.baseline})"
    if is_over(situation, claim):
        return View(State.RESTORING, f"{claim.alert_name} is over; {stands}", finding)
    if pause := responder_of(situation, claim).pause:
        return View(State.PAUSED, f"{pause.message}; {stands}", finding)
    ends = hold_ends(situation, claim)
    if ends is None:
        return _active_view(situation, ledger, claim, stands=stands, finding=finding)
    message = f"{claim.alert_name} has resolved; {stands} until {format_time(ends)}"
    return View(State.HOLDING, message, finding)


def _active_view(
    situation: Situation, ledger: Ledger, claim: Claim, *, stands: str, finding: Finding
) -> View:
    responder = responder_of(situation, claim)
    says = heavy(situation, ledger, responder) or responder.signal.message
    message = f"{says}; {stands}"
    if responder.fires and claim.effect and claim.effect.verdict is Verdict.INEFFECTIVE:
        message += (
            f", which has not helped within {responder.spec.rails.verify_within}; look after it"
        )
        return View(State.INEFFECTIVE, message, bad(TARGET_READY, INEFFECTIVE, message))
    return View(State.ACTIVE, message, finding)

"""A response that waits until somebody approves it (pure)."""

from firewatch.api.conditions import Finding, parse_time
from firewatch.api.responses import State
from firewatch.respond.approval import Verdict, make_request
from firewatch.respond.situation import Responder, Situation, View


def waiting_view(situation: Situation, responder: Responder, finding: Finding, plan: str) -> View:
    """Return what the status says: what would be done, and how to approve it."""
    known, alert = responder.request, responder.signal.alert
    assert alert is not None
    if known and responder.verdict is Verdict.REJECTED:
        message = f"request {known.id} was rejected: {known.message}; the alert must fire anew"
        return View(State.REJECTED, message, finding, known)
    if known is None or situation.now >= parse_time(known.expires_at):
        known = make_request(
            responder.uid,
            alert.name,
            alert.identity,
            plan,
            expires=responder.spec.rails.approval_expires,
            now=situation.now,
        )
    message = (
        f"{known.message}; `firewatch response approve {responder.name}` has it done until"
        f" {known.expires_at} (request {known.id})"
    )
    return View(State.WAITING, message, finding, known)

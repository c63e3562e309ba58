"""What the status says where nothing is pushed any more, or can be.

Nothing is stopped by it: what is found by asking Prometheus is evidence as good, some seconds later.
"""

from firewatch.api.conditions import Finding, bad
from firewatch.respond.registry import Entry
from firewatch.respond.signals import SourceState

PUSHES_MISSING = "PushesMissing"
"""Reason of what follows from pushes that do not come."""
_UNTAKEN = "nothing that Alertmanager's webhook posts can be taken"
_STILL = "Alerts are found all the same, by asking Prometheus every 15 s"
_PROMETHEUS = (
    "Prometheus' Watchdog fires, and no alert that it pushes comes here for minutes. "
    f"{_STILL}. Look at the log of its pod, which says why a push fails: a NetworkPolicy, the receiver's"
    " certificate, or the pod's token"
)
_WEBHOOK = (
    "no alert has come by the webhook for three times source.heartbeat. "
    f"{_STILL}. Look at the log of Alertmanager, at the route of the alert that always fires, and at URL"
    " and token of its receiver"
)


def find_missing_pushes(kind: str, entry: Entry, state: SourceState | None) -> Finding | None:
    """Return a finding of this kind if pushes are missing, or none can be believed.

    While it is too early to tell, as after a take-over, what was said before is said again.
    """
    if state is None:
        return None
    if state.token_error:
        return bad(kind, "WebhookTokenMissing", f"{_UNTAKEN}: {state.token_error}. {_STILL}")
    if state.pushes_missing is False:
        return None
    if state.pushes_missing is None and not _is_said(kind, entry):
        return None
    return bad(kind, PUSHES_MISSING, _WEBHOOK if entry.spec.source else _PROMETHEUS)


def _is_said(kind: str, entry: Entry) -> bool:
    """Tell whether the status says that they are."""
    conditions = entry.live.get("status", {}).get("conditions", ())
    return any((c["type"], c["reason"]) == (kind, PUSHES_MISSING) for c in conditions)

"""What the status of an AutoResponse says after a decision: history, conditions, message, outbox."""

from datetime import datetime, timedelta

from firewatch.api.conditions import (
    Finding,
    bad,
    format_instant,
    format_time,
    good,
    merge_conditions,
    unknown,
)
from firewatch.api.lost_ledger import LostLedger
from firewatch.api.notices import Notices
from firewatch.api.resource import Key, Object, parse_duration
from firewatch.api.responses import AutoResponseStatus, HistoryEntry, State
from firewatch.cluster.status import dump_status
from firewatch.respond.context import RespondContext
from firewatch.respond.limits import FAILURES, bad_ends, remember
from firewatch.respond.lost import is_unrecorded, newly_found
from firewatch.respond.notices import as_one, find_notifying
from firewatch.respond.outbox import follow
from firewatch.respond.pushes import find_missing_pushes
from firewatch.respond.registry import Entry
from firewatch.respond.signals import NOT_LISTED, NOT_POLLED, UNREACHABLE, Kind, Source, judge
from firewatch.respond.situation import Decision, Note, View

_HISTORY = 20
"""Every entry makes each write to the object slower, the ledger's included: 50 cost 5 ms."""
RECORDS = ("ledger", "breaker")
"""Fields of a status that say what is owed: who cannot read them leaves them as they are."""
_SOON_KNOWN = frozenset({"Pending", "SourceStarting", NOT_LISTED})
"""Reasons to hold that are over by themselves and nobody's fault."""


def split_records(live: Object) -> tuple[Object, Object]:
    """Return the status of an AutoResponse without what it says is owed, and that."""
    status = live.get("status", {})
    rest = {k: v for k, v in status.items() if k not in RECORDS}
    return rest, {k: v for k, v in status.items() if k in RECORDS}


def next_status(
    context: RespondContext, key: Key, entry: Entry, decision: Decision, now: datetime
) -> Object:
    """Return the status of an AutoResponse, without what is owed."""
    raw, _ = split_records(entry.live)
    raw["history"] = raw.get("history", [])[:_HISTORY]
    before = AutoResponseStatus.model_validate(raw)
    news = (n for n in decision.notes if n.responder == entry.name)
    told = [_history_entry(n, now) for n in news if not _is_told(n, before)]
    update: dict[str, object] = {
        "history": [*told, *before.history][:_HISTORY],
        "acted": remember(before.acted or (), told, now) or None,
        "failed": remember(before.failed or (), bad_ends(told, before.history), now, FAILURES)
        or None,
    }
    if decision.knows_trip:
        update["tripped"] = decision.trip
    if entry.name in decision.records:
        update["restart"] = decision.records[entry.name]
    if entry.name in decision.ended:
        cooldown = timedelta(seconds=parse_duration(entry.spec.rails.cooldown))
        update["cooldown_until"] = format_time(now + cooldown)
    if entry.target == key:
        update["ledger_lost"] = _lost(entry, before, decision, now)
    view = decision.views.get(entry.name)
    notices = _notices(context, key, entry, decision, told)
    if entry.target == key:
        update |= _outlook(context, entry, before, view=view, notices=notices)
    return dump_status(before.model_copy(update={**update, "notices": notices}))


def _lost(
    entry: Entry, before: AutoResponseStatus, decision: Decision, now: datetime
) -> LostLedger | None:
    """Return what is known of a lost record; a problem with the target leaves it as it is."""
    if decision.lost is not None:
        return decision.lost.get(entry.name)
    if decision.keeps_ledger and is_unrecorded(entry.live):
        return newly_found(now)
    return before.ledger_lost


def _notices(
    context: RespondContext,
    key: Key,
    entry: Entry,
    decision: Decision,
    news: list[HistoryEntry],
) -> Notices | None:
    """Return what people are to be told: written together with what it follows from."""
    claims = decision.ledger.claims if decision.ledger else []
    holds = any(claim.uid == entry.live["metadata"]["uid"] for claim in claims)
    view, known = decision.views.get(entry.name), context.sources.known_to(entry)
    signal = judge(entry.spec.trigger, known, context.clock())
    return follow(
        context,
        entry,
        as_one(entry.notices, signal) if entry.target == key else {},
        happened=view.message if view else "",
        news=news,
        is_changed=holds or decision.keeps_ledger,
    )


def _outlook(
    context: RespondContext,
    entry: Entry,
    before: AutoResponseStatus,
    *,
    view: View | None,
    notices: Notices | None,
) -> dict[str, object]:
    """Return conditions, state and message."""
    now, generation = context.clock(), entry.live["metadata"]["generation"]
    findings = [entry.accepted]
    if view is not None and entry.is_accepted:
        findings += [view.target, find_source(entry, context.sources.known_to(entry), now)]
        findings += filter(None, [find_notifying(entry.spec, notices or Notices())])
    return {
        "observed_generation": generation,
        "conditions": merge_conditions(before.conditions, findings, generation=generation, now=now),
        "request": view.request if view else None,
        "state": view.state if view else State.IDLE,
        "message": (view.message if view else entry.accepted.message)[:1024],
    }


def find_source(entry: Entry, source: Source, now: datetime) -> Finding:
    """Return whether the source of alerts can be asked, also while a pushed alert fires.

    What is worse comes first.
    """
    kind = "AlertSourceHealthy"
    if source.state is not None and source.state.error:
        return bad(kind, UNREACHABLE, f"Prometheus cannot be asked: {source.state.error}")
    if entry.spec.heeds_silences and source.state is not None and source.state.muted_error:
        why = source.state.muted_error
        message = (
            "Alertmanager cannot be asked, so no alert counts as silenced, and what it muted until now"
            f" counts after 75 s: {why}"
        )
        return bad(kind, "SilencesUnknown", message)
    signal = judge(entry.spec.trigger, source, now)
    if signal.reason == NOT_POLLED:
        return unknown(kind, signal.reason, signal.message)
    if signal.kind is Kind.RULE_GONE:
        return bad(kind, signal.reason, f"{signal.message}; apply an AlertPolicy that has it")
    if signal.kind is Kind.HOLD and signal.reason not in _SOON_KNOWN:
        return bad(kind, signal.reason, signal.message)
    missing = find_missing_pushes(kind, entry, source.state)
    return missing or good(kind, "Polled", "Prometheus evaluates the alert's rule")


def _is_told(note: Note, before: AutoResponseStatus) -> bool:
    """Tell whether the history has this write already, so that a crash doubles nothing."""
    told = ((entry.event, entry.time) for entry in before.history)
    return bool(note.at) and (note.event, note.at) in told


def _history_entry(note: Note, now: datetime) -> HistoryEntry:
    return HistoryEntry(
        time=note.at or format_instant(now),
        event=note.event,
        alert=note.alert[:256],
        replicas_from=note.replicas_from,
        replicas_to=note.replicas_to,
        message=note.message[:1024],
    )

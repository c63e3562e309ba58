"""What is written down about a target: ledger, status, history, Events."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from firewatch.api.conditions import (
    Finding,
    bad,
    format_instant,
    format_time,
    good,
    merge_conditions,
    unknown,
)
from firewatch.api.ledger import Ledger
from firewatch.api.lost_ledger import LostLedger
from firewatch.api.notices import Notices
from firewatch.api.resource import Key, Object, parse_duration
from firewatch.api.responses import AutoResponseStatus, HistoryEntry, State
from firewatch.cluster.errors import ClusterError
from firewatch.cluster.events import post_event
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.cluster.status import dump_status, write_status
from firewatch.respond.actuator import level_write, restart_write
from firewatch.respond.ahead import put_live, write_ahead
from firewatch.respond.context import RespondContext
from firewatch.respond.finalizer import add_finalizer, has_finalizer, remove_finalizer
from firewatch.respond.limits import FAILURES, bad_ends, remember
from firewatch.respond.lost import is_unrecorded, newly_found, unseen_note
from firewatch.respond.notices import WOULD_NOTIFY, as_one, find_notifying, would_notes
from firewatch.respond.outbox import follow, wake_notifiers
from firewatch.respond.registry import Entry, target_of
from firewatch.respond.signals import NOT_POLLED, UNREACHABLE, Kind, Source, judge
from firewatch.respond.situation import (
    AUTOSCALER_SCHEMA,
    LEDGER_SCHEMA,
    TARGET_READY,
    Decision,
    Note,
    Situation,
    View,
)
from firewatch.respond.sizes import granted_kind

_log = logging.getLogger(__name__)

_HISTORY = 20
"""Every entry makes each write to the object slower, the ledger's included: 50 cost 5 ms."""
_NOT_DONE = frozenset(
    {
        *("Observed", "DryRun", "Requested", "Rejected", "Limited", "Refused", "WriteRefused"),
        *("Tripped", WOULD_NOTIFY),
    }
)
"""Events about something that was not done: told once, not each time it is found again."""


def read_ledger(key: Key, entries: Iterable[Entry]) -> tuple[Ledger | None, str]:
    """Return the ledger of a target, or why it cannot be understood.

    If a move to another AutoResponse was interrupted, there are two: the one that stays counts.
    """
    keepers = sorted((e for e in entries if e.owed == key), key=lambda entry: entry.deleting)
    if not keepers:
        return None, ""
    raw = keepers[0].live["status"]["ledger"]
    if raw.get("schema") not in (LEDGER_SCHEMA, AUTOSCALER_SCHEMA):
        return None, (
            f"the ledger has schema {raw.get('schema')}, which this operator does not know;"
            " nothing is changed until an operator that knows it runs"
        )
    try:
        return Ledger.model_validate(raw), ""
    except ValidationError as error:
        return None, f"the ledger cannot be read, so nothing is changed: {error}"


async def report(
    context: RespondContext, key: Key, situation: Situation, decision: Decision
) -> None:
    """Write down a decision: the ledger first, then what is told of it.

    Ahead of a write to the target only the ledger is written, since it is what makes the write safe
    to repeat, and nothing may delay it.
    """
    entries = context.registry.on_target(key)
    keeper = _keeper(key, entries, decision.ledger)
    if decision.scale_to is not None:
        if keeper is None or decision.ledger is None:
            raise RuntimeError(f"{key}: a write to the target was decided without a ledger for it")
        await write_ahead(context, keeper, decision.ledger)
        return
    if keeper is not None and not has_finalizer(keeper.live):
        keeper = put_live(context, keeper, await add_finalizer(context.cluster, keeper.live))
    notes = _news(entries, decision)
    notes = await _try_dry_run(context, key, situation, decision, notes)
    decision = replace(decision, notes=tuple(notes))
    would: list[Note] = []
    for entry in _in_order(key, entries, keeper):
        is_keeper = keeper is not None and entry.name == keeper.name
        current = keeper if is_keeper and keeper is not None else entry
        would += await _write_status(
            context, key, current, decision, now=situation.now, keeper=is_keeper
        )
    await _tell(context, key, situation, replace(decision, notes=(*notes, *would)))
    await release_finalizers(context, key)


def _in_order(key: Key, entries: Iterable[Entry], keeper: Entry | None) -> list[Entry]:
    """Return the AutoResponses in the order in which they are told.

    With the ledger it is settled what has happened, so it comes last: whoever is not told before a
    crash is told afterwards. But where it moves, it must not be missing in between.
    """
    if keeper is None:
        return sorted(entries, key=lambda entry: entry.owed == key)
    moves = keeper.owed != key
    return sorted(entries, key=lambda entry: (entry.name == keeper.name) is not moves)


def _keeper(key: Key, entries: list[Entry], ledger: Ledger | None) -> Entry | None:
    """Return who keeps the ledger: the oldest with a claim that stays, else whoever has it."""
    if ledger is None:
        return None
    holders = {claim.uid for claim in ledger.claims}
    staying = [
        e
        for e in entries
        if e.live["metadata"]["uid"] in holders and not e.deleting and e.target == key
    ]
    having = [e for e in entries if e.owed == key]
    return next(iter([*staying, *having]), None)


async def _write_status(
    context: RespondContext,
    key: Key,
    entry: Entry,
    decision: Decision,
    *,
    now: datetime,
    keeper: bool,
) -> list[Note]:
    """Write a status; return what people would have been told, did the mode let them be.

    ``now`` is the same for all that a decision is told of: what has happened once is counted once.
    """
    status = _status(context, key, entry, decision, now)
    raw = entry.live.get("status", {}).get("ledger")
    if keeper and decision.ledger is not None:
        status["ledger"] = dump_status(decision.ledger)
    elif raw is not None and (entry.owed != key or decision.keeps_ledger):
        status["ledger"] = raw
    live = await write_status(context.cluster, AUTO_RESPONSE, entry.live, status, at_version=True)
    after = put_live(context, entry, live)
    wake_notifiers(context, entry, after)
    return would_notes(entry.name, entry.notices, after.notices)


def _status(
    context: RespondContext, key: Key, entry: Entry, decision: Decision, now: datetime
) -> Object:
    """Return the status of an AutoResponse, without its ledger."""
    raw = {k: v for k, v in entry.live.get("status", {}).items() if k != "ledger"}
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
    """Return whether the source of alerts can be asked, also while a pushed alert fires."""
    kind = "AlertSourceHealthy"
    if source.state is not None and source.state.error:
        return bad(kind, UNREACHABLE, f"Prometheus cannot be asked: {source.state.error}")
    if entry.spec.heeds_silences and source.state is not None and source.state.muted_error:
        why = source.state.muted_error
        message = f"Alertmanager cannot be asked, so no alert counts as silenced: {why}"
        return bad(kind, "SilencesUnknown", message)
    signal = judge(entry.spec.trigger, source, now)
    if signal.reason == NOT_POLLED:
        return unknown(kind, signal.reason, signal.message)
    if signal.kind is Kind.RULE_GONE:
        return bad(kind, signal.reason, f"{signal.message}; apply an AlertPolicy that has it")
    if signal.kind is Kind.HOLD and signal.reason not in ("Pending", "SourceStarting"):
        return bad(kind, signal.reason, signal.message)
    return good(kind, "Polled", "Prometheus evaluates the alert's rule")


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


def _news(entries: list[Entry], decision: Decision) -> list[Note]:
    """Leave out what the status says already."""
    said = {entry.name: entry.live.get("status", {}).get("message") for entry in entries}
    return [
        note
        for note in decision.notes
        if note.event not in _NOT_DONE
        or note.at  # which is told once by that
        or said.get(note.responder) != decision.views[note.responder].message
    ]


async def _try_dry_run(
    context: RespondContext,
    key: Key,
    situation: Situation,
    decision: Decision,
    notes: list[Note],
) -> list[Note]:
    """Send the change as a dry run where it is news, and tell if it would have been refused."""
    target, replicas = situation.target, decision.dry_run_to
    is_news = any(note.event == "DryRun" for note in notes)
    if not is_news or target is None:
        return notes
    try:
        if replicas is not None:
            await context.cluster.write(level_write(target, key.namespace, replicas, dry_run=True))
        if decision.dry_run_restart:
            at = format_instant(situation.now)
            await context.cluster.write(restart_write(target, key.namespace, at, dry_run=True))
    except ClusterError as error:
        return [
            replace(n, message=f"{n.message}; it would be refused: {error}", warning=True)
            if n.event == "DryRun"
            else n
            for n in notes
        ]
    return notes


async def _tell(
    context: RespondContext, key: Key, situation: Situation, decision: Decision
) -> None:
    """Post Events on the AutoResponse and, if it was changed, on the target; count."""
    for note in decision.notes:
        entry = context.registry.get(key.namespace, note.responder)
        if entry is None:
            continue
        context.metrics.responses.actions.labels(note.event, entry.spec.mode).inc()
        involved = [involving(entry)]
        if note.event not in _NOT_DONE and situation.target is not None:
            involved.append(_reference(context, key, situation.target.uid))
        for thing in involved:
            await post_note(context, thing, note)


def _reference(context: RespondContext, key: Key, uid: str) -> Object:
    wanted, name = target_of(key)
    kind = granted_kind(context.settings, wanted)
    metadata = {"namespace": key.namespace, "name": name, "uid": uid}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def involving(entry: Entry) -> Object:
    """Return an AutoResponse as an Event is about it."""
    return {**entry.live, "apiVersion": AUTO_RESPONSE.api_version, "kind": AUTO_RESPONSE.kind}


async def post_note(context: RespondContext, involved: Object, note: Note) -> None:
    """Post an Event, if that is possible."""
    try:
        await post_event(
            context.cluster,
            involved,
            reason=note.event,
            message=note.message,
            now=context.clock(),
            warning=note.warning,
        )
    except ClusterError as error:
        # The status has the same words; an Event is a courtesy that may not undo the rest.
        _log.warning("event %s for %s was refused: %s", note.event, note.responder, error)


async def release_finalizers(context: RespondContext, key: Key) -> None:
    """Let go of AutoResponses that owe nothing any more."""
    owed = {entry.owed for entry in context.registry} - {None}
    context.metrics.responses.open_episodes.set(len(owed))
    for entry in context.registry.on_target(key):
        if has_finalizer(entry.live) and entry.owed is None:
            put_live(context, entry, await remove_finalizer(context.cluster, entry.live))


async def report_problem(context: RespondContext, key: Key, reason: str, message: str) -> None:
    """Say in the status of all AutoResponses on a target that the operator cannot go on."""
    view = View(State.REFUSED, message, bad(TARGET_READY, reason, message))
    entries = context.registry.on_target(key)
    decision = Decision(None, views={e.name: view for e in entries}, keeps_ledger=True)
    event = reason if reason in FAILURES else "Refused"
    notes = [Note(event, message, e.name, warning=True) for e in entries]
    notes += [unseen_note(e.name, e.spec) for e in entries if is_unrecorded(e.live)]
    decision = replace(decision, notes=tuple(_news(entries, replace(decision, notes=tuple(notes)))))
    now = context.clock()
    for entry in entries:
        await _write_status(context, key, entry, decision, now=now, keeper=False)
    await _tell(context, key, Situation(now, None, ()), decision)


async def abandon(context: RespondContext, key: Key, entry: Entry, why: str) -> None:
    """Give up what is owed to a target that the operator has no rights to any more."""
    ledger = entry.live["status"]["ledger"]
    message = (
        f"{key.name} is left at {ledger.get('written')} replicas (baseline"
        f" {ledger.get('baseline')}): {why}"
    )
    # Where the operator has no rights it cannot post an Event either, and the status goes.
    _log.warning("AutoResponse %s/%s is deleted: %s", key.namespace, entry.name, message)
    note = Note("RestoreSkipped", message, entry.name, warning=True)
    decision = Decision(None, notes=(note,))
    now = context.clock()
    await _write_status(context, key, entry, decision, now=now, keeper=False)
    await _tell(context, key, Situation(now, None, ()), decision)
    await release_finalizers(context, key)

"""What is written down about a target, and in which order: ledger, statuses, Events, finalizers."""

import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from firewatch.api.conditions import bad, format_instant
from firewatch.api.ledger import Ledger
from firewatch.api.resource import Key, Object, Status
from firewatch.api.responses import State
from firewatch.cluster.errors import ClusterError
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.cluster.status import dump_status, write_status
from firewatch.respond.actuator import level_write, restart_write
from firewatch.respond.ahead import put_live, write_ahead
from firewatch.respond.circuit.change import write_change
from firewatch.respond.context import RespondContext
from firewatch.respond.events import news_of, tell
from firewatch.respond.finalizer import add_finalizer, has_finalizer, remove_finalizer
from firewatch.respond.limits import FAILURES
from firewatch.respond.lost import is_unrecorded, unseen_note
from firewatch.respond.notices import would_notes
from firewatch.respond.outbox import wake_notifiers
from firewatch.respond.registry import Entry
from firewatch.respond.situation import (
    AUTOSCALER_SCHEMA,
    LEDGER_SCHEMA,
    TARGET_READY,
    Decision,
    Note,
    Situation,
    View,
)
from firewatch.respond.status import next_status, split_records

_log = logging.getLogger(__name__)
_Record = TypeVar("_Record", bound=Status)


def read_ledger(key: Key, entries: Iterable[Entry]) -> tuple[Ledger | None, str]:
    """Return the ledger of a target, or why it cannot be understood.

    If a move to another AutoResponse was interrupted, there are two: the one that stays counts.
    """
    keepers = sorted((e for e in entries if e.owed == key), key=lambda entry: entry.deleting)
    if not keepers:
        return None, ""
    raw = keepers[0].live["status"]["ledger"]
    return read_record(raw, Ledger, (LEDGER_SCHEMA, AUTOSCALER_SCHEMA), "the ledger")


def read_record(
    raw: Object, model: type[_Record], schemas: Collection[int], what: str
) -> tuple[_Record | None, str]:
    """Return a record of a status, or why it cannot be understood; ``what`` is its name for people."""
    if raw.get("schema") not in schemas:
        return None, (
            f"{what} has schema {raw.get('schema')}, which this operator does not know;"
            " nothing is changed until an operator that knows it runs"
        )
    try:
        return model.model_validate(raw), ""
    except ValidationError as error:
        return None, f"{what} cannot be read, so nothing is changed: {error}"


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
    notes = news_of(entries, decision)
    notes = await _try_dry_run(context, key, situation, decision, notes)
    decision = replace(decision, notes=tuple(notes))
    would: list[Note] = []
    for entry in _in_order(key, entries, keeper):
        is_keeper = keeper is not None and entry.name == keeper.name
        current = keeper if is_keeper and keeper is not None else entry
        would += await _write_status(
            context, key, current, decision, now=situation.now, keeper=is_keeper
        )
    await tell(context, key, situation, replace(decision, notes=(*notes, *would)))
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
    status = next_status(context, key, entry, decision, now)
    _, owed = split_records(entry.live)
    status |= _breaker(entry, decision, owed)
    raw = owed.get("ledger")
    if keeper and decision.ledger is not None:
        status["ledger"] = dump_status(decision.ledger)
    elif raw is not None and (entry.owed != key or decision.keeps_ledger):
        status["ledger"] = raw
    live = await write_status(context.cluster, AUTO_RESPONSE, entry.live, status, at_version=True)
    after = put_live(context, entry, live)
    wake_notifiers(context, entry, after)
    return would_notes(entry.name, entry.notices, after.notices)


def _breaker(entry: Entry, decision: Decision, owed: Object) -> Object:
    """Return what the status is to say of a circuit breaker."""
    if entry.name not in decision.breakers:
        return {k: v for k, v in owed.items() if k == "breaker"}
    record = decision.breakers[entry.name]
    return {} if record is None else {"breaker": dump_status(record)}


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
        if decision.dry_run_change is not None:
            change = decision.dry_run_change
            await write_change(context.cluster, key.namespace, change, dry_run=True)
    except ClusterError as error:
        return [
            replace(n, message=f"{n.message}; it would be refused: {error}", warning=True)
            if n.event == "DryRun"
            else n
            for n in notes
        ]
    return notes


async def release_finalizers(context: RespondContext, key: Key) -> None:
    """Let go of AutoResponses that owe nothing any more."""
    owed = {key for entry in context.registry for key in entry.owes}
    context.metrics.responses.open_episodes.set(len(owed))
    for entry in context.registry.on_target(key):
        if has_finalizer(entry.live) and not entry.owes:
            put_live(context, entry, await remove_finalizer(context.cluster, entry.live))


async def report_problem(context: RespondContext, key: Key, reason: str, message: str) -> None:
    """Say in the status of all AutoResponses on a target that the operator cannot go on."""
    view = View(State.REFUSED, message, bad(TARGET_READY, reason, message))
    entries = context.registry.on_target(key)
    decision = Decision(None, views={e.name: view for e in entries}, keeps_ledger=True)
    event = reason if reason in FAILURES else "Refused"
    notes = [Note(event, message, e.name, warning=True) for e in entries]
    notes += [unseen_note(e.name, e.spec) for e in entries if is_unrecorded(e.live)]
    decision = replace(
        decision, notes=tuple(news_of(entries, replace(decision, notes=tuple(notes))))
    )
    now = context.clock()
    for entry in entries:
        await _write_status(context, key, entry, decision, now=now, keeper=False)
    await tell(context, key, Situation(now, None, ()), decision)


def describe_owed(owed: Object) -> Iterator[str]:
    """Yield in words what records of a status say is changed, as it would be left."""
    if ledger := owed.get("ledger"):
        yield f"at {ledger.get('written')} replicas (baseline {ledger.get('baseline')})"
    if breaker := owed.get("breaker"):
        changes = breaker.get("changes") or []
        fields = ", ".join(f"{c.get('field')} of {c.get('kind')} {c.get('name')}" for c in changes)
        yield f"with its circuit breaker open ({fields or 'nothing is changed'})"


async def abandon(context: RespondContext, key: Key, entry: Entry, why: str) -> None:
    """Give up what is owed to a target that the operator has no rights to any more."""
    _, owed = split_records(entry.live)
    message = f"{key.name} is left {'; '.join(describe_owed(owed))}: {why}"
    # Where the operator has no rights it cannot post an Event either, and the status goes.
    _log.warning("AutoResponse %s/%s is deleted: %s", key.namespace, entry.name, message)
    note = Note("RestoreSkipped", message, entry.name, warning=True)
    breakers = {entry.name: None} if entry.breaking == key else {}
    decision = Decision(None, notes=(note,), breakers={**breakers})
    now = context.clock()
    await _write_status(context, key, entry, decision, now=now, keeper=False)
    await tell(context, key, Situation(now, None, ()), decision)
    await release_finalizers(context, key)

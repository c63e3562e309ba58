"""A pass over an AutoResponse that changes nothing: it looks on and tells people.

It has no target, whose pass would write its status.
"""

from firewatch.api.conditions import merge_conditions
from firewatch.api.notices import Incident, Notices
from firewatch.api.resource import Again, Key, Object
from firewatch.api.responses import AutoResponseStatus, State
from firewatch.cluster.errors import ConflictError, NotFoundError
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.cluster.status import dump_status, write_status
from firewatch.respond.ahead import put_live
from firewatch.respond.context import RespondContext
from firewatch.respond.events import involving, post_note
from firewatch.respond.notices import MOST_INCIDENTS, due_in, find_notifying, would_notes
from firewatch.respond.outbox import follow, wake_notifiers
from firewatch.respond.pausing import find_pause
from firewatch.respond.registry import Entry
from firewatch.respond.report import release_finalizers
from firewatch.respond.signals import NOT_POLLED, Signal, judge, judge_names
from firewatch.respond.status import find_source, split_records
from firewatch.respond.target import read_again

_WATCH_SECONDS = 15.0
"""How often alerts that people know of are looked at: each by itself may resolve at any poll."""
_AGAIN = Again(0.1)
"""How soon to look again after somebody else's write came in between."""


async def reconcile_onlooker(context: RespondContext, key: Key) -> float | None:
    """Tell of alerts that begin and end; return when to look again."""
    entry = context.registry.get(key.namespace, key.name)
    if entry is None or entry.target != key:
        return float("inf")
    signal = judge(entry.spec.trigger, context.sources.known_to(entry), context.clock())
    if entry.is_accepted and signal.reason == NOT_POLLED:
        return None  # nothing can be said, and so nothing is written; the poll wakes this key
    try:
        return await _look(context, entry, signal)
    except ConflictError:
        await read_again(context, [entry])
        return _AGAIN
    except NotFoundError:
        context.registry.drop(key.namespace, key.name)
        return float("inf")


async def _look(context: RespondContext, entry: Entry, signal: Signal) -> float | None:
    now, before = context.clock(), entry.notices
    some = signal.names[: 2 * MOST_INCIDENTS]
    names = dict.fromkeys([*(each.alert for each in before.incidents), *some])
    known = context.sources.known_to(entry)
    signals = judge_names(entry.spec.trigger, known, now, names)
    notices = follow(context, entry, signals)
    status = _status(context, entry, signal, notices or Notices())
    live = await write_status(context.cluster, AUTO_RESPONSE, entry.live, status, at_version=True)
    after = put_live(context, entry, live)
    wake_notifiers(context, entry, after)
    for note in would_notes(entry.name, before, after.notices):
        await post_note(context, involving(after), note)
    # It may be left from when it changed something.
    await release_finalizers(context, entry.target)
    return _next_look(context, after)


def _next_look(context: RespondContext, entry: Entry) -> float | None:
    now, pause = context.clock(), find_pause(entry.live, context.clock())
    if pause:
        return max(0.05, (pause.until - now).total_seconds()) if pause.until else None
    if not entry.notices.incidents:
        return None
    due = due_in(entry.notices, entry.spec.recovery, now)
    return _WATCH_SECONDS if due is None else min(due, _WATCH_SECONDS)


def _status(context: RespondContext, entry: Entry, signal: Signal, notices: Notices) -> Object:
    now, generation = context.clock(), entry.live["metadata"]["generation"]
    raw, owed = split_records(entry.live)
    before = AutoResponseStatus.model_validate(raw)
    findings = [entry.accepted]
    state, message = State.IDLE, entry.accepted.message
    if entry.is_accepted:
        findings += [find_source(entry, context.sources.known_to(entry), now)]
        findings += filter(None, [find_notifying(entry.spec, notices)])
        state, message = _outlook(context, entry, signal, notices)
    update = {
        "observed_generation": generation,
        "conditions": merge_conditions(before.conditions, findings, generation=generation, now=now),
        "request": None,
        "restart": None,  # left from when it was to change something
        "tripped": None,
        "state": state,
        "message": message[:1024],
        "notices": None if notices == Notices() else notices,
    }
    status = dump_status(before.model_copy(update=update))
    # What it owes from before it was changed to only tell people is given back by another pass.
    return {**status, **owed}


def _outlook(
    context: RespondContext, entry: Entry, signal: Signal, notices: Notices
) -> tuple[State, str]:
    """Return the state, and what it means."""
    says = f"{_listed(signal.names)} fires" if signal.names else signal.message
    if pause := find_pause(entry.live, context.clock()):
        return State.PAUSED, f"{pause.message}; {says}"
    if signal.names:
        if not entry.spec.is_armed:
            return State.WOULD_ACT, f"{says}; nobody is told (mode {entry.spec.mode})"
        return State.FIRING, f"{says}; people are told of it"
    if waiting := [each for each in notices.incidents if each.resolved_at or each.orphaned_at]:
        return State.HOLDING, f"{says}; {_awaited(waiting, entry)}"
    return State.IDLE, says


def _listed(names: tuple[str, ...]) -> str:
    """Return names in order, since which came first may differ from poll to poll."""
    first, *others = sorted(names)
    return f"{first} (and {len(others)} more)" if others else first


def _awaited(waiting: list[Incident], entry: Entry) -> str:
    names = _listed(tuple(each.alert for each in waiting))
    return f"{names} is over once it has stayed so for {entry.spec.recovery.hold}"

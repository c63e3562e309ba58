"""Restarts (pure): one for each time that an alert fires, beside what is scaled.

A restart owes nothing, so it is no claim in the ledger. It is written down in the status of its
AutoResponse before it is done, with what the annotation will say. So whoever comes after a crash sees by
the target itself whether it has been done.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from firewatch.api.conditions import bad, format_instant, format_time, good, parse_time
from firewatch.api.ledger import Effect, LedgerTarget, Verdict
from firewatch.api.resource import parse_duration
from firewatch.api.responses import State
from firewatch.api.restart import RestartRecord, RestartState
from firewatch.respond.decide import WATCH_SECONDS, decide
from firewatch.respond.effect import (
    INEFFECTIVE,
    deadline,
    explain,
    ineffective_note,
    is_news,
    weigh,
)
from firewatch.respond.idle import may_begin, refusal
from firewatch.respond.signals import Kind
from firewatch.respond.situation import (
    TARGET_READY,
    Decision,
    Note,
    Responder,
    Situation,
    Target,
    View,
)


@dataclass
class _Draft:
    """What is decided about the restarts of one target, while it is put together."""

    records: dict[str, RestartRecord | None] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    begun: tuple[str, RestartRecord] | None = None


def decide_all(situation: Situation) -> Decision:
    """Return what to do now about replicas and restarts; replicas come first."""
    decision = decide(situation)
    if decision.scale_to is not None or situation.unreadable:
        return decision
    return _with_restarts(situation, decision)


def _with_restarts(situation: Situation, decision: Decision) -> Decision:
    draft = _Draft()
    for responder in situation.responders:
        if responder.restart is not None:
            _follow(draft, situation, responder, responder.restart)
    for responder in situation.responders:
        if responder.restart is None and _may_begin(situation, responder):
            _begin(draft, situation, responder)
    if not draft.records and not draft.begun and not draft.views:
        return decision
    waits = [] if decision.seconds is None else [decision.seconds]
    waits += [WATCH_SECONDS] if draft.views else []
    return replace(
        decision,
        restart=draft.begun,
        records=draft.records,
        views={**decision.views, **draft.views},
        notes=(*decision.notes, *draft.notes),
        ended=decision.ended | draft.ended,
        seconds=0.0 if draft.ended else min(waits, default=None),
    )


def _may_begin(situation: Situation, responder: Responder) -> bool:
    is_left_alone = situation.ledger is not None and bool(situation.ledger.released_by)
    return responder.restarts and not is_left_alone and may_begin(situation, responder)


def _begin(draft: _Draft, situation: Situation, responder: Responder) -> None:
    """Begin a restart, unless there is another to do or to tell of first.

    The annotation says of the last one only that it was done, so that must be written down before.
    """
    if draft.begun is None and not draft.notes:
        draft.begun = (responder.name, _announce(situation, responder))
    elif draft.notes:
        finding = refusal(situation, responder)
        message = f"{responder.signal.message}; it waits for what is done for another"
        draft.views[responder.name] = View(State.FIRING, message, finding)


def _announce(situation: Situation, responder: Responder) -> RestartRecord:
    target, alert = situation.target, responder.signal.alert
    assert target is not None
    assert alert is not None
    within = parse_duration(responder.spec.rails.verify_within)
    return RestartRecord(
        target=LedgerTarget(kind=target.kind, name=target.name, uid=target.uid),
        alert=alert.identity,
        alert_name=alert.name[:256],
        at=format_instant(situation.now),
        generation=target.renewal.generation,
        effect=Effect(value=responder.signal.value) if within else None,
    )


def _follow(
    draft: _Draft, situation: Situation, responder: Responder, record: RestartRecord
) -> None:
    """Go on with a restart that stands in a status."""
    name, target = responder.name, situation.target
    if not responder.may_write or not responder.restarts:
        _end(draft, name)
    elif target is None or target.uid != record.target.uid:
        message = f"{record.target.kind} {record.target.name} was deleted or made anew"
        draft.notes.append(Note("TargetGone", message, name, record.alert_name, warning=True))
        _end(draft, name)
    elif record.state is RestartState.ANNOUNCED and _is_untouched(target, record):
        _try_again(draft, situation, responder, record)
    else:
        _watch(draft, situation, responder, _settled(draft, responder, target, record))


def _end(draft: _Draft, name: str) -> None:
    draft.records[name] = None
    draft.ended.add(name)


def _is_untouched(target: Target, record: RestartRecord) -> bool:
    """Tell whether the target is as it was when the restart was announced, and so not restarted."""
    renewal = target.renewal
    return renewal.restarted_at != record.at and renewal.generation == record.generation


def _try_again(
    draft: _Draft, situation: Situation, responder: Responder, record: RestartRecord
) -> None:
    """Do what was only announced, if that is still wanted; with the same words, so that it is one."""
    if draft.begun is None and responder.asks and may_begin(situation, responder):
        draft.begun = (responder.name, record)
    else:
        draft.records[responder.name] = None


def _settled(
    draft: _Draft, responder: Responder, target: Target, record: RestartRecord
) -> RestartRecord:
    """Return the record with what has become of an announced restart."""
    if record.state is not RestartState.ANNOUNCED:
        return record
    who, alert = f"{target.kind} {target.name}", record.alert_name
    if target.renewal.restarted_at == record.at:
        message = f"{alert}: restarted {who}; there is nothing to put back"
        draft.notes.append(Note("Restarted", message, responder.name, alert, at=record.at))
        return record.model_copy(update={"state": RestartState.DONE})
    message = (
        f"{alert}: somebody else has changed {who} while it was to be restarted, so that it cannot be"
        " told whether it was; it is not restarted again for this alert"
    )
    note = Note("RestartSkipped", message, responder.name, alert, warning=True, at=record.at)
    draft.notes.append(note)
    return record.model_copy(update={"state": RestartState.SKIPPED})


def _watch(
    draft: _Draft, situation: Situation, responder: Responder, record: RestartRecord
) -> None:
    """Follow the alert until it has stayed resolved, and see whether the restart has helped."""
    after = _aged(record, responder, situation.now)
    ends = _ends(after, responder)
    if ends is not None and situation.now >= ends and responder.pause is None:
        _end(draft, responder.name)
        return
    assert situation.target is not None
    after, notes = _verified(after, responder, situation.target, situation.now)
    draft.notes += notes
    draft.records[responder.name] = after
    draft.views[responder.name] = _view(after, responder, ends)


def _aged(record: RestartRecord, responder: Responder, now: datetime) -> RestartRecord:
    moment, kind = format_instant(now), responder.signal.kind
    resolved = orphaned = None
    if kind is Kind.RESOLVED:
        resolved = record.resolved_at or moment
    elif kind is Kind.RULE_GONE:
        orphaned = record.orphaned_at or moment
    return record.model_copy(update={"resolved_at": resolved, "orphaned_at": orphaned})


def _ends(record: RestartRecord, responder: Responder) -> datetime | None:
    """Return when the episode is over if the alert stays as it is; None while it goes on."""
    recovery = responder.spec.recovery
    if record.resolved_at:
        since, wait = record.resolved_at, recovery.hold
    elif record.orphaned_at:
        since, wait = record.orphaned_at, recovery.orphan_after
    else:
        return None
    return parse_time(since) + timedelta(seconds=parse_duration(wait))


def _verified(
    record: RestartRecord, responder: Responder, target: Target, now: datetime
) -> tuple[RestartRecord, list[Note]]:
    effect, asked = record.effect, parse_time(record.at)
    if effect is None or record.state is not RestartState.DONE or responder.pause is not None:
        return record, []
    is_done = target.renewal.is_rolled_out and target.ready >= target.replicas
    after = weigh(effect, responder, is_done=is_done, asked_at=asked, now=now)
    known = record.model_copy(update={"effect": after})
    if not is_news(effect, after):
        return known, []
    rails = responder.spec.rails
    message = explain(record.alert_name, f"{target.name} was restarted", rails, after)
    at = deadline(after, rails, asked)
    return known, [ineffective_note(responder, record.alert_name, message, at)]


def _view(record: RestartRecord, responder: Responder, ends: datetime | None) -> View:
    who = f"{record.target.kind} {record.target.name}"
    was = "was restarted" if record.state is RestartState.DONE else "was not restarted"
    finding = good(TARGET_READY, "Restarted", f"{who} {was} for {record.alert_name}")
    if responder.pause:
        return View(State.PAUSED, f"{responder.pause.message}; {who} {was}", finding)
    if ends is not None:
        over = f"{record.alert_name} has resolved; {who} {was}, and it is over at"
        return View(State.HOLDING, f"{over} {format_time(ends)}", finding)
    message = "; ".join(_words(record, responder, f"{who} {was}"))
    if responder.fires and record.effect and record.effect.verdict is Verdict.INEFFECTIVE:
        return View(State.INEFFECTIVE, message, bad(TARGET_READY, INEFFECTIVE, message))
    if record.state is RestartState.SKIPPED:
        return View(State.REFUSED, message, bad(TARGET_READY, "RestartSkipped", message))
    return View(State.ACTIVE, message, finding)


def _words(record: RestartRecord, responder: Responder, what: str) -> Iterator[str]:
    yield responder.signal.message
    yield what
    if record.effect and record.effect.verdict is Verdict.INEFFECTIVE:
        yield f"that has not helped within {responder.spec.rails.verify_within}; look after it"
    elif record.state is RestartState.SKIPPED:
        yield "somebody else has changed it just then; look after it"
    else:
        yield "it is done once until the alert is over"

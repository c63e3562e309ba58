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
from firewatch.respond.limits import Usage
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

_TICK = timedelta(milliseconds=1)
"""The least by which two instants differ."""


@dataclass
class _Draft:
    """What is decided about the restarts of one target, while it is put together."""

    records: dict[str, RestartRecord | None] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    wanting: list[Responder] = field(default_factory=list)
    """For whom a restart may be done now; one that was announced already comes first."""

    @property
    def is_settling(self) -> bool:
        """Tell whether something was found out that must be written down before a restart is done."""
        return bool(self.notes or self.ended) or None in self.records.values()


def decide_all(situation: Situation) -> Decision:
    """Return what to do now about replicas and restarts; replicas come first.

    But not before a restart that stands announced: it could no longer be told whether that was done.
    """
    decision = decide(situation)
    is_first = decision.scale_to is not None and not _is_announced(situation)
    if is_first or situation.unreadable:
        return decision
    return _with_restarts(situation, replace(decision, scale_to=None))


def _is_announced(situation: Situation) -> bool:
    """Tell whether there is a restart that was announced and not done."""
    target = situation.target
    return target is not None and any(
        record.state is RestartState.ANNOUNCED and _is_untouched(target, record)
        for record in (responder.restart for responder in situation.responders)
        if record is not None and record.target.uid == target.uid
    )


def _with_restarts(situation: Situation, decision: Decision) -> Decision:
    draft = _Draft(ended={*decision.ended})
    for responder in situation.responders:
        if responder.restart is not None:
            _follow(draft, situation, responder, responder.restart)
    for responder in situation.responders:
        if responder.restart is None and _may_begin(situation, responder):
            draft.wanting.append(responder)
    if not draft.records and not draft.wanting:
        return decision
    begun = _begun(draft, situation)
    waits = [] if decision.seconds is None else [decision.seconds]
    waits += [WATCH_SECONDS] if draft.views else []
    return replace(
        decision,
        restart=begun,
        records=draft.records,
        views={**decision.views, **draft.views},
        notes=(*decision.notes, *draft.notes),
        ended=decision.ended | draft.ended,
        seconds=0.0 if draft.is_settling else min(waits, default=None),
    )


def _may_begin(situation: Situation, responder: Responder) -> bool:
    is_left_alone = situation.ledger is not None and bool(situation.ledger.released_by)
    return responder.restarts and not is_left_alone and may_begin(situation, responder)


def _begun(draft: _Draft, situation: Situation) -> tuple[str, RestartRecord] | None:
    """Return the restart that is done now, unless there is another to tell of or to end first.

    The annotation says of the last one only that it was done, and what was only announced would be
    taken for done, or for in doubt, once another has been. So that must be written down before.
    """
    if draft.is_settling:
        draft.views |= {each.name: _waiting_view(situation, each) for each in draft.wanting}
        return None
    if not draft.wanting:
        return None
    first = draft.wanting[0]
    return first.name, first.restart or _announce(situation, first)


def _waiting_view(situation: Situation, responder: Responder) -> View:
    message = f"{responder.signal.message}; it waits for what is done for another"
    return View(State.FIRING, message, refusal(situation, responder))


def _announce(situation: Situation, responder: Responder) -> RestartRecord:
    target, alert = situation.target, responder.signal.alert
    assert target is not None
    assert alert is not None
    within = parse_duration(responder.spec.rails.verify_within)
    return RestartRecord(
        target=LedgerTarget(kind=target.kind, name=target.name, uid=target.uid),
        alert=alert.identity,
        alert_name=alert.name[:256],
        at=_instant(situation.now, target),
        generation=target.renewal.generation,
        effect=Effect(value=responder.signal.value) if within else None,
    )


def _instant(now: datetime, target: Target) -> str:
    """Return an instant that the annotation does not say yet, or it would be taken for done."""
    at = format_instant(now)
    return at if at != target.renewal.restarted_at else format_instant(now + _TICK)


def _follow(
    draft: _Draft, situation: Situation, responder: Responder, record: RestartRecord
) -> None:
    """Go on with a restart that stands in a status."""
    target = situation.target
    if target is None or target.uid != record.target.uid:
        _lose(draft, responder, record)
    elif record.state is RestartState.ANNOUNCED and _is_untouched(target, record):
        _try_again(draft, situation, responder)
    else:
        # What was done is told, also for one that is to do nothing any more.
        settled = _settled(draft, responder, target, record)
        if responder.may_write and responder.restarts:
            _watch(draft, situation, responder, settled)
        else:
            _end(draft, responder.name)


def _lose(draft: _Draft, responder: Responder, record: RestartRecord) -> None:
    """End what was begun on an object that is gone, or is not the one that is meant any more."""
    meant, was = responder.spec.target, record.target
    is_meant = meant is not None and (meant.kind, meant.name) == (was.kind, was.name)
    if responder.may_write and is_meant:
        message = f"{was.kind} {was.name} was deleted or made anew"
        note = Note("TargetGone", message, responder.name, record.alert_name, warning=True)
        draft.notes.append(note)
    _end(draft, responder.name)


def _end(draft: _Draft, name: str) -> None:
    draft.records[name] = None
    draft.ended.add(name)


def _is_untouched(target: Target, record: RestartRecord) -> bool:
    """Tell whether the target is as it was when the restart was announced, and so not restarted."""
    renewal = target.renewal
    return renewal.restarted_at != record.at and renewal.generation == record.generation


def _try_again(draft: _Draft, situation: Situation, responder: Responder) -> None:
    """Do what was only announced, if that is still wanted; with the same words, so that it is one."""
    # It is among the actions that are counted already.
    counted = replace(situation, usage=Usage())
    if not draft.wanting and _may_begin(counted, responder):
        draft.wanting.append(responder)
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

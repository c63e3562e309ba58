"""What people are told of an AutoResponse (pure): which messages are due, each exactly once.

All that must be known for it stands in ``status.notices``, which is written together with the history
that it follows from. So whoever is stopped in between finds both or neither. A message that is due waits
in the outbox there until the notifier has sent it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from firewatch.api.conditions import (
    READY,
    Finding,
    bad,
    format_instant,
    good,
    merge_conditions,
    parse_time,
    unknown,
)
from firewatch.api.notices import (
    Delivery,
    DeliveryState,
    Incident,
    Moment,
    Notice,
    Notices,
    Notify,
)
from firewatch.api.recovery import Recovery
from firewatch.api.resource import Condition, parse_duration
from firewatch.api.responses import AutoResponseSpec, HistoryEntry
from firewatch.build.names import short_hash
from firewatch.respond.messages import (
    Speaker,
    alert_values,
    describe,
    shorten,
    write_letter,
)
from firewatch.respond.signals import NOT_POLLED, Kind, Signal
from firewatch.respond.situation import Note

NOTIFYING = "Notifying"
"""Condition: people can be told, and the last message was taken."""
WOULD_NOTIFY = "WouldNotify"
"""Event: what people would be told, were it not for the mode."""
MOST_INCIDENTS = 32
MOST_WAITING = 16
_LONGEST_NAME = 256
_LONGEST_MESSAGE = 1024
_YOUNG = timedelta(minutes=1)
"""How long a message is not pushed out of the outbox by others of the same kind."""
_KNOWN_FROM_BEFORE = frozenset({NOT_POLLED, "RuleStale"})
"""Reasons of signals by which it is only not known anew how an alert stands."""

_ACTED = frozenset({"ScaledUp", "Rewritten", "Restarted", "BreakerOpened"})
_FAILED = frozenset(
    {
        *("Refused", "Limited", "Ineffective", "Released", "Contested", "TargetGone"),
        *("AutoscalerChanged", "RestartSkipped", "WriteRefused", "Tripped", "LedgerLost"),
        *("BreakerRefused", "BreakerReleased", "BreakerIneffective"),
    }
)
_ENDED = frozenset(
    {
        *("Restored", "RestoreSkipped", "TargetGone", "AutoscalerChanged"),
        *("BreakerClosed", "BreakerTakenBack", "BreakerKept"),
    }
)
"""Events of the history that people are told of, and those that say how it has ended."""


@dataclass(frozen=True)
class Seen:
    """What a pass has found out, as far as people are told of it."""

    now: datetime
    signals: Mapping[str, Signal]
    """By name of the alert."""
    happened: str = ""
    """What the status says now; if it is empty, the signal's own words."""
    news: Sequence[HistoryEntry] = ()
    """What has been added to the history, oldest first."""
    is_changed: bool = False
    """Whether something is changed for the AutoResponse at present."""


@dataclass(frozen=True)
class _Due:
    """Something to tell."""

    incident: Incident
    moment: Moment
    happened: str
    id: str


@dataclass
class _Draft:
    """What people are told, while it is put together."""

    incidents: dict[str, Incident]
    room: int
    """For how many messages there is a place in the outbox."""
    due: list[_Due] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Tell whether what else begins or ends has to wait."""
        return len(self.due) >= self.room

    def of(self, alert: str) -> Incident | None:
        """Return the incident that something in the history belongs to."""
        return self.incidents.get(alert) or next(iter(self.incidents.values()), None)

    def tell(self, incident: Incident, moment: Moment, happened: str, reason: str = "") -> None:
        """Tell of something, unless that has been done."""
        mark = f"{moment}-{reason}" if reason else str(moment)
        if mark in incident.told:
            return
        known = incident.model_copy(update={"told": [*incident.told, mark]})
        self.incidents[incident.alert] = known
        self.due.append(_Due(known, moment, happened, f"{incident.id}-{mark}"))


def advance(speaker: Speaker, before: Notices, seen: Seen) -> Notices:
    """Return what people are to be told after a pass."""
    if not speaker.spec.tells:
        return Notices()
    known = {incident.alert: incident for incident in before.incidents}
    draft = _Draft(known, _room(speaker.spec, before, seen.now))
    _open(draft, speaker, seen)
    _follow(draft, seen)
    _close(draft, speaker.spec, seen)
    return _post(speaker, before, draft, seen.now)


def _room(spec: AutoResponseSpec, before: Notices, now: datetime) -> int:
    """Return how many messages may be put into the outbox.

    Where alerts are told one by one, many may begin or end at once: some of them wait until others have
    been sent. What has not been taken for a while makes room, so that one dead endpoint does not keep
    another from being told.
    """
    if spec.changes:
        return MOST_WAITING
    return MOST_WAITING - sum(now - parse_time(each.at) < _YOUNG for each in before.outbox)


def as_one(before: Notices, signal: Signal) -> dict[str, Signal]:
    """Return the signal of an AutoResponse that changes something: its alerts are one incident.

    It goes by the name of the one that fired first.
    """
    known = [incident.alert for incident in before.incidents]
    return dict.fromkeys(known or signal.names[:1], signal)


def _open(draft: _Draft, speaker: Speaker, seen: Seen) -> None:
    """Begin to tell of alerts that fire."""
    for name, signal in seen.signals.items():
        is_new = signal.kind is Kind.FIRING and name not in draft.incidents
        is_name = len(name) <= _LONGEST_NAME and name.isprintable()
        has_place = len(draft.incidents) < MOST_INCIDENTS and not draft.is_full
        if not is_new or not is_name or not has_place:
            continue
        since = format_instant(seen.now)
        incident = Incident(
            id=short_hash(f"{speaker.uid}/{name}/{since}", 16),
            alert=name,
            since=since,
            values=alert_values(speaker.spec, signal),
        )
        draft.tell(incident, Moment.OPENED, seen.happened or signal.message)


def _follow(draft: _Draft, seen: Seen) -> None:
    """Tell of what has been done and of what has failed."""
    for entry in seen.news:
        incident = draft.of(entry.alert)
        if incident is None:
            continue  # it began before anybody was to be told
        if entry.event in _ACTED:
            draft.tell(incident, Moment.ACTED, entry.message)
        elif entry.event in _FAILED:
            draft.tell(incident, Moment.FAILED, entry.message, entry.event)


def _close(draft: _Draft, spec: AutoResponseSpec, seen: Seen) -> None:
    """Tell of alerts that have stayed resolved and for which nothing is changed any more."""
    for alert, incident in [*draft.incidents.items()]:
        signal = seen.signals.get(alert)
        if signal is None or signal.reason in _KNOWN_FROM_BEFORE:
            continue
        known = _settle(incident, signal, seen.now)
        draft.incidents[alert] = known
        end = ends_at(known, spec.recovery)
        is_over = end is not None and seen.now >= end and not seen.is_changed
        if is_over and not draft.is_full:
            draft.tell(known, Moment.RESTORED, _ending(known, spec, seen))
            del draft.incidents[alert]


def _settle(incident: Incident, signal: Signal, now: datetime) -> Incident:
    """Take in whether the alert has resolved; it must stay so without a break."""
    moment = format_instant(now)
    resolved = orphaned = None
    if signal.kind is Kind.RESOLVED:
        resolved = incident.resolved_at or moment
    elif signal.kind is Kind.RULE_GONE:
        orphaned = incident.orphaned_at or moment
    return incident.model_copy(update={"resolved_at": resolved, "orphaned_at": orphaned})


def ends_at(incident: Incident, recovery: Recovery) -> datetime | None:
    """Return when an incident is over if its alert stays as it is; None while it goes on."""
    if incident.resolved_at is not None:
        since, wait = incident.resolved_at, recovery.hold
    elif incident.orphaned_at is not None:
        since, wait = incident.orphaned_at, recovery.orphan_after
    else:
        return None
    return parse_time(since) + timedelta(seconds=parse_duration(wait))


def _ending(incident: Incident, spec: AutoResponseSpec, seen: Seen) -> str:
    last = [entry.message for entry in seen.news if entry.event in _ENDED]
    if last:
        return last[-1]
    did_nothing = spec.changes and Moment.ACTED not in incident.told
    return f"{incident.alert} is over" + ("; nothing was changed" if did_nothing else "")


def _post(speaker: Speaker, before: Notices, draft: _Draft, now: datetime) -> Notices:
    """Put what is due into the outbox; where the mode lets nothing be sent, only say it."""
    tells, is_armed = speaker.spec.tells, speaker.spec.is_armed
    rows = {row.action: row for row in before.deliveries if row.action in tells}
    outbox = [*_still_due(before.outbox, tells)] if is_armed else []
    for due in draft.due:
        notice = _notice(due, [a for a, notify in tells.items() if due.moment in notify.at], now)
        if is_armed and notice.pending:
            outbox.append(notice)
        elif not is_armed:
            rows |= {action: _would_send(speaker, action, notice) for action in notice.pending}
    lost = max(0, len(outbox) - MOST_WAITING)
    return Notices(
        incidents=[*draft.incidents.values()],
        outbox=outbox[lost:],
        given_up=before.given_up + lost,
        deliveries=[rows[action] for action in sorted(rows)],
    )


def _still_due(outbox: Iterable[Notice], tells: Mapping[int, Notify]) -> Iterator[Notice]:
    """Yield what waits, without actions that are not there any more."""
    for notice in outbox:
        if pending := [action for action in notice.pending if action in tells]:
            yield notice.model_copy(update={"pending": pending})


def _notice(due: _Due, actions: list[int], now: datetime) -> Notice:
    incident = due.incident
    return Notice(
        id=due.id,
        incident=incident.id,
        since=incident.since,
        moment=due.moment,
        alert=incident.alert,
        happened=shorten(due.happened, _LONGEST_MESSAGE),
        at=format_instant(now),
        values=incident.values,
        pending=actions,
    )


def _would_send(speaker: Speaker, action: int, notice: Notice) -> Delivery:
    notify = speaker.spec.tells[action]
    return Delivery(
        action=action,
        to=describe(notify),
        state=DeliveryState.WOULD_SEND,
        message=shorten(write_letter(speaker, notice, notify).text(), _LONGEST_MESSAGE),
        moment=notice.moment,
        alert=notice.alert,
        at=notice.at,
    )


def would_notes(response: str, before: Notices, after: Notices) -> list[Note]:
    """Return what is worth an Event of what would have been said."""
    return [
        Note(
            WOULD_NOTIFY,
            f"mode lets nothing be sent; would tell {row.to} ({row.moment}): {row.message}",
            response,
            row.alert,
        )
        for row in after.deliveries
        if row.state is DeliveryState.WOULD_SEND and row not in before.deliveries
    ]


def due_in(notices: Notices, recovery: Recovery, now: datetime) -> float | None:
    """Return in how many seconds the next incident is over; None if none is about to be."""
    ends = [end for each in notices.incidents if (end := ends_at(each, recovery)) is not None]
    # One that should be over and is not waits for something else.
    return min(((end - now).total_seconds() for end in ends if end > now), default=None)


def find_notifying(spec: AutoResponseSpec, notices: Notices) -> Finding | None:
    """Return whether people can be told and the last message was taken; None if nobody is told."""
    if not spec.tells:
        return None
    rows = {row.action: row for row in notices.deliveries}
    for row in rows.values():
        if row.state is DeliveryState.NO_ADDRESS:
            return bad(NOTIFYING, "NoAddress", f"{row.to}: {row.message}")
        if row.state is DeliveryState.FAILING:
            return bad(NOTIFYING, "DeliveryFailed", f"{row.to}: {row.message}")
    if spec.tells.keys() - rows.keys():
        message = "the addresses of notify have not been looked up yet"
        return unknown(NOTIFYING, "NotChecked", message)
    return good(NOTIFYING, "Notifying", "everybody who is to be told can be")


def with_notifying(
    conditions: Sequence[Condition], finding: Finding, *, generation: int, now: datetime
) -> list[Condition]:
    """Return conditions with another finding about messages, and Ready to match."""
    others = [
        Finding(each.type, each.status, each.reason, each.message)
        for each in conditions
        if each.type not in (READY, NOTIFYING)
    ]
    return merge_conditions(conditions, [*others, finding], generation=generation, now=now)

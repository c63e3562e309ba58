"""Circuit breakers of one target (pure): which may open, and what is done next for those that are open.

A breaker is written down in the status of its AutoResponse, and not in the ledger of its target: each has
a phase of its own, and what it holds are other fields than replicas. It is one step at a time, as
``circuit/episode.py`` says, and one write, as for everything that is done to a target.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from firewatch.api.circuit import BreakerRecord, Change, Circuit, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.api.conditions import bad, format_time, good, parse_time
from firewatch.api.ledger import LedgerTarget
from firewatch.api.resource import parse_duration
from firewatch.api.responses import State
from firewatch.respond.circuit import episode
from firewatch.respond.circuit.automaton import Pace, opened
from firewatch.respond.circuit.choice import is_offered
from firewatch.respond.circuit.episode import News, Step, Wish, begin, go_on, share_of
from firewatch.respond.circuit.plan import Plan
from firewatch.respond.decide import WATCH_SECONDS
from firewatch.respond.idle import dry_runs, may_begin
from firewatch.respond.signals import Kind
from firewatch.respond.situation import (
    TARGET_READY,
    Decision,
    Note,
    Pull,
    Responder,
    Situation,
    Target,
    View,
)

BREAKER_SCHEMA = 1
"""Version of the record of a breaker; an operator that does not know it leaves it alone."""
RECHECK_SECONDS = 10.0
"""How often it is looked again at whether a breaker can open while its alert fires."""
_LEAST_SECONDS = 0.2
_BAD = frozenset({episode.REWRITTEN, episode.RELEASED, episode.KEPT, episode.INEFFECTIVE})
"""Events of which somebody should know."""


@dataclass
class _Draft:
    """What is decided about the breakers of one target, while it is put together."""

    records: dict[str, BreakerRecord | None] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    waits: list[float] = field(default_factory=list)
    pull: Pull | None = None


def with_breakers(situation: Situation, decision: Decision) -> Decision:
    """Return a decision with what is done now for circuit breakers; they come after all else."""
    if decision.writes or situation.unreadable:
        return decision
    draft = _Draft()
    for responder in situation.responders:
        if responder.unreadable_breaker:
            draft.views[responder.name] = _unreadable_view(responder)
        elif responder.breaker is not None and responder.world is not None:
            _follow(draft, situation, responder, responder.breaker)
    for responder in situation.responders:
        _try_to_open(draft, situation, responder)
    if not draft.views and not draft.waits:
        return decision
    waits = [*draft.waits, *([] if decision.seconds is None else [decision.seconds])]
    return replace(
        decision,
        pull=draft.pull,
        breakers=draft.records,
        views={**decision.views, **draft.views},
        notes=(*decision.notes, *draft.notes),
        ended=decision.ended | draft.ended,
        dry_run_change=_dry_run(situation, decision),
        seconds=min(waits, default=None),
    )


def pace_of(responder: Responder, wanted: CircuitBreaker) -> Pace:
    """Return how long a breaker waits and tries."""
    return Pace(
        seed=responder.uid,
        open_for=_span(wanted.open_for),
        open_for_most=_span(wanted.open_for_most),
        try_for=_span(wanted.try_for),
        give_up_after=_span(wanted.give_up_after),
        min_requests=wanted.measure.min_requests,
        good_below=wanted.measure.good_below / 100,
    )


def _span(text: str) -> timedelta:
    return timedelta(seconds=parse_duration(text))


def _follow(
    draft: _Draft, situation: Situation, responder: Responder, record: BreakerRecord
) -> None:
    """Go on with a breaker that is not over, or begin with one."""
    assert responder.world is not None
    wish = _wish(situation, responder, record)
    step = go_on(record, wish, responder.world, situation.now)
    _take(draft, situation, responder, record, step)


def _wish(situation: Situation, responder: Responder, record: BreakerRecord) -> Wish:
    wanted = responder.spec.circuit_breaker or CircuitBreaker()
    is_gone = not _is_meant(situation.target, record)
    is_undone = responder.undo == record.circuit.opened_at
    return Wish(
        spec=wanted,
        pace=pace_of(responder, wanted),
        leaves=next(_reasons_to_leave(responder, record, is_gone=is_gone, is_undone=is_undone), ""),
        is_undone=is_undone,
        is_target_gone=is_gone,
        is_paused=responder.pause is not None,
    )


def _is_meant(target: Target | None, record: BreakerRecord) -> bool:
    return target is not None and target.uid == record.target.uid


def _reasons_to_leave(
    responder: Responder, record: BreakerRecord, *, is_gone: bool, is_undone: bool
) -> Iterator[str]:
    wanted, mechanism = responder.spec.circuit_breaker, record.mechanism
    if is_undone:
        yield "somebody has asked for that"
    if is_gone:
        yield f"{record.target.kind} {record.target.name} was deleted or made anew"
    if responder.leaving:
        yield f"AutoResponse {responder.name} is deleted, or may not act on this target any more"
    if wanted is None or wanted.mechanism not in (Mechanism.AUTO, mechanism):
        yield f"AutoResponse {responder.name} asks for another action by now"
    elif not is_offered(mechanism, wanted):
        yield f"circuitBreaker.{mechanism} of AutoResponse {responder.name} is gone"
    is_begun = (
        record.in_force or record.circuit.openings > 1 or record.circuit.phase is not Phase.OPEN
    )
    if not is_begun and responder.signal.kind is Kind.RESOLVED:
        yield "its alert is over, and it could not be opened until then"
    if not responder.may_write:
        yield f"mode of AutoResponse {responder.name} is {responder.spec.mode}"


def _take(
    draft: _Draft, situation: Situation, responder: Responder, before: BreakerRecord, step: Step
) -> None:
    """Take in what a step says."""
    name, after = responder.name, step.record
    draft.notes += [_note(news, responder, before) for news in step.news]
    if after is None:
        draft.records[name] = None
        draft.ended.add(name)
        draft.views[name] = _over_view(responder, step)
        draft.waits.append(0.0)
        return
    if step.write is None:
        draft.records[name] = after
    elif draft.pull is None:
        # What is to be written is announced right before it is, and not with what else is told.
        draft.pull = Pull(name, after, step.write)
    draft.views[name] = _view(after, responder)
    is_moving = step.write is not None or after != responder.breaker
    draft.waits.append(0.0 if is_moving else _wait(after, responder, situation))


def _note(news: News, responder: Responder, record: BreakerRecord) -> Note:
    alert = record.alert_name
    message = f"{alert}: {news.message}"
    return Note(news.event, message, responder.name, alert, warning=news.event in _BAD, at=news.at)


def _wait(record: BreakerRecord, responder: Responder, situation: Situation) -> float:
    """Return when to look again: when a phase may end, and often enough to see foreign writes."""
    if responder.pause is not None:
        return WATCH_SECONDS
    until = (parse_time(record.circuit.ends_at) - situation.now).total_seconds()
    return max(_LEAST_SECONDS, min(until, WATCH_SECONDS)) if until > 0 else WATCH_SECONDS


def _try_to_open(draft: _Draft, situation: Situation, responder: Responder) -> None:
    """Open the breaker of a responder, if it may be and nothing else is written now."""
    if not responder.breaks or responder.has_breaker or not responder.fires:
        return
    draft.waits.append(RECHECK_SECONDS)
    plan = responder.plan
    if draft.pull is not None or not isinstance(plan, Plan) or not may_begin(situation, responder):
        return
    _follow(draft, situation, responder, _record(situation, responder, plan))


def _dry_run(situation: Situation, decision: Decision) -> Change | None:
    """Return what would be written first for a responder in that mode."""
    for responder in situation.responders:
        plan, world = responder.plan, responder.world
        if isinstance(plan, Plan) and world is not None and dry_runs(situation, responder):
            record = _record(situation, responder, plan)
            wish = replace(_wish(situation, responder, record), leaves="")
            return go_on(record, wish, world, situation.now).write
    return decision.dry_run_change


def _record(situation: Situation, responder: Responder, plan: Plan) -> BreakerRecord:
    target, alert = situation.target, responder.signal.alert
    wanted, world = responder.spec.circuit_breaker, responder.world
    assert target is not None
    assert alert is not None
    assert wanted is not None
    assert world is not None
    pace = pace_of(responder, wanted)
    blank = BreakerRecord(
        schema_version=BREAKER_SCHEMA,
        target=LedgerTarget(kind=target.kind, name=target.name, uid=target.uid),
        alert=alert.identity,
        alert_name=alert.name[:256],
        mechanism=plan.mechanism,
        does=plan.does[:1024],
        circuit=opened(pace, situation.now),
    )
    return begin(plan, blank, pace, world, situation.now)


def _view(record: BreakerRecord, responder: Responder) -> View:
    who = f"{record.target.kind} {record.target.name}"
    finding = good(TARGET_READY, "BreakerOpen", f"the circuit breaker of {who} is open")
    unmeasured = responder.world.unmeasured if responder.world else ""
    message = "; ".join(_words(record, unmeasured))
    if record.ends:
        return View(State.RESTORING, message, finding)
    if responder.pause is not None:
        return View(State.PAUSED, f"{responder.pause.message}; {message}", finding)
    if record.gave_up:
        message = (
            f"{message}; it has not closed for so long that nothing more is tried; look after it"
        )
        return View(State.INEFFECTIVE, message, bad(TARGET_READY, "BreakerIneffective", message))
    return View(_STATES[record.circuit.phase], message, finding)


_STATES = {
    Phase.OPEN: State.BREAKER_OPEN,
    Phase.HALF_OPEN: State.BREAKER_HALF_OPEN,
    Phase.CLOSED: State.RESTORING,
}


def _words(record: BreakerRecord, unmeasured: str) -> Iterator[str]:
    """Yield what a breaker does, how it stands, whether it helps, and what keeps it from going on."""
    yield f"{record.alert_name}: {record.does}"
    if record.ends:
        yield f"it is taken back: {record.ends}"
    else:
        yield from _phase_words(record, record.circuit)
    if record.errors_before is not None:
        after = (
            "" if record.errors_open is None else f", {record.errors_open:.1%} while it was open"
        )
        yield f"{record.errors_before:.1%} of the requests failed before{after}"
    if unmeasured and record.circuit.phase is Phase.HALF_OPEN and not record.ends:
        yield f"it stays so, since what is tried cannot be judged: {unmeasured}"


def _phase_words(record: BreakerRecord, circuit: Circuit) -> Iterator[str]:
    ends = format_time(parse_time(circuit.ends_at))
    if circuit.phase is Phase.OPEN:
        again = f" for the {circuit.openings}. time" if circuit.openings > 1 else ""
        yield f"open{again} until {ends}"
    elif circuit.phase is Phase.HALF_OPEN:
        yield f"half-open: {share_of(record)} is tried, until {ends} at least"
    else:
        yield "it closes: what was changed is put back"


def _over_view(responder: Responder, step: Step) -> View:
    message = step.news[-1].message if step.news else "the circuit breaker is closed"
    finding = good(TARGET_READY, "BreakerClosed", message)
    state = State.PAUSED if responder.pause else State.IDLE
    return View(state, message, finding)


def _unreadable_view(responder: Responder) -> View:
    message = responder.unreadable_breaker
    return View(State.ACTIVE, message, bad(TARGET_READY, "LedgerInvalid", message))

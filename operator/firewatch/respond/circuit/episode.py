"""A breaker from its opening to its end (pure): what is held in each phase, and what is written next.

A step does one of three things, in this order: it tells what has become of the last write, it announces
the next write, or, once all that a phase wants is in force, it goes on to the next phase. So whatever is told
stands in the status before anything else is written, and whatever is written was announced.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from firewatch.api.circuit import BreakerRecord, Change, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.api.conditions import format_instant, parse_time
from firewatch.respond.circuit.automaton import (
    Pace,
    Reading,
    advance,
    in_force,
    needs_human,
    opened,
)
from firewatch.respond.circuit.choice import WAYS
from firewatch.respond.circuit.levers import Outcome, Turn, next_write, settle
from firewatch.respond.circuit.plan import Plan, error_ratio, total
from firewatch.respond.circuit.world import World

_OTHERS_DOING = {
    Outcome.RELEASED: "{who} has changed {what}, which is left alone",
    Outcome.CONTESTED: "{who} has put {what} back twice, which is left alone",
}


@dataclass(frozen=True)
class Wish:
    """What the AutoResponse of a breaker asks for now."""

    spec: CircuitBreaker
    pace: Pace
    leaves: str = ""
    """Why it is to be taken back before it could close, as when its AutoResponse is deleted."""
    is_undone: bool = False
    """Whether somebody asks for that by name, and knows what they do."""
    is_target_gone: bool = False
    """Whether the target is not there any more, or is another one."""
    is_paused: bool = False
    """Whether nothing is to be begun and nothing taken back."""


OPENED, HALF_OPENED, CLOSED = "BreakerOpened", "BreakerHalfOpen", "BreakerClosed"
REOPENED, INEFFECTIVE = "BreakerReopened", "BreakerIneffective"
TAKEN_BACK, KEPT = "BreakerTakenBack", "BreakerKept"
REWRITTEN, RELEASED = "BreakerRewritten", "BreakerReleased"
"""Events of an episode."""


@dataclass(frozen=True)
class News:
    """Something to tell people."""

    event: str
    message: str
    at: str = ""
    """When it was, if that is not now."""


@dataclass(frozen=True)
class Step:
    """What to do now."""

    record: BreakerRecord | None
    """The record as it must stand before anything is written; None: the breaker is over."""
    write: Change | None = None
    """What is written then."""
    news: tuple[News, ...] = ()


def begin(
    plan: Plan, record: BreakerRecord, pace: Pace, world: World, now: datetime
) -> BreakerRecord:
    """Return the record of a breaker that opens now, of which nothing is written yet."""
    mine = [pod.name for pod in world.target.pods]
    update = {
        "mechanism": plan.mechanism,
        "does": plan.does[:1024],
        "service": plan.service,
        "revision": plan.revision,
        "shares": [*plan.shares],
        "circuit": opened(pace, now),
        "errors_before": error_ratio(world.traffic, mine),
    }
    return record.model_copy(update=update)


def go_on(record: BreakerRecord, wish: Wish, world: World, now: datetime) -> Step:
    """Return the next step of a breaker."""
    changes, turns = settle(record.changes, world.seen)
    record = record.model_copy(update={"changes": changes})
    if news := _told(turns):
        return Step(_interrupted(record, turns), news=news)
    if why := _why_to_end(record, wish, world):
        return Step(_ending(record, why))
    if wish.is_paused and not record.ends:
        return Step(record)
    if why := _why_to_keep(record, wish):
        return Step(None, news=(News(KEPT, f"{record.does}: left as it is, since {why}"),))
    return _held(record, wish, world, now)


def _held(record: BreakerRecord, wish: Wish, world: World, now: datetime) -> Step:
    """Write what is not as it should be in this phase, or go on."""
    way = WAYS[record.mechanism]
    wanted = {} if record.ends else way.wanted_in(record, wish.spec, world)
    held, write = next_write(record.changes, wanted, world.seen)
    record = record.model_copy(update={"changes": held})
    if write is not None:
        return Step(record, write)
    if record.ends or record.circuit.phase is Phase.CLOSED:
        return _ended(record)
    return _advanced(record, wish, world, now)


def _why_to_end(record: BreakerRecord, wish: Wish, world: World) -> str:
    """Return why it is taken back from now on, if so."""
    if record.ends:
        return ""
    return wish.leaves or WAYS[record.mechanism].find_lost(record, world)


def _told(turns: Iterable[Turn]) -> tuple[News, ...]:
    """Return what is worth telling of what has become of fields."""
    return tuple(filter(None, map(_news_of, turns)))


def _news_of(turn: Turn) -> News | None:
    what = _words(turn.change)
    match turn.outcome:
        case Outcome.REVERTED:
            return News(REWRITTEN, f"somebody has put back {what}; it is written once more")
        case Outcome.RELEASED | Outcome.CONTESTED:
            return News(RELEASED, f"somebody else has changed {what}; it is left alone")
        case _:
            return None


def _interrupted(record: BreakerRecord, turns: Iterable[Turn]) -> BreakerRecord:
    """Take in that others have taken over what a breaker held: it ends, and the rest goes back."""
    for turn in turns:
        if (words := _OTHERS_DOING.get(turn.outcome)) and not record.ends:
            who, what = turn.change.released_by, _words(turn.change)
            record = _ending(record, words.format(who=who, what=what))
    return record


def _words(change: Change) -> str:
    return f"{change.field} of {change.kind} {change.name}"


def _why_to_keep(record: BreakerRecord, wish: Wish) -> str:
    """Return why what was done stays although the breaker ends; nothing if it goes back.

    Rolling forward again would bring back what a rollback was done against, and a Service that leads back to
    a target that is gone leads nowhere; only who says so by name wants that.
    """
    is_ours = any(not change.released_by for change in record.changes)
    if wish.is_undone or not is_ours:
        return ""
    if record.mechanism is Mechanism.ROLLBACK and (record.ends or wish.leaves):
        # One that has had to be opened again was not what helps.
        return "" if record.circuit.openings > 1 else "the revision after it was failing"
    if record.mechanism is Mechanism.FALLBACK and wish.is_target_gone:
        return "there is nothing that it could go back to"
    return ""


def _ended(record: BreakerRecord) -> Step:
    if record.ends:
        return Step(None, news=(News(TAKEN_BACK, f"taken back: {record.ends}"),))
    stays = ", and stays so" if record.mechanism is Mechanism.ROLLBACK else ""
    return Step(None, news=(News(CLOSED, f"{record.does}: what is tried works again{stays}"),))


def _advanced(record: BreakerRecord, wish: Wish, world: World, now: datetime) -> Step:
    """Go on to the next phase, if it is time: all that the present one wants is in force."""
    if not record.in_force:
        update = {"in_force": True, "circuit": in_force(record.circuit, now)}
        record = record.model_copy(update=update)
        return Step(record, news=_phase_news(record))
    there = [name for name in record.shares if not name or name in world.names]
    record = record.model_copy(update={"shares": there})
    if not record.shares:
        return Step(_ending(record, "every pod that was taken out is gone"))
    before = record.circuit
    if needs_human(before, wish.pace, now) and not record.gave_up:
        return _given_up(record, wish)
    shares = before.passed + len(record.shares)
    reading = find_reading(record, world)
    after = advance(before, wish.pace, reading, shares=shares, now=now)
    passed = after.passed - before.passed
    moved: dict[str, Any] = {"circuit": after, "shares": record.shares[passed:]}
    if after.phase is not before.phase or passed:
        moved["in_force"] = False
    if before.phase is Phase.OPEN and after.phase is not before.phase:
        serving = WAYS[record.mechanism].serving(record, world)
        moved["errors_open"] = error_ratio(world.traffic, serving)
    record = record.model_copy(update=moved)
    if record.mechanism is Mechanism.ROLLBACK and after.openings > before.openings:
        return Step(_ending(record, "with the revision before, requests fail as well"))
    return Step(record)


def _given_up(record: BreakerRecord, wish: Wish) -> Step:
    circuit = record.circuit
    since = circuit.opened_at
    message = (
        f"{record.does}: not closed since {since}, so nothing more is tried by itself; look after it,"
        " then `firewatch response undo`"
    )
    at = format_instant(parse_time(since) + wish.pace.give_up_after)
    return Step(record.model_copy(update={"gave_up": True}), news=(News(INEFFECTIVE, message, at),))


def _ending(record: BreakerRecord, why: str) -> BreakerRecord:
    return record.model_copy(update={"ends": why[:256]})


def _phase_news(record: BreakerRecord) -> tuple[News, ...]:
    circuit = record.circuit
    if circuit.phase is Phase.HALF_OPEN:
        message = f"{share_of(record)} is tried with real traffic"
        return (News(HALF_OPENED, message, circuit.since),)
    event, again = OPENED, ""
    if circuit.openings > 1:
        event, again = REOPENED, f", for the {circuit.openings}. time"
    return (News(event, f"{record.does}{again}; until {circuit.ends_at}", circuit.since),)


def share_of(record: BreakerRecord) -> str:
    """Return in words what is tried, or is to be next."""
    return next(iter(record.shares), "") or "a share of the traffic"


def find_reading(record: BreakerRecord, world: World) -> Reading | None:
    """Return what the pods that are tried have answered so far; None while that cannot be told."""
    tried = WAYS[record.mechanism].tried(record, world)
    counters = world.counters
    if counters is None or not tried or not {*tried} <= counters.keys():
        return None
    return Reading(tried, *total(counters, tried))

"""The automaton of a circuit breaker (pure): open → half-open → closed, or open again for twice as long.

What is half-open is tried with real traffic, one share after the other, and only what these very requests
say leads to closed. Its whole state is the record that the status keeps (``api/circuit.py``), so a restart
changes nothing: the next pass goes on with the same words.

Doubling waits, a longest one and a share that is tried are Envoy's outlier detection and the half-open
state of Nygard's "Release It!"; that it gives up and calls a human is ours.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from firewatch.api.circuit import Circuit, Counted, Phase
from firewatch.api.conditions import format_instant, parse_time

_JITTER = 0.1
"""The most by which a wait is longer than asked for, so that breakers do not try in step."""


@dataclass(frozen=True)
class Pace:
    """How long a breaker waits and tries, and what it takes for good."""

    seed: str
    """What tells its waits from those of other breakers: the uid of its AutoResponse."""
    open_for: timedelta
    """How long it stays open at first; each time that a trial goes badly, twice as long."""
    open_for_most: timedelta
    """But never longer than this."""
    try_for: timedelta
    """How long a share is tried at least."""
    give_up_after: timedelta
    """After so long since it was opened first, it tries nothing more by itself."""
    min_requests: int
    """How many requests a share must have answered before it can be good."""
    good_below: float
    """Share of failed requests, from 0 to 1, below which it is good."""


@dataclass(frozen=True)
class Reading:
    """The counters of the pods that answer a share of the traffic."""

    pods: Sequence[str]
    requests: float
    errors: float


def opened(pace: Pace, now: datetime, openings: int = 1) -> Circuit:
    """Return a breaker that opens now."""
    moment = format_instant(now)
    return Circuit(
        phase=Phase.OPEN,
        since=moment,
        ends_at=format_instant(now + _wait(pace, openings)),
        opened_at=moment,
        openings=openings,
    )


def advance(
    circuit: Circuit, pace: Pace, reading: Reading | None, *, shares: int, now: datetime
) -> Circuit:
    """Return what a breaker does now.

    ``reading`` is of the share that is tried, None while that cannot be told; ``shares`` is how many
    must be good, one after the other, before it closes. If the clock is set back, time stands still.
    """
    now = max(now, parse_time(circuit.since))
    match circuit.phase:
        case Phase.OPEN:
            is_due = now >= parse_time(circuit.ends_at) and not needs_human(circuit, pace, now)
            return _try(circuit, pace, now) if is_due else circuit
        case Phase.HALF_OPEN if reading is not None:
            return _judge(circuit, pace, reading, shares=shares, now=now)
        case _:
            return circuit


def in_force(circuit: Circuit, now: datetime) -> Circuit:
    """Return a breaker of which all is written now: only from then on it is open for as long as it should."""
    if circuit.phase is not Phase.OPEN:
        return circuit
    late = max(timedelta(0), now - parse_time(circuit.since))
    ends = parse_time(circuit.ends_at) + late
    return circuit.model_copy(update={"ends_at": format_instant(ends)})


def needs_human(circuit: Circuit, pace: Pace, now: datetime) -> bool:
    """Tell whether it has not closed for so long that a human must look after it."""
    is_open = circuit.phase is not Phase.CLOSED
    return is_open and now >= parse_time(circuit.opened_at) + pace.give_up_after


def ratio_of(circuit: Circuit, reading: Reading | None) -> float | None:
    """Return the share of the requests that have failed since the trial began; None without any."""
    if reading is None or circuit.counted is None or _begins_anew(circuit.counted, reading):
        return None
    requests = reading.requests - circuit.counted.requests
    return (reading.errors - circuit.counted.errors) / requests if requests else None


def _judge(
    circuit: Circuit, pace: Pace, reading: Reading, *, shares: int, now: datetime
) -> Circuit:
    counted = circuit.counted
    if counted is None or _begins_anew(counted, reading):
        return _try(circuit, pace, now).model_copy(update={"counted": _count(reading)})
    requests, errors = reading.requests - counted.requests, reading.errors - counted.errors
    # Also before there were enough of them: none that follow could make it good.
    if errors > 0 and errors >= pace.good_below * max(requests, pace.min_requests):
        kept = {"opened_at": circuit.opened_at, "passed": circuit.passed}
        return opened(pace, now, circuit.openings + 1).model_copy(update=kept)
    if requests < pace.min_requests or now < parse_time(circuit.ends_at):
        return circuit
    passed = {"passed": circuit.passed + 1}
    if circuit.passed + 1 < shares:
        return _try(circuit, pace, now).model_copy(update=passed)
    return _enter(circuit, Phase.CLOSED, now, now).model_copy(update=passed)


def _wait(pace: Pace, openings: int) -> timedelta:
    # Twice as long so often is beyond any longest wait.
    doubled = pace.open_for.total_seconds() * 2.0 ** min(openings - 1, 64)
    chance = zlib.crc32(f"{pace.seed}/{openings}".encode()) / 2**32
    seconds = min(doubled, pace.open_for_most.total_seconds())
    return timedelta(seconds=seconds * (1 + _JITTER * chance))


def _try(circuit: Circuit, pace: Pace, now: datetime) -> Circuit:
    return _enter(circuit, Phase.HALF_OPEN, now, now + pace.try_for)


def _enter(circuit: Circuit, phase: Phase, now: datetime, ends: datetime) -> Circuit:
    moments = {"since": format_instant(now), "ends_at": format_instant(ends)}
    return circuit.model_copy(update={"phase": phase, **moments, "counted": None})


def _count(reading: Reading) -> Counted:
    return Counted(pods=[*reading.pods], requests=reading.requests, errors=reading.errors)


def _begins_anew(counted: Counted, reading: Reading) -> bool:
    """Tell whether other pods answer than were counted, or the same ones from nought on."""
    return (
        counted.pods != [*reading.pods]
        or reading.requests < counted.requests
        or reading.errors < counted.errors
    )

"""The automaton of a circuit breaker: what leads from one phase to the next, and what never does."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.circuit import Circuit, Phase
from firewatch.api.conditions import parse_time
from firewatch.respond.circuit.automaton import (
    Pace,
    Reading,
    advance,
    in_force,
    needs_human,
    opened,
    ratio_of,
)

START = datetime(2026, 11, 29, 3, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PACE = Pace(
    seed="uid",
    open_for=30 * SECOND,
    open_for_most=300 * SECOND,
    try_for=20 * SECOND,
    give_up_after=1800 * SECOND,
    min_requests=50,
    good_below=0.05,
)
POD = ("api-1",)


@dataclass
class Breaker:
    """A breaker that is taken from moment to moment."""

    circuit: Circuit
    now: datetime = START
    shares: int = 1

    def after(self, seconds: float, reading: Reading | None = None) -> Circuit:
        """Go on after a while."""
        self.now += seconds * SECOND
        self.circuit = advance(self.circuit, PACE, reading, shares=self.shares, now=self.now)
        return self.circuit


@pytest.fixture
def half_open() -> Breaker:
    """Provide a breaker that has just begun to try a share: 1,000 requests lie before that."""
    breaker = Breaker(opened(PACE, START))
    breaker.after(33)
    breaker.after(1, Reading(POD, 1000, 400))
    assert breaker.circuit.phase is Phase.HALF_OPEN
    return breaker


def test_it_stays_open_until_its_time_is_over() -> None:
    breaker = Breaker(opened(PACE, START))
    ends = parse_time(breaker.circuit.ends_at)
    assert START + 30 * SECOND <= ends <= START + 33 * SECOND
    assert breaker.after(29).phase is Phase.OPEN
    assert breaker.after(4).phase is Phase.HALF_OPEN


def test_a_good_share_closes_it_after_its_time(half_open: Breaker) -> None:
    assert half_open.after(10, Reading(POD, 1100, 401)).phase is Phase.HALF_OPEN, "too soon"
    closed = half_open.after(10, Reading(POD, 1200, 401))
    assert closed.phase is Phase.CLOSED
    assert closed.passed == 1


def test_what_lies_before_the_trial_does_not_count(half_open: Breaker) -> None:
    assert ratio_of(half_open.circuit, Reading(POD, 1100, 405)) == pytest.approx(0.05)
    assert ratio_of(half_open.circuit, Reading(POD, 1000, 400)) is None


def test_a_bad_share_opens_it_again_for_twice_as_long(half_open: Breaker) -> None:
    again = half_open.after(2, Reading(POD, 1010, 405))
    assert again.phase is Phase.OPEN, "of the fifty that it takes, three suffice to make it bad"
    assert again.openings == 2
    assert again.opened_at == opened(PACE, START).opened_at
    wait = parse_time(again.ends_at) - parse_time(again.since)
    assert 60 * SECOND <= wait <= 66 * SECOND


def test_too_few_requests_prove_nothing(half_open: Breaker) -> None:
    assert half_open.after(3600, Reading(POD, 1049, 402)).phase is Phase.HALF_OPEN
    assert half_open.after(1, Reading(POD, 1050, 402)).phase is Phase.CLOSED


def test_while_nothing_can_be_seen_nothing_happens(half_open: Breaker) -> None:
    before = half_open.circuit
    assert half_open.after(3600, None) == before


@pytest.mark.parametrize(
    "reading",
    [Reading(("api-2",), 1200, 400), Reading(POD, 3, 0), Reading(POD, 1200, 0)],
    ids=["another pod", "a container that was restarted", "a counter that was"],
)
def test_the_trial_begins_anew_with_what_is_another(half_open: Breaker, reading: Reading) -> None:
    again = half_open.after(25, reading)
    assert again.phase is Phase.HALF_OPEN
    assert parse_time(again.since) == half_open.now
    assert again.counted
    assert again.counted.requests == reading.requests


def test_shares_are_tried_one_after_the_other(half_open: Breaker) -> None:
    half_open.shares = 2
    second = half_open.after(20, Reading(POD, 1100, 400))
    assert (second.phase, second.passed, second.counted) == (Phase.HALF_OPEN, 1, None)
    half_open.after(1, Reading(("api-2",), 10, 10))
    again = half_open.after(1, Reading(("api-2",), 20, 20))
    assert (again.phase, again.passed) == (Phase.OPEN, 1), "the first stays as it is"
    half_open.after(66)
    half_open.after(1, Reading(("api-2",), 20, 20))
    assert half_open.after(20, Reading(("api-2",), 80, 20)).phase is Phase.CLOSED


def test_a_human_is_called_instead_of_another_trial() -> None:
    breaker = Breaker(opened(PACE, START))
    assert not needs_human(breaker.circuit, PACE, START + 1799 * SECOND)
    assert breaker.after(1800).phase is Phase.OPEN
    assert needs_human(breaker.circuit, PACE, breaker.now)


def test_no_wait_is_too_long_to_be_counted() -> None:
    slow = replace(PACE, open_for=timedelta(days=400), open_for_most=timedelta(days=800))
    for openings in (1, 2, 30, 10_000):
        circuit = opened(slow, START, openings)
        assert parse_time(circuit.ends_at) <= START + timedelta(days=880)


READINGS = st.one_of(
    st.none(),
    st.builds(
        Reading,
        pods=st.sampled_from([POD, ("api-2",), ("api-1", "api-2")]),
        requests=st.integers(0, 500).map(float),
        errors=st.integers(0, 40).map(float),
    ),
)
STEPS = st.lists(st.tuples(st.floats(-60, 600), READINGS), max_size=60)
SHARES = st.integers(1, 3)


def _walk(steps: list[tuple[float, Reading | None]], shares: int) -> list[Circuit]:
    """Return all that a breaker comes through."""
    breaker, found = Breaker(opened(PACE, START), shares=shares), []
    for seconds, reading in steps:
        found.append(breaker.circuit)
        breaker.after(seconds, reading)
    return [*found, breaker.circuit]


@given(STEPS, SHARES)
def test_nothing_but_good_trials_leads_to_closed(
    steps: list[tuple[float, Reading | None]], shares: int
) -> None:
    path = _walk(steps, shares)
    for (before, after), (_, reading) in zip(pairwise(path), steps, strict=True):
        if after.phase is Phase.CLOSED and before.phase is not Phase.CLOSED:
            assert before.phase is Phase.HALF_OPEN
            assert before.counted
            assert reading
            assert reading.requests - before.counted.requests >= PACE.min_requests
            ratio = ratio_of(before, reading)
            assert ratio is not None
            assert ratio < PACE.good_below
            assert after.passed == shares
        if after.passed != before.passed:
            assert before.phase is Phase.HALF_OPEN
            assert after.passed == before.passed + 1


@given(STEPS, SHARES)
def test_closed_is_the_end(steps: list[tuple[float, Reading | None]], shares: int) -> None:
    for before, after in pairwise(_walk(steps, shares)):
        assert before.phase is not Phase.CLOSED or after == before


@given(STEPS, SHARES)
def test_time_never_goes_backwards(steps: list[tuple[float, Reading | None]], shares: int) -> None:
    for before, after in pairwise(_walk(steps, shares)):
        assert parse_time(before.since) <= parse_time(after.since) <= parse_time(after.ends_at)
        assert before.opened_at == after.opened_at
        assert before.openings <= after.openings


@given(STEPS, SHARES)
def test_it_opens_again_after_a_bad_trial_only(
    steps: list[tuple[float, Reading | None]], shares: int
) -> None:
    for before, after in pairwise(_walk(steps, shares)):
        if after.openings != before.openings:
            assert before.phase is Phase.HALF_OPEN
            assert before.counted
            assert after.openings == before.openings + 1


@given(STEPS, SHARES)
def test_a_restart_at_any_moment_changes_nothing(
    steps: list[tuple[float, Reading | None]], shares: int
) -> None:
    path = _walk(steps, shares)
    now = START
    for circuit, expected, (seconds, reading) in zip(path, path[1:], steps, strict=False):
        now += seconds * SECOND
        read = Circuit.model_validate_json(circuit.model_dump_json(by_alias=True))
        assert advance(read, PACE, reading, shares=shares, now=now) == expected


def test_it_is_open_for_so_long_from_when_all_is_written_on() -> None:
    circuit = opened(PACE, START)
    late = in_force(circuit, START + timedelta(seconds=7))
    waits = [parse_time(each.ends_at) - START for each in (circuit, late)]
    assert waits[1] - waits[0] == timedelta(seconds=7)
    assert late.since == circuit.since
    assert in_force(circuit, START - timedelta(seconds=7)) == circuit, "a clock that was set back"

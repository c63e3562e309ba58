"""Too many bad ends in a namespace: nothing more is begun, and only a human changes that."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.conditions import format_instant, good
from firewatch.api.resource import Object
from firewatch.api.responses import RESET, AutoResponseSpec, State, Tripped
from firewatch.respond.breaker import find_trip, with_trip
from firewatch.respond.decide import decide
from firewatch.respond.registry import Entry
from tests.unit.test_decide import TARGET, World, responder, situation

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOST = 3
TRIP = Tripped(at=format_instant(NOW), message="look after them")


def ago(minutes: float) -> str:
    return format_instant(NOW - timedelta(minutes=minutes))


def entry(
    name: str,
    *minutes: float,
    namespace: str = "shop",
    target: str = "api",
    tripped: float | None = None,
    reset: str = "",
) -> Entry:
    """Return an AutoResponse whose episodes ended badly so many minutes ago."""
    spec = AutoResponseSpec.model_validate(
        {
            "trigger": {"alert": "A"},
            "target": {"name": target},
            "actions": [{"scaleUp": {"by": 1, "maxReplicas": 9}}],
        }
    )
    status: Object = {"failed": [ago(each) for each in minutes]}
    if tripped is not None:
        status["tripped"] = {"at": ago(tripped), "message": "x"}
    annotations = {RESET: reset} if reset else {}
    metadata = {"name": name, "namespace": namespace, "uid": name, "annotations": annotations}
    live = {"metadata": metadata, "status": status}
    return Entry(live, spec, good("Accepted", "Accepted", "fine"), None)


def trip(*entries: Entry, now: datetime = NOW) -> str:
    found = find_trip("shop", entries, MOST, now)
    return found.at if found else ""


def test_so_many_within_an_hour_open_it_at_the_instant_of_the_last() -> None:
    assert trip(entry("a", 1, 2)) == ""
    assert trip(entry("a", 1, 2), entry("b", 3, target="web")) == ago(1)
    assert trip(entry("a", 1, 2, 61)) == ""
    assert trip(entry("a", 1, 2), entry("b", 2, 1)) == "", "one end of one target for two"
    assert trip(entry("a", 1, 2), entry("b", 3, namespace="other")) == ""


def test_time_does_not_close_it_and_a_human_does() -> None:
    later = NOW + timedelta(days=30)
    assert trip(entry("a", tripped=0), entry("b"), now=later) == ago(0)
    assert trip(entry("a", tripped=0), entry("b", reset=ago(0)), now=later) == ""


@pytest.mark.parametrize("reset", ["2999-01-01T00:00:00Z", "true", "2026-01-01T00:00:00", "x"])
def test_what_names_no_trip_resets_none(reset: str) -> None:
    assert trip(entry("a", 1, 2, 3, reset=reset)) == ago(1)
    assert trip(entry("a", tripped=5, reset=reset)) == ago(5)


def test_what_was_looked_after_counts_no_more() -> None:
    assert trip(entry("a", 1, 2, 3, tripped=1, reset=ago(1))) == ""
    later = entry("a", 1, 2, 3, 0.5, 0.4, tripped=1, reset=ago(1))
    assert trip(later) == ""
    assert trip(entry("a", 1, 2, 3, 0.5, 0.4, 0.3, tripped=1, reset=ago(1))) == ago(0.3)


@given(st.lists(st.floats(0, 120), max_size=8), st.floats(0, 200))
def test_it_stays_open_whenever_it_is_looked_at(minutes: list[float], after: float) -> None:
    at = trip(entry("a", *minutes))
    if not at:
        return
    known = entry("a", *minutes)
    status = {**known.live["status"], "tripped": {"at": at, "message": ""}}
    latched = replace(known, live={**known.live, "status": status})
    assert trip(latched, now=NOW + timedelta(minutes=after)) == at


def test_nothing_is_begun_and_each_says_so_once() -> None:
    tripped = replace(situation(responder()), trip=TRIP)
    decision = with_trip(tripped, decide(tripped))
    assert (decision.scale_to, decision.ledger) == (None, None)
    view = decision.views["r"]
    assert (view.state, view.target.reason) == (State.TRIPPED, "Tripped")
    assert [(note.event, note.at) for note in decision.notes] == [("Tripped", TRIP.at)]
    known = replace(situation(responder(tripped_at=TRIP.at)), trip=TRIP)
    assert with_trip(known, decide(known)).notes == ()


def test_what_is_owed_is_put_back_all_the_same() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    leaving = replace(world.situation, trip=TRIP, responders=(responder(leaving=True),))
    assert decide(leaving).scale_to == 2


def test_nobody_joins_what_is_begun() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    both = replace(world.situation, trip=TRIP, responders=(responder(), responder("late")))
    decision = decide(both)
    assert decision.ledger
    assert [claim.response for claim in decision.ledger.claims] == ["r"]
    assert decision.views["late"].state is State.TRIPPED

"""Policies that change together are handed out together, and none waits for ever."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from firewatch.reconcile.batches import Batches

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NONE = timedelta(0)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_one_change_is_handed_out_at_once() -> None:
    batches = Batches()
    assert batches.wait("ns", NOW, NONE) == NONE
    batches.note("ns", NOW)
    assert batches.wait("ns", NOW, NONE) == NONE


def test_many_changes_wait_until_no_more_come() -> None:
    batches = Batches()
    batches.note("ns", NOW)
    batches.note("ns", NOW + seconds(0.2))
    assert batches.wait("ns", NOW + seconds(0.2), NONE) == seconds(0.3)
    assert batches.wait("ns", NOW + seconds(0.5), NONE) == NONE


def test_what_has_been_handed_out_holds_nothing_back() -> None:
    batches = Batches()
    for _ in range(3):
        batches.note("ns", NOW)
    batches.begin("ns")
    assert batches.wait("ns", NOW, NONE) == NONE
    batches.note("ns", NOW)
    assert batches.wait("ns", NOW, NONE) == NONE


def test_handing_out_rests_in_proportion_to_its_work() -> None:
    batches = Batches()
    batches.rest("ns", NOW, NOW + seconds(0.1))
    assert batches.wait("ns", NOW + seconds(0.1), NONE) == seconds(0.3)
    batches.rest("ns", NOW, NOW + seconds(10))
    assert batches.wait("ns", NOW + seconds(10), NONE) == seconds(0.5)
    batches.forget("ns")
    assert batches.wait("ns", NOW + seconds(10), NONE) == NONE


def test_namespaces_do_not_wait_for_each_other() -> None:
    batches = Batches()
    for _ in range(3):
        batches.note("busy", NOW)
    assert batches.wait("busy", NOW, NONE) > NONE
    assert batches.wait("quiet", NOW, NONE) == NONE


def test_slow_deliveries_are_fewer_and_a_server_that_is_down_holds_nothing_back_for_ever() -> None:
    batches = Batches()
    for tenth in range(400):
        batches.note("ns", NOW + seconds(tenth / 10))
    assert batches.wait("ns", NOW + seconds(10), seconds(1)) == NONE
    assert batches.wait("ns", NOW + seconds(10), seconds(3)) == seconds(5)
    assert batches.wait("ns", NOW + seconds(10), seconds(3600)) == seconds(20)
    assert batches.wait("ns", NOW + seconds(30), seconds(3600)) == NONE


@given(st.lists(st.floats(0.01, 0.29), min_size=2, max_size=200))
def test_changes_without_end_are_handed_out_all_the_same(gaps: list[float]) -> None:
    batches, now, since = Batches(), NOW, None
    for gap in gaps:
        now += seconds(gap)
        batches.note("ns", now)
        since = since or now
        if not batches.wait("ns", now, NONE):
            batches.begin("ns")
            since = None
        assert since is None or now - since <= seconds(5)

"""How much has been done is counted from what stands in the statuses, and once for each write."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.conditions import format_instant, good
from firewatch.api.resource import Key, Object
from firewatch.api.responses import MOST_ACTIONS, AutoResponseSpec, HistoryEntry
from firewatch.respond.limits import Limits, bad_ends, measure_usage, remember
from firewatch.respond.registry import Entry, target_key

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMITS = Limits(namespace_actions=3, cluster_actions=5, targets=2)
API = target_key("shop", "Deployment", "api")


def entry(
    name: str,
    *minutes: float,
    namespace: str = "shop",
    target: str = "api",
    event: str = "ScaledUp",
    acted: tuple[float, ...] = (),
    owes: bool = False,
    announced: bool = False,
) -> Entry:
    """Return an AutoResponse that has acted so many minutes ago."""
    spec = AutoResponseSpec.model_validate(
        {
            "trigger": {"alert": "A"},
            "target": {"name": target},
            "actions": [{"scaleUp": {"by": 1, "maxReplicas": 9}}],
        }
    )
    history = [{"event": event, "time": ago(each)} for each in minutes]
    status: Object = {"history": history, "acted": [ago(each) for each in acted]}
    if owes:
        status["ledger"] = {
            "target": {"kind": "Deployment", "name": target, "uid": "u"},
            "written": 2,
            "intended": 4 if announced else 2,
            "changedAt": ago(0),
        }
    live = {"metadata": {"name": name, "namespace": namespace, "uid": name}, "status": status}
    return Entry(live, spec, good("Accepted", "Accepted", "fine"), None)


def ago(minutes: float) -> str:
    return format_instant(NOW - timedelta(minutes=minutes))


def limit(*entries: Entry, reserved: tuple[Key, ...] = ()) -> str:
    return measure_usage(API, entries, reserved, LIMITS, NOW).limit


@pytest.mark.parametrize(
    ("minutes", "count"), [((), 0), ((5, 59.9), 2), ((60, 61, 600), 0), ((1, 2, 3), 3)]
)
def test_an_hour_is_counted(minutes: tuple[float, ...], count: int) -> None:
    assert measure_usage(API, [entry("a", *minutes)], (), LIMITS, NOW).on_target == count


def test_one_write_for_two_is_one_action() -> None:
    both = [entry("a", 5, 10), entry("b", 5)]
    assert measure_usage(API, both, (), LIMITS, NOW).on_target == 2


@pytest.mark.parametrize("event", ["Restored", "RampedDown", "Refused", "Observed"])
def test_putting_back_and_doing_nothing_are_no_actions(event: str) -> None:
    assert measure_usage(API, [entry("a", 1, 2, event=event)], (), LIMITS, NOW).on_target == 0


def test_what_the_history_has_lost_is_still_counted_and_what_it_has_is_not_counted_twice() -> None:
    """The history holds 20 entries; an operator from before has written nothing beside it."""
    both = entry("a", 1, 2, acted=(1, 2, 3, 4, 61))
    assert measure_usage(API, [both], (), LIMITS, NOW).on_target == 4


@given(
    gaps=st.lists(st.integers(1, 40), max_size=150),
    others=st.lists(st.sampled_from(["Restored", "RampedDown", "Limited"]), max_size=2),
)
def test_every_action_of_an_hour_is_remembered_up_to_the_most_that_may_be_allowed(
    gaps: list[int], others: list[str]
) -> None:
    now, times = NOW, list[datetime]()
    acted: list[str] = []
    for gap in gaps:
        now += timedelta(minutes=gap / 10)
        times.append(now)
        news = [
            HistoryEntry(time=format_instant(now), event=each) for each in ("ScaledUp", *others)
        ]
        acted = remember(acted, news, now)
        recent = [each for each in times if now - each < timedelta(hours=1)][-MOST_ACTIONS:]
        assert acted == [format_instant(each) for each in reversed(recent)]
        assert remember(acted, news, now) == acted, "told twice, after a crash"
    later = now + timedelta(days=1)
    quiet = [HistoryEntry(time=format_instant(later), event=each) for each in others]
    assert remember(acted, quiet, later) == acted, "time alone writes nothing"


def test_a_write_that_is_announced_counts_before_it_is_told() -> None:
    one = entry("a", owes=True, announced=True)
    assert measure_usage(API, [one], (), LIMITS, NOW).on_target == 1


def test_a_namespace_and_the_cluster_have_their_own_limits() -> None:
    assert limit(entry("a", 1, 2)) == ""
    assert "3 actions in namespace shop" in limit(entry("a", 1, 2), entry("b", 3, target="web"))
    elsewhere = [entry("c", 1, 2, 3, namespace="x"), entry("d", 4, 5, namespace="y")]
    assert "5 actions in the cluster" in limit(*elsewhere)


def test_what_is_about_to_be_done_elsewhere_counts_in_the_cluster_only() -> None:
    three = (entry("a", 1, 2), entry("c", 3, 4, namespace="x"))
    elsewhere = target_key("y", "Deployment", "api")
    assert "5 actions in the cluster" in limit(*three, reserved=(elsewhere,))
    assert limit(*three[:1], reserved=(elsewhere,)) == ""


@pytest.mark.parametrize(
    ("before", "news", "count"),
    [
        ([], ["Contested"], 1),
        (["Contested"], ["RestoreSkipped"], 0),
        (["Tripped", "Contested", "ScaledUp", "Released"], ["RestoreSkipped"], 0),
        (["Released", "ScaledUp", "Restored", "Contested"], ["RestoreSkipped"], 1),
        (["ScaledUp"], ["Ineffective", "Limited", "Restored"], 1),
        (["Contested"], ["WriteRefused"], 1),
    ],
)
def test_a_bad_end_is_counted_once(before: list[str], news: list[str], count: int) -> None:
    found = bad_ends(
        *([HistoryEntry(time=ago(1), event=each) for each in some] for some in (news, before))
    )
    assert len(found) == count


def test_so_many_targets_at_once_and_no_more() -> None:
    two = [entry("a", owes=True, target="web"), entry("b", owes=True, target="db")]
    assert limit(*two[:1]) == ""
    assert "2 other targets" in limit(*two)
    about_to_be = target_key("shop", "Deployment", "db")
    assert "2 other targets" in limit(two[0], reserved=(about_to_be,))
    assert limit(two[0], reserved=(API,)) == "", "itself is not another"
    assert limit(entry("x", owes=True, namespace="other", target="web"), two[0]) == ""

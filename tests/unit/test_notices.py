"""Whom to tell of what, exactly once, whenever the operator is stopped and begins anew."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firewatch.api.conditions import bad, format_instant, good, merge_conditions, unknown
from firewatch.api.notices import Delivery, DeliveryState, Moment, Notices
from firewatch.api.responses import AutoResponseSpec, HistoryEntry
from firewatch.cluster.status import dump_status
from firewatch.respond.alerts import Alert, AlertState
from firewatch.respond.deliveries import (
    after_delivery,
    after_failure,
    after_look,
    give_up,
    without_gone_ways,
)
from firewatch.respond.messages import Speaker
from firewatch.respond.notices import (
    MOST_INCIDENTS,
    MOST_WAITING,
    Seen,
    advance,
    as_one,
    due_in,
    find_notifying,
    with_notifying,
    would_notes,
)
from firewatch.respond.signals import NOT_POLLED, Kind, Signal

START = datetime(2026, 1, 1, tzinfo=UTC)
HOOK = {"webhook": {"url": "https://hook.example/x"}}
SCALE = {"scaleUp": {"by": 1, "maxReplicas": 9}}
RESOLVED = Signal(Kind.RESOLVED, "Resolved", "no matching alert is active")
HOLD = Signal(Kind.HOLD, "NoData", "no data")
GONE = Signal(Kind.RULE_GONE, "RuleGone", "no rule")
BLIND = Signal(Kind.HOLD, NOT_POLLED, "not asked yet")
STALE = Signal(Kind.HOLD, "RuleStale", "asked a while ago")


def firing(name: str = "Hot", **annotations: str) -> Signal:
    labels = {"alertname": name, "pod": "a"}
    alert = Alert("id", name, labels, AlertState.FIRING, START, annotations)
    return Signal(Kind.FIRING, "Firing", f"{name} fires", alert, 2, (name,))


def speaker(*tells: dict[str, Any], mode: str = "enforce", **fields: Any) -> Speaker:
    spec = {
        "trigger": {"alert": "Hot"},
        "target": {"name": "api"},
        "actions": [SCALE, *({"notify": each} for each in tells or (HOOK,))],
        "recovery": {"hold": "10s", "orphanAfter": "1m"},
        "mode": mode,
        **fields,
    }
    return Speaker("shop", "r", "uid", AutoResponseSpec.model_validate(spec))


def happened(event: str, after: float = 0, alert: str = "Hot") -> HistoryEntry:
    time = format_instant(START + timedelta(seconds=after))
    return HistoryEntry(time=time, event=event, alert=alert, message=f"{alert}: {event}")


def look(
    who: Speaker,
    before: Notices,
    signal: Signal,
    *events: str,
    after: float = 0,
    is_changed: bool = False,
) -> Notices:
    """Return what a pass over the target makes of it, as it is read back from the API server."""
    seen = Seen(
        START + timedelta(seconds=after),
        as_one(before, signal),
        news=[happened(event, after) for event in events],
        is_changed=is_changed,
    )
    return Notices.model_validate(dump_status(advance(who, before, seen)))


def waiting(notices: Notices) -> list[tuple[str, str]]:
    return [(notice.moment, notice.happened) for notice in notices.outbox]


def test_an_episode_is_told_in_three_messages() -> None:
    who = speaker()
    notices = look(who, Notices(), firing(), "ScaledUp", is_changed=True)
    assert waiting(notices) == [("opened", "Hot fires"), ("acted", "Hot: ScaledUp")]
    notices = look(who, notices, firing(), "Rewritten", after=1, is_changed=True)
    notices = look(who, notices, RESOLVED, after=2, is_changed=True)
    assert len(notices.outbox) == 2
    notices = look(who, notices, RESOLVED, "Restored", after=12)
    assert waiting(notices)[2:] == [("restored", "Hot: Restored")]
    assert notices.incidents == []
    assert len({notice.id for notice in notices.outbox}) == 3
    assert len({notice.incident for notice in notices.outbox}) == 1


def test_each_kind_of_failure_is_told_once() -> None:
    notices = look(speaker(), Notices(), firing(), "Refused", "Refused", "Limited")
    notices = look(speaker(), notices, firing(), "Refused", "Contested", after=1)
    assert [notice.id.partition("-")[2] for notice in notices.outbox] == [
        "opened",
        "failed-Refused",
        "failed-Limited",
        "failed-Contested",
    ]


@pytest.mark.parametrize(("signal", "over_after"), [(RESOLVED, 10), (GONE, 60)])
def test_an_alert_is_over_once_it_has_stayed_so(signal: Signal, over_after: float) -> None:
    who = speaker()
    notices = look(who, Notices(), firing())
    for at, what in ((1, signal), (5, HOLD), (6, signal)):
        notices = look(who, notices, what, after=at)
    assert due_in(notices, who.spec.recovery, START + timedelta(seconds=6)) == over_after
    notices = look(who, notices, signal, after=5.9 + over_after)
    assert [notice.moment for notice in notices.outbox] == ["opened"]
    assert look(who, notices, signal, after=6 + over_after, is_changed=True) == notices
    notices = look(who, notices, signal, after=6 + over_after)
    assert waiting(notices)[1:] == [("restored", "Hot is over; nothing was changed")]
    assert due_in(notices, who.spec.recovery, START) is None


def test_what_has_not_been_asked_yet_changes_nothing() -> None:
    who = speaker()
    notices = look(who, look(who, Notices(), firing()), RESOLVED, after=1)
    assert look(who, notices, BLIND, after=100) == notices


def test_what_is_known_from_before_neither_ends_an_alert_nor_begins_its_time_anew() -> None:
    who = speaker()
    notices = look(who, look(who, Notices(), firing()), RESOLVED, after=1)
    for at in (9, 20):
        assert look(who, notices, STALE, after=at) == notices
    assert look(who, notices, RESOLVED, after=21).incidents == []


def test_only_the_moments_that_are_asked_for_are_told_and_only_by_who_asks() -> None:
    who = speaker({**HOOK, "at": ["opened"]}, {**HOOK, "at": ["failed"]}, {**HOOK, "at": ["acted"]})
    notices = look(who, Notices(), firing(), "Refused")
    assert [(n.moment, n.pending) for n in notices.outbox] == [("opened", [1]), ("failed", [2])]
    assert look(who, notices, firing(), "Refused", after=1) == notices


def test_nothing_is_sent_in_other_modes_but_what_would_be_is_said() -> None:
    who = speaker({**HOOK, "message": "{alert} in {namespace}: {happened}"}, mode="observe")
    notices = look(who, Notices(), firing())
    assert notices.outbox == []
    (row,) = notices.deliveries
    assert (row.state, row.message) == (DeliveryState.WOULD_SEND, "Hot in shop: Hot fires")
    (note,) = would_notes("r", Notices(), notices)
    assert note.event == "WouldNotify"
    assert "would tell webhook hook.example (opened): Hot in shop" in note.message
    again = look(who, notices, firing(), after=5)
    assert again == notices
    assert would_notes("r", notices, again) == []


def test_a_mode_that_lets_nothing_be_sent_forgets_what_waits() -> None:
    waits = look(speaker(), Notices(), firing())
    assert waits.outbox
    assert look(speaker(mode="dryRun"), waits, firing(), after=1).outbox == []


def test_without_an_action_that_tells_nothing_is_kept() -> None:
    mute = speaker(actions=[SCALE])
    assert look(mute, look(speaker(), Notices(), firing()), firing()) == Notices()


def test_an_action_that_is_taken_away_waits_no_more() -> None:
    both = look(speaker(HOOK, HOOK), Notices(), firing())
    assert [notice.pending for notice in both.outbox] == [[1, 2]]
    left = look(speaker(HOOK), both, firing(), after=1)
    assert [notice.pending for notice in left.outbox] == [[1]]


NAMES = [f"Alert{number:02}" for number in range(MOST_INCIDENTS + 3)]


def onlooker() -> Speaker:
    return speaker(actions=[{"notify": HOOK}], target=None, trigger={"preset": "alert_created"})


def see(before: Notices, after: float, **signals: Signal) -> Notices:
    """Return what a pass makes of many alerts, of which those fire that are not named."""
    found = {name: signals.get(name, firing(name)) for name in NAMES}
    return advance(onlooker(), before, Seen(START + timedelta(seconds=after), found))


def alerts(notices: Notices) -> list[str]:
    return [incident.alert for incident in notices.incidents]


def sent(notices: Notices) -> Notices:
    return notices.model_copy(update={"outbox": []})


def test_alerts_by_name_are_told_each_for_itself_and_only_so_many() -> None:
    notices = see(Notices(), 0)
    assert (alerts(notices), len(notices.outbox)) == (NAMES[:MOST_WAITING], MOST_WAITING)
    assert see(notices, 0) == notices, "the others wait until these have been sent"
    notices = see(sent(notices), 0)
    assert (alerts(notices), len(notices.outbox)) == (NAMES[:MOST_INCIDENTS], MOST_WAITING)
    notices = sent(notices)
    assert see(notices, 0) == notices
    over = {NAMES[0]: RESOLVED}
    notices = see(see(notices, 1, **over), 11, **over)
    assert [notice.happened for notice in notices.outbox] == [f"{NAMES[0]} is over"]
    assert NAMES[0] not in alerts(notices)
    assert notices.given_up == 0


def test_of_many_that_end_at_once_all_are_told() -> None:
    notices = sent(see(sent(see(Notices(), 0)), 0))
    over = dict.fromkeys(NAMES, RESOLVED)
    told: list[str] = []
    for after in (1, 11, 12, 13):
        notices = see(notices, after, **over)
        told += [notice.alert for notice in notices.outbox]
        notices = sent(notices)
    assert (told, notices.incidents, notices.given_up) == (NAMES[:MOST_INCIDENTS], [], 0)


def test_what_nobody_takes_for_a_minute_makes_room_for_what_begins() -> None:
    notices = see(see(Notices(), 0), 59)
    assert (len(notices.incidents), notices.given_up) == (MOST_WAITING, 0)
    notices = see(notices, 60)
    assert (len(notices.incidents), notices.given_up) == (MOST_INCIDENTS, MOST_WAITING)
    assert [notice.alert for notice in notices.outbox] == NAMES[MOST_WAITING:MOST_INCIDENTS]


@pytest.mark.parametrize("name", ["A" * 257, "A\nB", "\ud800"])
def test_a_name_that_is_none_is_left_out(name: str) -> None:
    assert advance(speaker(), Notices(), Seen(START, {name: firing(name)})) == Notices()


def test_a_message_goes_once_every_way_of_every_action_has_taken_it() -> None:
    notices = look(speaker(HOOK, HOOK), Notices(), firing())
    (notice,) = notices.outbox
    ways = {"1/slack[0]", "1/email[0]"}

    def take(before: Notices, action: int, way: str, everywhere: set[str]) -> Notices:
        row = Delivery(action=action, to="x", state=DeliveryState.DELIVERED)
        return after_delivery(before, row, notice=notice.id, way=way, everywhere=everywhere)

    notices = take(notices, 1, "1/slack[0]", ways)
    assert [(n.pending, n.done) for n in notices.outbox] == [([1, 2], ["1/slack[0]"])]
    notices = take(take(notices, 1, "1/email[0]", ways), 2, "2/webhook", {"2/webhook"})
    assert notices.outbox == []
    assert [row.action for row in notices.deliveries] == [1, 2]


def test_a_message_does_not_wait_for_a_way_that_is_gone() -> None:
    notices = look(speaker(HOOK, HOOK), Notices(), firing())
    row = Delivery(action=1, to="x", state=DeliveryState.DELIVERED)
    one, two = "1/slack[0]", "1/email[0]"
    (notice,) = notices.outbox
    notices = after_delivery(notices, row, notice=notice.id, way=one, everywhere={one, two})
    assert without_gone_ways(notices, 1, {one, two}) == notices
    notices = without_gone_ways(notices, 1, {one})
    assert [each.pending for each in notices.outbox] == [[2]]


def test_how_an_action_stands_is_known_from_its_row() -> None:
    who = speaker()

    def reason(notices: Notices) -> str:
        found = find_notifying(who.spec, notices)
        assert found
        return found.reason

    notices = Notices()
    assert reason(notices) == "NotChecked"
    notices = after_look(notices, 1, to="hook", problem="key a of Secret b is missing; create it")
    assert reason(notices) == "NoAddress"
    notices = after_look(notices, 1, to="hook", problem="")
    assert (reason(notices), notices.deliveries[0].state) == ("Notifying", DeliveryState.READY)
    notices = after_failure(notices, 1, to="hook", problem="HTTP 500: look after it")
    assert reason(notices) == "DeliveryFailed"
    assert after_look(notices, 1, to="hook", problem="") == notices, "an address proves nothing"
    (row,) = after_look(notices, 1, to="another hook", problem="").deliveries
    assert (row.to, row.state, row.message) == ("another hook", DeliveryState.READY, "")
    assert find_notifying(speaker(actions=[SCALE]).spec, notices) is None


def test_what_is_tried_for_too_long_is_given_up_and_counted() -> None:
    notices = look(speaker(HOOK, HOOK), Notices(), firing(), "ScaledUp")
    first = notices.outbox[0].id
    notices = give_up(notices, 1, {first})
    assert ([n.pending for n in notices.outbox], notices.given_up) == ([[2], [1, 2]], 0)
    notices = give_up(notices, 2, {first})
    assert ([n.pending for n in notices.outbox], notices.given_up) == ([[1, 2]], 1)


def test_ready_follows_what_is_found_about_messages() -> None:
    others = [good("Accepted", "Accepted"), good("TargetReady", "Reachable")]
    waits = unknown("Notifying", "NotChecked", "not looked up yet")
    before = merge_conditions([], [*others, waits], generation=3, now=START)
    found = good("Notifying", "Notifying", "everybody can be told")
    after = with_notifying(before, found, generation=3, now=START)
    assert [(each.type, each.status) for each in after] == [
        ("Ready", "True"),
        ("Accepted", "True"),
        ("TargetReady", "True"),
        ("Notifying", "True"),
    ]
    failing = bad("Notifying", "DeliveryFailed", "hook: HTTP 500")
    worse = with_notifying(after, failing, generation=3, now=START)
    assert (worse[0].status, worse[0].message) == ("False", "hook: HTTP 500")


# Over arbitrary restarts ------------------------------------------------------------------------


@dataclass
class Life:
    """An operator that is killed now and then, what it has written down, and what has arrived."""

    who: Speaker
    notices: Notices = field(default_factory=Notices)
    untold: list[str] = field(default_factory=list)
    """Events that have happened and do not stand in the history yet."""
    seconds: float = 0
    arrived: list[str] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    """How often the operator was killed after a message had been taken and before it said so."""

    def step(self, signal: Signal, events: list[str], *, killed: bool) -> None:
        self.untold += events
        after = look(self.who, self.notices, signal, *self.untold, after=self.seconds)
        self.seconds += 4
        if not killed:
            self.notices, self.untold = after, []

    def deliver(self, *, killed: bool) -> None:
        for notice in self.notices.outbox:
            self.arrived.append(notice.id)
            if killed:
                self.deaths[notice.id] += 1
                return
            row = Delivery(action=1, to="x", state=DeliveryState.DELIVERED)
            self.notices = after_delivery(
                self.notices, row, notice=notice.id, way="1/webhook", everywhere={"1/webhook"}
            )


SIGNALS = st.sampled_from([firing(), firing(), RESOLVED, RESOLVED, HOLD, GONE, BLIND])
EVENTS = st.lists(
    st.sampled_from(["ScaledUp", "Rewritten", "Refused", "Contested", "Restored", "RampedDown"]),
    max_size=2,
)
STEPS = st.lists(st.tuples(SIGNALS, EVENTS, st.booleans(), st.booleans(), st.booleans()))


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_whenever_it_is_killed_nothing_is_lost_and_nothing_doubled_but_what_it_could_not_write(
    steps: list[tuple[Signal, list[str], bool, bool, bool]],
) -> None:
    life = Life(speaker())
    known: dict[str, None] = {}
    for signal, events, killed, delivers, killed_after in steps:
        life.step(signal, events, killed=killed)
        known |= dict.fromkeys(notice.id for notice in life.notices.outbox)
        if delivers:
            life.deliver(killed=killed_after)
    given_up = life.notices.given_up
    life.deliver(killed=False)
    for identity, count in Counter(life.arrived).items():
        deaths = life.deaths[identity]
        # What was taken, not written down, and then given up does not come again.
        assert count == 1 + deaths or (given_up and count == deaths)
    assert len(known) - len({*life.arrived}) <= given_up
    in_order(life.arrived)


def in_order(arrived: list[str]) -> None:
    """Check that what is told of an incident begins with its begin and ends with its end."""
    told: dict[str, list[str]] = {}
    for identity in dict.fromkeys(arrived):
        incident, _, mark = identity.partition("-")
        told.setdefault(incident, []).append(mark)
    for marks in told.values():
        assert len(marks) == len(set(marks))
        assert Moment.RESTORED not in marks[:-1]
        assert Moment.OPENED not in marks[1:]

"""Whether pushes arrive: silence has a meaning only where something must be heard."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firewatch.api.alert_source import ExternalSource
from firewatch.api.conditions import good
from firewatch.api.resource import ConditionStatus
from firewatch.api.responses import AutoResponseSpec
from firewatch.build import watchdog
from firewatch.cluster.prometheus import RuleAlert, RuntimeRule
from firewatch.respond.heartbeats import Pulse, agreed_pulse, watchdog_pulse
from firewatch.respond.registry import Entry, Sources
from firewatch.respond.signals import Source, SourceState
from firewatch.respond.status import find_source
from tests.unit.test_registry import SOURCE, SPEC, live
from tests.unit.test_signals import NOW, rule, source

BEGAN = datetime(2026, 1, 1, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PULSE = Pulse(BEGAN, 3 * MINUTE)


def watching(
    state: str = "firing", *, group: str = watchdog.GROUP, interval: int = 15
) -> RuntimeRule:
    alert = RuleAlert(labels={"alertname": watchdog.ALERT}, state=state, active_at=BEGAN)
    return RuntimeRule(
        name=watchdog.ALERT,
        group=group,
        file="watchdog.rules.yml",
        expression="vector(1)",
        labels={},
        health="ok",
        last_error="",
        last_evaluation=NOW,
        interval=timedelta(seconds=interval),
        hold=timedelta(0),
        alerts=(alert,),
    )


def test_a_stack_is_to_be_heard_while_its_own_watchdog_fires() -> None:
    assert watchdog_pulse([watching()]) == Pulse(BEGAN, timedelta(seconds=210))
    assert watchdog_pulse([watching("pending")]) is None
    assert watchdog_pulse([watching(group="of a policy")]) is None
    assert watchdog_pulse([]) is None, "a stack without alerting has none"


@pytest.mark.parametrize("interval", [1, 10, 15, 30, 60, 300])
def test_two_pushes_may_be_lost_however_often_rules_are_evaluated(interval: int) -> None:
    """Prometheus sends again at the first evaluation later than a minute after the last time."""
    between = interval * (60 // interval + 1)
    pulse = watchdog_pulse([watching(interval=interval)])
    assert pulse
    assert pulse.patience.total_seconds() > 2 * between


@pytest.mark.parametrize(
    ("heartbeat", "patience"),
    [("5m", 15 * MINUTE), ("4h", timedelta(hours=12)), ("1s", 3 * MINUTE), ("1m", 3 * MINUTE)],
)
def test_a_webhook_is_to_be_heard_where_people_say_how_often(
    heartbeat: str, patience: timedelta
) -> None:
    bare: dict[str, Any] = {"prometheus": {"url": "http://p:9090"}}
    token = {"webhookToken": {"name": "webhook", "key": "token"}}
    agreed = ExternalSource.model_validate({**bare, **token, "heartbeat": heartbeat})
    assert agreed_pulse(agreed, BEGAN) == Pulse(BEGAN, patience)
    assert agreed_pulse(ExternalSource.model_validate({**bare, **token}), BEGAN) is None


class Watch:
    """A source that is asked from time to time."""

    def __init__(self, pulse: Pulse | None = PULSE) -> None:
        self.sources = Sources()
        self.pulse = pulse

    def ask(self, at: datetime, error: str = "") -> bool | None:
        self.sources.polled(SOURCE, SourceState(at, error=error, pulse=self.pulse))
        state = self.sources.get(SOURCE).state
        assert state
        return state.pushes_missing


def test_pushes_are_missing_once_none_has_come_for_long() -> None:
    watch = Watch()
    assert watch.ask(NOW) is None
    assert watch.ask(NOW + 2 * MINUTE) is None
    assert watch.ask(NOW + 3 * MINUTE) is True
    watch.sources.hear(SOURCE, NOW + 3 * MINUTE)
    assert watch.ask(NOW + 5 * MINUTE) is False
    assert watch.ask(NOW + 6 * MINUTE) is True


def test_nothing_is_missing_where_nothing_must_be_heard() -> None:
    watch = Watch(None)
    assert not any(watch.ask(NOW + n * MINUTE) is not False for n in range(10))


def test_it_is_counted_from_when_it_began_to_fire() -> None:
    watch = Watch(None)
    watch.ask(NOW)
    watch.pulse = Pulse(NOW + 9 * MINUTE, 3 * MINUTE)
    assert watch.ask(NOW + 10 * MINUTE) is None
    assert watch.ask(NOW + 12 * MINUTE) is True


def test_a_term_begins_with_what_this_replica_has_heard_while_it_stood_by() -> None:
    watch = Watch()
    watch.sources.hear(SOURCE, NOW - MINUTE)
    watch.sources.begin_anew()
    assert watch.ask(NOW) is False
    watch.sources.begin_anew()
    assert watch.ask(NOW + 9 * MINUTE) is None, "others may have heard something since"
    assert watch.ask(NOW + 12 * MINUTE) is True


def test_what_was_not_heard_while_the_source_could_not_be_asked_does_not_count() -> None:
    watch = Watch()
    watch.ask(NOW)
    assert watch.ask(NOW + 9 * MINUTE, error="no route to host") is False
    assert watch.ask(NOW + 10 * MINUTE) is None
    assert watch.ask(NOW + 13 * MINUTE) is True


def test_a_source_that_nobody_listens_to_is_forgotten() -> None:
    watch = Watch()
    watch.sources.hear(SOURCE, NOW)
    watch.sources.drop(SOURCE)
    assert watch.ask(NOW) is None


def entry(said: str = "", **spec: object) -> Entry:
    """Return an AutoResponse whose status gives a reason for what it says of its source."""
    wanted = AutoResponseSpec.model_validate(
        SPEC.model_dump(by_alias=True, exclude_none=True) | spec
    )
    found = live(1)
    found["status"] = {"conditions": [{"type": "AlertSourceHealthy", "reason": said}]}
    return Entry(found, wanted, good("Accepted", "Accepted", "x"), SOURCE)


def found(missing: bool | None, **changes: Any) -> Source:
    return source(rule(name="Hot"), pushes_missing=missing, **changes)


@pytest.mark.parametrize(
    ("said", "missing", "reason"),
    [
        ("Polled", False, "Polled"),
        ("Polled", None, "Polled"),
        ("Polled", True, "PushesMissing"),
        ("PushesMissing", True, "PushesMissing"),
        ("PushesMissing", None, "PushesMissing"),
        ("PushesMissing", False, "Polled"),
    ],
)
def test_a_take_over_does_not_change_what_is_said(
    said: str, missing: bool | None, reason: str
) -> None:
    finding = find_source(entry(said), found(missing), NOW)
    assert finding.reason == reason
    assert (finding.status is ConditionStatus.FALSE) == (reason == "PushesMissing")


def test_what_is_said_of_missing_pushes_is_what_to_look_at() -> None:
    own = {"prometheus": {"url": "http://p:9090"}}
    by_prometheus = find_source(entry(), found(missing=True), NOW).message
    by_webhook = find_source(entry(source=own), found(missing=True), NOW).message
    assert "Watchdog" in by_prometheus
    assert "source.heartbeat" in by_webhook
    for message in (by_prometheus, by_webhook):
        assert "by asking Prometheus every 15 s" in message


def test_what_is_worse_comes_first() -> None:
    assert find_source(entry(), found(missing=True, error="down"), NOW).reason == (
        "SourceUnreachable"
    )
    assert find_source(entry(), found(missing=True, rules=()), NOW).reason == "RuleGone"

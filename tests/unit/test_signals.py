"""Alerts: one identity whichever way they come, and nothing is resolved that cannot be seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firewatch.api.triggers import Trigger
from firewatch.build.names import REPLICA_LABEL
from firewatch.respond.alerts import Alert, AlertState, parse_pushed, polled_alert
from firewatch.respond.presence import presence_queries
from firewatch.respond.signals import (
    Kind,
    Pushed,
    RuleState,
    Source,
    SourceState,
    judge,
    judge_names,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CPU = Trigger.model_validate({"preset": "cpu_high"})
LABELS = {"alertname": "HighCPUUsage", "instance": "n1:9100", "severity": "warning"}
EXTERNAL = frozenset({"cluster", "replica"})


def pushed(ends: timedelta | None = timedelta(minutes=4), **labels: str) -> Alert:
    item: dict[str, Any] = {
        "labels": LABELS | {"cluster": "c1", "replica": "a"} | labels,
        "annotations": {},
        "startsAt": "2026-01-01T11:59:59.123456789Z",
        "generatorURL": "http://prometheus/graph",
    }
    if ends is not None:
        item["endsAt"] = (NOW + ends).isoformat()
    return parse_pushed(item, external=EXTERNAL, now=NOW)


def polled(state: str = "firing", **labels: str) -> Alert:
    return polled_alert(LABELS | labels, state=state, active_at=NOW, external=EXTERNAL)


def rule(**changes: Any) -> RuleState:
    base = RuleState(
        name="HighCPUUsage",
        labels={"severity": "warning"},
        healthy=True,
        error="",
        evaluated_at=NOW - timedelta(seconds=5),
        interval=timedelta(seconds=15),
        hold=timedelta(minutes=5),
        has_data=True,
        alerts=(),
    )
    return replace(base, **changes)


def source(*rules: RuleState, pushes: tuple[Pushed, ...] = (), **changes: Any) -> Source:
    state = SourceState(
        polled_at=NOW - timedelta(seconds=1), started_at=NOW - timedelta(days=1), rules=rules
    )
    return Source(replace(state, **changes), {p.alert.identity: p for p in pushes})


def test_pushed_and_polled_alerts_have_one_identity() -> None:
    assert pushed().identity == polled().identity
    assert pushed().labels == polled().labels == LABELS
    assert pushed(replica="b").identity == pushed(replica="a").identity
    assert pushed(instance="n2:9100").identity != pushed().identity


def test_two_servers_of_a_stack_push_one_alert() -> None:
    """Prometheus drops the replica label itself; were it there, it would not tell alerts apart."""
    labels = {"alertname": "A", "instance": "n1"}
    found = {
        parse_pushed(
            {"labels": labels | replica}, external={"cluster", REPLICA_LABEL}, now=NOW
        ).identity
        for replica in ({}, {REPLICA_LABEL: "main-0"}, {REPLICA_LABEL: "main-1"})
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        (timedelta(minutes=4), AlertState.FIRING),
        (None, AlertState.FIRING),
        (timedelta(0), AlertState.RESOLVED),
        (-timedelta(seconds=1), AlertState.RESOLVED),
    ],
)
def test_a_pushed_alert_fires_while_its_end_lies_ahead(
    ends: timedelta | None, state: AlertState
) -> None:
    assert pushed(ends).state is state


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        {},
        {"labels": {}},
        {"labels": {"severity": "x"}},
        {"labels": {"alertname": 1}},
        {"labels": LABELS, "startsAt": "yesterday"},
        {"labels": LABELS, "endsAt": "2026-01-01T12:00:00"},
        {"labels": LABELS, "startsAt": "9999-12-31T23:59:59-23:59"},
        {"labels": LABELS, "startsAt": [[[]]]},
        {"labels": LABELS, "endsAt": 20260101},
    ],
)
def test_what_is_not_an_alert_is_refused(item: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each message differs
        parse_pushed(item, external=EXTERNAL, now=NOW)


@pytest.mark.parametrize(
    ("found", "kind", "reason"),
    [
        (Source(), Kind.HOLD, "NotPolled"),
        (source(error="connection refused"), Kind.HOLD, "SourceUnreachable"),
        (source(), Kind.RULE_GONE, "RuleGone"),
        (source(rule(), started_at=NOW - timedelta(minutes=4)), Kind.HOLD, "SourceStarting"),
        (source(rule(healthy=False, error="x")), Kind.HOLD, "RuleUnhealthy"),
        (source(rule(evaluated_at=NOW - timedelta(minutes=2))), Kind.HOLD, "RuleStale"),
        (source(rule(evaluated_at=None)), Kind.HOLD, "RuleStale"),
        (source(rule(alerts=(polled("pending"),))), Kind.HOLD, "Pending"),
        (source(rule(has_data=False)), Kind.HOLD, "NoData"),
        (source(rule(has_data=None)), Kind.HOLD, "NoData"),
        (source(rule(), rule(name="Other", healthy=False)), Kind.RESOLVED, "Resolved"),
        (source(rule(alerts=(polled(),))), Kind.FIRING, "Firing"),
    ],
)
def test_only_what_is_seen_to_be_resolved_is_resolved(
    found: Source, kind: Kind, reason: str
) -> None:
    signal = judge(CPU, found, NOW)
    assert (signal.kind, signal.reason) == (kind, reason)


def test_a_push_counts_until_a_later_poll_knows_better() -> None:
    before = Pushed(pushed(), NOW - timedelta(seconds=2))
    after = Pushed(pushed(), NOW)
    assert judge(CPU, source(rule(), pushes=(before,)), NOW).kind is Kind.RESOLVED
    assert judge(CPU, source(rule(), pushes=(after,)), NOW).kind is Kind.FIRING
    assert judge(CPU, source(pushes=(before,), error="down"), NOW).kind is Kind.FIRING
    assert judge(CPU, Source(None, {"i": before}), NOW).kind is Kind.FIRING


@pytest.mark.parametrize(
    ("trigger", "labels", "fires"),
    [
        ({"alert": "Other"}, {}, False),
        ({"alert": "HighCPUUsage"}, {}, True),
        ({"alert": "HighCPUUsage", "labels": {"severity": "critical"}}, {}, False),
        ({"alert": "HighCPUUsage", "labels": {"severity": "warning"}}, {}, True),
        ({"preset": "cpu_high"}, {"alertname": "X", "firewatch_preset": "cpu_high"}, True),
        ({"preset": "cpu_high"}, {"alertname": "X"}, False),
    ],
)
def test_triggers_match_by_name_preset_and_labels(
    trigger: dict[str, Any], labels: dict[str, str], fires: bool
) -> None:
    alert = polled(**labels)
    found = source(rule(name=alert.name, labels=dict(alert.labels), alerts=(alert,)))
    signal = judge(Trigger.model_validate(trigger), found, NOW)
    assert (signal.kind is Kind.FIRING) == fires


CREATED = Trigger.model_validate({"preset": "alert_created"})


def of_name(name: str, *, fires: bool = True, **changes: Any) -> RuleState:
    alerts = (polled(alertname=name),) if fires else ()
    return rule(name=name, alerts=alerts, **changes)


def test_every_alert_counts_where_that_is_asked_for_but_those_that_say_nothing() -> None:
    own = ["Watchdog", "FirewatchEscalation", "FirewatchSelfTest"]
    found = source(of_name("Hot"), of_name("Full"), *map(of_name, own))
    signal = judge(CREATED, found, NOW)
    assert (signal.kind, {*signal.names}, signal.count) == (Kind.FIRING, {"Hot", "Full"}, 2)
    narrow = CREATED.model_copy(update={"labels": {"severity": "critical"}})
    assert judge(narrow, found, NOW).kind is Kind.RESOLVED
    assert judge(CREATED, source(*map(of_name, own)), NOW).kind is Kind.RESOLVED
    assert judge(CREATED, source(), NOW).kind is Kind.RESOLVED, "there need be no rule"
    assert judge(CREATED, source(error="down"), NOW).kind is Kind.HOLD


def test_each_alert_is_judged_by_its_own_name() -> None:
    found = source(of_name("Hot"), of_name("Full", fires=False), of_name("Bare", has_data=False))
    kinds = {
        name: signal.kind
        for name, signal in judge_names(CREATED, found, NOW, ["Hot", "Full", "Gone"]).items()
    }
    assert kinds == {"Hot": Kind.FIRING, "Full": Kind.RESOLVED, "Gone": Kind.RULE_GONE}


def test_an_alert_brings_what_people_may_be_told_and_no_more() -> None:
    annotations = {"summary": "too hot", "description": "x" * 999, "secret": "y", "n": 1}
    item = {"labels": LABELS, "annotations": annotations}
    found = parse_pushed(item, external=EXTERNAL, now=NOW).annotations
    assert found == {"summary": "too hot", "description": "x" * 256}
    bad: object
    for bad in (None, [], "x", {"summary": 1}, {"summary": ""}):
        item = {"labels": LABELS, "annotations": bad}
        assert parse_pushed(item, external=EXTERNAL, now=NOW).annotations == {}


@pytest.mark.parametrize(
    ("expression", "queries"),
    [
        (
            '(100 - (avg by(instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)) > 80',
            ['count({__name__="node_cpu_seconds_total"})'],
        ),
        (
            'rate(a{job=~"x|y",status=~"5.."}[5m]) / ignoring(status) rate(b[5m]) > 0.1',
            ['count({__name__="a",job=~"x|y"})', 'count({__name__="b"})'],
        ),
        ('absent(up{job="a\\"b"})', ['count({__name__="up",job="a\\"b"})']),
        ("vector(1)", []),
        ("1 +", None),
    ],
)
def test_data_is_proved_per_metric_without_the_matchers_that_may_match_nothing(
    expression: str, queries: list[str] | None
) -> None:
    assert presence_queries(expression) == queries

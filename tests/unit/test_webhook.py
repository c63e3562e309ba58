"""What Alertmanager's webhook says, read alert by alert; and that nothing else is taken for it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.respond.alerts import AlertState, parse_pushed
from firewatch.respond.webhook import parse_message

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXTERNAL = frozenset({"prometheus"})
FIRING = {
    "status": "firing",
    "labels": {"alertname": "Hot", "pod": "a", "prometheus": "x/y"},
    "annotations": {"summary": "it is hot"},
    "startsAt": "2025-12-31T23:59:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "0123456789abcdef",
}
RESOLVED = {**FIRING, "status": "resolved", "labels": {"alertname": "Cold"}}


def message(*alerts: Any, **fields: Any) -> bytes:
    content = {"version": "4", "status": "firing", "alerts": [*alerts], **fields}
    return json.dumps(content).encode()


def test_openfaas_37_each_alert_has_its_own_status() -> None:
    found = parse_message(message(FIRING, RESOLVED), external=EXTERNAL, now=NOW)
    assert [(a.name, a.state) for a in found.alerts] == [
        ("Hot", AlertState.FIRING),
        ("Cold", AlertState.RESOLVED),
    ]
    assert not found.truncated


def test_an_alert_is_the_same_as_prometheus_pushes_it() -> None:
    (told,) = parse_message(message(FIRING), external=EXTERNAL, now=NOW).alerts
    pushed = parse_pushed({**FIRING, "endsAt": "2026-01-01T00:04:00Z"}, external=EXTERNAL, now=NOW)
    assert told == pushed


@pytest.mark.parametrize("bad", [{}, "x", {"labels": {}}, {**FIRING, "status": "x"}, None, 7])
def test_kubernaut_451_a_bad_alert_does_not_cost_the_others(bad: Any) -> None:
    found = parse_message(message(bad, FIRING), external=EXTERNAL, now=NOW)
    assert [a.name for a in found.alerts] == ["Hot"]
    assert len(found.problems) == 1


def test_what_is_left_out_is_known_to_be_missing() -> None:
    assert parse_message(message(truncatedAlerts=3), external=EXTERNAL, now=NOW).truncated
    assert not parse_message(message(truncatedAlerts=0), external=EXTERNAL, now=NOW).truncated
    assert not parse_message(message(truncatedAlerts="x"), external=EXTERNAL, now=NOW).truncated


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b'{"version":"4"}',
        b'{"version":"3","alerts":[]}',
        b'{"version":"4","alerts":{}}',
        b"[" * 100_000,
        json.dumps({"version": "4", "alerts": [1] * 10_001}).encode(),
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        parse_message(body, external=EXTERNAL, now=NOW)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.sampled_from([*FIRING, "x"]), values, max_size=6), max_size=3))
def test_whatever_is_in_it_nothing_else_is_raised(alerts: list[Any]) -> None:
    found = parse_message(message(*alerts), external=EXTERNAL, now=NOW)
    assert len(found.alerts) + len(found.problems) == len(alerts)

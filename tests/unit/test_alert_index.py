"""Alerts that came together are found as if each were looked at for every trigger."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.triggers import Preset, Trigger
from firewatch.respond.alert_index import AlertIndex
from firewatch.respond.alerts import Alert, AlertState, identify, matches

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from(["HighCPUUsage", "Other", ""])
LABELS = st.dictionaries(
    st.sampled_from(["namespace", "pod", "firewatch_preset"]),
    st.sampled_from(["a", "b", "cpu_high"]),
)


def alert(name: str, labels: dict[str, str]) -> Alert:
    own = {**labels, **({"alertname": name} if name else {})}
    return Alert(identify(own), name, own, AlertState.FIRING, NOW)


ALERTS = st.lists(st.builds(alert, NAMES, LABELS))
WANTED = st.dictionaries(st.sampled_from(["namespace", "pod"]), st.sampled_from(["a", "b"]))
TRIGGERS = st.one_of(
    st.builds(Trigger, alert=st.sampled_from(["HighCPUUsage", "Other"]), labels=WANTED),
    st.builds(Trigger, preset=st.sampled_from(Preset), labels=WANTED),
)


@given(ALERTS, st.lists(TRIGGERS, min_size=1))
def test_the_index_finds_what_matches(alerts: list[Alert], triggers: list[Trigger]) -> None:
    index = AlertIndex(alerts)
    for trigger in triggers:
        wanted = [each for each in alerts if matches(trigger, each.labels)]
        assert index.matching(trigger) == wanted


def test_of_many_alerts_only_those_are_looked_at_that_may_match(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[str] = []

    def note(trigger: Trigger, labels: dict[str, str]) -> bool:
        looked_at.append(labels["pod"])
        return matches(trigger, labels)

    monkeypatch.setattr("firewatch.respond.alert_index.matches", note)
    index = AlertIndex(alert("Storm", {"pod": str(number)}) for number in range(1_000))
    found = [index.matching(Trigger(alert="Storm", labels={"pod": str(n)})) for n in range(100)]
    assert [each.labels["pod"] for some in found for each in some] == [str(n) for n in range(100)]
    assert looked_at == [str(number) for number in range(100)]

"""Durations and other scalars, and how conditions are merged."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from firewatch.api.conditions import (
    Finding,
    bad,
    format_instant,
    format_time,
    good,
    merge_conditions,
    parse_time,
    summarize,
    unknown,
)
from firewatch.api.resource import (
    DURATION_PATTERN,
    ConditionStatus,
    Duration,
    Quantity,
    parse_duration,
)

UNITS = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@given(st.dictionaries(st.sampled_from(sorted(UNITS)), st.integers(0, 99), min_size=1))
def test_a_duration_is_the_sum_of_its_units(amounts: dict[str, int]) -> None:
    text = "".join(f"{amounts[unit]}{unit}" for unit in UNITS if unit in amounts)
    expected = sum(amount * UNITS[unit] for unit, amount in amounts.items())
    assert parse_duration(text) == pytest.approx(expected)


@given(st.from_regex(DURATION_PATTERN, fullmatch=True).filter(bool))
def test_no_duration_reaches_the_limit_of_prometheus(text: str) -> None:
    assert parse_duration(text) < 292 * UNITS["y"]


@given(st.text(alphabet="0123456789smhdwy -.\n", max_size=12))
def test_what_is_no_duration_is_refused_everywhere(text: str) -> None:
    is_duration = bool(text) and re.fullmatch(DURATION_PATTERN, text) is not None
    if not is_duration:
        with pytest.raises(ValueError, match="is not a duration"):
            parse_duration(text)
        with pytest.raises(ValidationError):
            TypeAdapter(Duration).validate_python(text)


@pytest.mark.parametrize("text", ["", "5", "m5", "5 m", "5m1h", "1.5h", "-5m", "5m\n", "1000y"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(("given", "stored"), [(2, "2"), ("2", "2"), ("1.5Gi", "1.5Gi")])
def test_a_quantity_may_be_a_whole_number(given: int | str, stored: str) -> None:
    assert TypeAdapter(Quantity).validate_python(given) == stored


@pytest.mark.parametrize("given", [-1, True, 1.5, "1e3", "Gi", "", "1 Gi"])
def test_bad_quantities(given: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Quantity).validate_python(given)


FINDINGS = st.builds(
    Finding,
    st.sampled_from(["Accepted", "Applied", "Loaded"]),
    st.sampled_from(ConditionStatus),
    st.just("Reason"),
    st.text(max_size=3),
)


def unique(findings: list[Finding]) -> list[Finding]:
    return [*{finding.type: finding for finding in findings}.values()]


@given(st.lists(FINDINGS).map(unique), st.lists(FINDINGS).map(unique))
def test_transition_times_change_only_with_the_status(
    before: list[Finding], after: list[Finding]
) -> None:
    later = NOW + timedelta(hours=1)
    first = merge_conditions([], before, generation=1, now=NOW)
    second = merge_conditions(first, after, generation=2, now=later)
    old = {condition.type: condition for condition in first}
    for condition in second:
        same = condition.type in old and old[condition.type].status is condition.status
        assert condition.last_transition_time == format_time(NOW if same else later)
        assert condition.observed_generation == 2


@given(st.lists(FINDINGS).map(unique))
def test_an_unchanged_state_gives_unchanged_conditions(findings: list[Finding]) -> None:
    first = merge_conditions([], findings, generation=1, now=NOW)
    assert merge_conditions(first, findings, generation=1, now=NOW + timedelta(1)) == first


@given(st.lists(FINDINGS).map(unique))
def test_ready_stands_first_and_is_true_only_if_everything_is(findings: list[Finding]) -> None:
    ready, *rest = merge_conditions([], findings, generation=1, now=NOW)
    assert ready.type == "Ready"
    assert [condition.type for condition in rest] == [finding.type for finding in findings]
    everything = all(finding.status is ConditionStatus.TRUE for finding in findings)
    assert ready.status is (ConditionStatus.TRUE if everything else ConditionStatus.FALSE)


def test_ready_says_what_is_wrong_before_what_is_unknown() -> None:
    findings = [good("A", "Fine"), unknown("B", "Waiting", "wait"), bad("C", "Broken", "repair")]
    ready = summarize(findings)
    assert (ready.status, ready.reason, ready.message) == ("False", "Broken", "repair")
    assert summarize(findings[:2]).reason == "Waiting"


def test_a_long_message_is_cut_to_what_the_crd_takes() -> None:
    *_, condition = merge_conditions([], [bad("A", "B", "x" * 9000)], generation=1, now=NOW)
    assert len(condition.message) == 4096


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)))  # noqa: DTZ001
def test_times_come_back(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment.replace(microsecond=0)
    assert abs(parse_time(format_instant(moment)) - moment) < timedelta(milliseconds=1)

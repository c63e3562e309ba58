"""Whether fewer replicas would carry the present load, from the alert's own rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.thresholds import Threshold
from firewatch.build.thresholds import build_threshold_rule
from firewatch.respond.load import Limit, Load, Sample, find_limit, find_load

RUNBOOK = '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100) > 80'


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (RUNBOOK, 80),
        ("a / b > 0.05", 0.05),
        ("(a / b >= 2)", 2),
        ("80 < a", 80),
        ("a > 0.8 and b > 5", 0.8),
        ("a > 0.8 unless b", 0.8),
        ("rate(sent_bytes_total[5m]) > 1000", 1000),
    ],
)
def test_what_is_compared_with_a_number_is_found(expression: str, value: float) -> None:
    found = find_limit(expression)
    assert found
    assert found.value == value
    assert find_limit(f"{found.query} > 1") == Limit(found.query, 1), "it is an expression itself"


@pytest.mark.parametrize(
    "expression",
    [
        *("a < 5", "5 > a", "a > b", "a", "absent(up)", "a == 1", "a > 0", "a or b", "a >"),
        # Memory does not go from one replica to another.
        "(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes) * 100 > 85",
        "max_over_time(container_memory_working_set_bytes[5m]) > 1e9",
    ],
)
def test_what_says_nothing_about_a_load(expression: str) -> None:
    assert find_limit(expression) is None


def test_the_presets_say_what_their_limit_is() -> None:
    rule = build_threshold_rule(Threshold.model_validate({"signal": "cpu", "above": 80}))
    found = find_limit(rule.expr)
    assert found
    assert found.value in (80, 0.8)


def test_the_load_is_the_highest_of_the_series_of_the_trigger() -> None:
    limit = Limit("x", 0.8)
    samples = [Sample({"service": "api"}, 0.5), Sample({"service": "web"}, 0.7)]
    assert find_load(limit, samples, {}) == Load(0.7, 0.8)
    assert find_load(limit, samples, {"service": "api"}) == Load(0.5, 0.8)
    assert find_load(limit, [], {}) == Load(0.0, 0.8)
    assert find_load(None, samples, {}) is None


@pytest.mark.parametrize(
    ("value", "replicas", "baseline", "allowed"),
    [
        (0.3, 4, 2, True),
        (0.37, 4, 2, False),
        (0.5, 4, 2, False),
        (0.7, 2, 2, True),
        (0, 9, 1, True),
    ],
)
def test_the_load_is_spread_over_the_baseline(
    value: float, replicas: int, baseline: int, allowed: bool
) -> None:
    assert Load(value, 0.8).allows(replicas, baseline) is allowed


@given(st.floats(0.01, 100), st.integers(1, 50), st.integers(1, 50))
def test_what_the_baseline_carries_does_not_fire_there(
    value: float, baseline: int, more: int
) -> None:
    load = Load(value, 50)
    if load.allows(baseline + more, baseline):
        assert load.projected(baseline + more, baseline) < 50

"""What a stack and its policies come to."""

from typing import Any

import pytest

from firewatch.api.metrics import Retention
from firewatch.api.resource import Object
from firewatch.api.retention import MetricsRetention
from firewatch.api.stack import StackRetention
from firewatch.build.retention import (
    RetentionInForce,
    parse_size,
    policy_retention,
    running_retention,
)
from firewatch.reconcile.retention_choice import choose_retention, policies_of

OWN = Retention(time="10d", size="5GB")
GIBI = 2**30


def policy(name: str = "keep", stack: str | None = None, **metrics: Any) -> Object:
    spec: Object = {"metrics": metrics}
    if stack:
        spec["stackRef"] = {"name": stack}
    return {"metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("wanted", "volume", "expected"),
    [
        ({}, 10 * GIBI, ("10d", "8192MB")),
        ({}, None, ("10d", "")),
        ({"time": "30d"}, 10 * GIBI, ("30d", "8192MB")),
        ({"size": "7GB"}, 10 * GIBI, ("10d", "7GB")),
        ({"percentage": 50}, 10 * GIBI, ("10d", "5120MB")),
        ({"percentage": 1}, 1024, ("10d", "1MB")),
    ],
)
def test_a_policy_decides_time_and_size(
    wanted: Object, volume: int | None, expected: tuple[str, str]
) -> None:
    found = policy_retention(
        OWN, MetricsRetention.model_validate(wanted), policy="keep", volume=volume
    )
    assert (found.time, found.size, found.policy) == (*expected, "keep")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("40GB", 40 * GIBI), ("8GiB", 8 * GIBI), ("7GiB1023MiB", 8 * GIBI - 2**20), ("5B", 5)],
)
def test_sizes_as_taken_and_as_printed_by_prometheus(text: str, amount: int) -> None:
    assert parse_size(text) == amount


@pytest.mark.parametrize("text", ["", "GB", "5", "5GB and more", "-5GB", "5Gi"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_the_running_retention_is_read_from_the_configuration() -> None:
    text = "storage:\n  tsdb:\n    retention:\n      time: 2w1d\n      size: 1GiB512MiB\n"
    assert running_retention(text) == RetentionInForce("15d", "1536MB").amounts()
    assert running_retention("storage:\n  tsdb:\n    retention:\n      time: 1h\n") == (3600, 0)
    assert running_retention("global: {}") is None


def test_a_policy_wins_over_the_stack_and_without_one_the_stack_decides() -> None:
    found = choose_retention(OWN, [policy(time="30d")], None, volume=None)
    assert found == RetentionInForce("30d", "", "keep")
    assert choose_retention(OWN, [], None, volume=None) == RetentionInForce("10d", "5GB")


def test_while_two_policies_quarrel_what_was_in_force_stays() -> None:
    rivals = [policy("a", time="1h"), policy("b", time="2h")]
    before = StackRetention(time="90d", size="1TB", policy="a")
    assert choose_retention(OWN, rivals, before, volume=None) == RetentionInForce("90d", "1TB", "a")
    assert choose_retention(OWN, rivals, None, volume=None) == RetentionInForce("10d", "5GB")


def test_a_policy_that_cannot_be_read_is_not_followed() -> None:
    broken = policy(time="soon")
    assert choose_retention(OWN, [broken], None, volume=None) == RetentionInForce("10d", "5GB")


def test_policies_find_their_stack() -> None:
    gone = policy("gone")
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    every = [policy("z"), policy("y", "main"), policy("x", "other"), gone]
    assert [p["metadata"]["name"] for p in policies_of("main", every, ["main"])] == ["y", "z"]
    assert [p["metadata"]["name"] for p in policies_of("main", every, ["main", "other"])] == ["y"]

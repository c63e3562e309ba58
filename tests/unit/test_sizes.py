"""Sizes in a stack's status: what matters is written, and what does not matter is not."""

import pytest

from firewatch.api.stack import MetricSize
from firewatch.reconcile.sizes import sample_limits, settle_largest, used_percent


def written(*found: tuple[str, int], before: list[MetricSize] | None = None) -> dict[str, int]:
    return {each.name: each.series for each in settle_largest(found, before or [])}


def test_numbers_are_written_in_two_digits() -> None:
    assert written(("a", 123_456), ("b", 987), ("c", 7)) == {"a": 120_000, "b": 990, "c": 7}


def test_what_is_written_stays_until_something_is_off_by_a_quarter() -> None:
    before = settle_largest([("a", 1000), ("b", 100)], [])
    assert settle_largest([("a", 1200), ("b", 90)], before) == before
    assert written(("a", 1300), ("b", 90), before=before) == {"a": 1300, "b": 90}
    assert written(("a", 700), ("b", 90), before=before) == {"a": 700, "b": 90}


def test_who_is_tenth_may_change_without_a_write() -> None:
    before = settle_largest([("a", 1000), ("b", 100)], [])
    assert settle_largest([("a", 1000), ("c", 101)], before) == before
    assert written(("a", 1000), ("c", 500), before=before) == {"a": 1000, "c": 500}
    assert written(("a", 1000), before=before) == {"a": 1000}


@pytest.mark.parametrize(
    ("samples", "limit", "before", "used"),
    [
        (790, 1000, 0, 0),
        (800, 1000, 0, 80),
        (899, 1000, 80, 80),
        (900, 1000, 80, 90),
        (720, 1000, 80, 80),
        (700, 1000, 80, 0),
        (1500, 1000, 0, 150),
        (5, 0, 0, 0),
    ],
)
def test_a_job_near_its_limit(samples: float, limit: int, before: int, used: int) -> None:
    assert used_percent(samples, limit, before) == used


def test_the_limit_of_a_job_is_its_own_or_the_stacks() -> None:
    config = {
        "global": {"sample_limit": 10},
        "scrape_configs": [
            {"job_name": "a"},
            {"job_name": "b", "sample_limit": 20},
            {"job_name": "c/1", "static_configs": [{"labels": {"job": "c"}}]},
            {"job_name": "c/2", "sample_limit": 5, "static_configs": [{"labels": {"job": "c"}}]},
            {"job_name": "d", "sample_limit": 0},
        ],
    }
    assert sample_limits(config) == {"a": 10, "b": 20, "c": 5, "d": 0}
    assert sample_limits({}) == {}

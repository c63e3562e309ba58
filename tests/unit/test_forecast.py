"""Days to full: what is told, and how seldom it changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from firewatch.api.retention import MetricsUsage
from firewatch.reconcile.forecast import Reading, measure, steady

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
GIBI = 2**30
DAY = 86_400
READING = Reading(
    blocks=10 * GIBI, head=1 * GIBI, growth=GIBI / DAY, oldest=NOW.timestamp() - 10 * DAY
)


def days(
    reading: Reading = READING, *, limit: int | None = 20 * GIBI, keep: float = 90
) -> int | None:
    return measure(reading, limit=limit, keep_seconds=keep * DAY, now=NOW).days_to_full


def test_room_divided_by_growth() -> None:
    usage = measure(READING, limit=20 * GIBI, keep_seconds=90 * DAY, now=NOW)
    assert usage == MetricsUsage(
        used="11Gi",
        limit="20Gi",
        oldest_sample="2026-11-15T12:00:00Z",
        growth_per_day="1Gi",
        days_to_full=9,
        measured_at="2026-11-25T12:00:00Z",
    )


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (replace(READING, growth=None), None),
        (replace(READING, growth=0.0), None),
        (replace(READING, growth=-5.0), None),
        (replace(READING, growth=0.05 * GIBI / DAY), None),
        (replace(READING, growth=0.1 * GIBI / DAY), None),
        (replace(READING, blocks=25 * GIBI), 0),
        (replace(READING, oldest=None), 9),
    ],
    ids=[
        "no history",
        "steady",
        "shrinking",
        "by chance",
        "older than kept first",
        "full",
        "no sample",
    ],
)
def test_what_is_told_in_special_cases(reading: Reading, expected: int | None) -> None:
    assert days(reading) == expected


def test_without_a_limit_nothing_is_ever_full() -> None:
    assert days(limit=None) is None


def test_growth_ends_when_samples_grow_too_old() -> None:
    assert days(keep=15) is None, "deletion by time begins in 5 days, full would be in 9"
    assert days(keep=10) == 9, "samples are deleted by time already: this is what is left of growth"


@pytest.mark.parametrize(
    ("room", "told"), [(9.7, 9), (99.5, 99), (123.4, 120), (1234.5, 1200), (10**6, 9900)]
)
def test_days_have_two_digits(room: float, told: int) -> None:
    limit = int((11 + room) * GIBI)
    assert days(limit=limit, keep=10**8) == told


def at(hours: float, **changes: object) -> MetricsUsage:
    reading = replace(READING, **changes)  # type: ignore[arg-type]
    now = NOW + timedelta(hours=hours)
    return measure(reading, limit=20 * GIBI, keep_seconds=90 * DAY, now=now)


def test_figures_stay_within_an_hour_and_within_a_tenth() -> None:
    before = at(0)
    for hours, blocks in ((0.9, 19 * GIBI), (5, int(10.9 * GIBI))):
        later = at(hours, blocks=blocks, oldest=READING.oldest)
        moment = NOW + timedelta(hours=hours)
        kept = steady(before.model_copy(update={"days_to_full": later.days_to_full}), later, moment)
        assert kept.used == "11Gi"
    grown = at(1.1, blocks=13 * GIBI)
    assert steady(before, grown, NOW + timedelta(hours=1.1)) == grown


def test_another_limit_is_shown_at_once() -> None:
    before = at(0)
    changed = measure(READING, limit=40 * GIBI, keep_seconds=90 * DAY, now=NOW)
    assert steady(before, changed, NOW) == changed
    assert steady(None, before, NOW) == before


def test_a_quiet_week_writes_a_handful_of_times() -> None:
    """A stack in balance: blocks come and go, and each figure trembles by a few per cent."""
    shown, writes = at(0), 0
    for step in range(1, 7 * 24 * 6):
        hours = step / 6
        wave = (step % 12) / 12 - 0.5
        oldest = READING.oldest
        assert oldest is not None
        reading = {
            "blocks": (10 + 0.4 * wave) * GIBI,
            "growth": 0.02 * wave * GIBI / DAY,
            "oldest": oldest + hours * 3600,
        }
        new = steady(shown, at(hours, **reading), NOW + timedelta(hours=hours))
        writes += new != shown
        shown = new
    assert writes <= 10

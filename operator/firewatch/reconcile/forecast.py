"""How full Prometheus' volume is, and when it would be full (pure).

The estimate is a straight line, as simple as it can be and still be right about what matters:

    growth     = slope of a least-squares line through the blocks' bytes of the last day
    daysToFull = (limit - blocks - largest write-ahead log and head chunks of the day) / growth

Blocks grow in steps of two hours, which a day evens out; the write-ahead log swings up and down by
more than they grow, so of it only the day's peak counts. Growth below half a per cent of what is
used, a day, is taken for none: that much two blocks differ by chance.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from firewatch.api.conditions import format_time, parse_time
from firewatch.api.retention import MetricsUsage
from firewatch.build.quantities import quantity_bytes, show_bytes

HISTORY_HOURS = 6
"""A line through less of the past says nothing."""
_DAY = 86_400.0
_TOLERANCE = 0.1
_RARELY = timedelta(hours=1)
# Deletion by time comes a block late, so the oldest sample may be somewhat older than the limit.
_ALMOST = 0.95
_MOST_DAYS = 9999
_CHANCE = 0.005
_FAR_AWAY_DAYS = 365.0


@dataclass(frozen=True)
class Reading:
    """What one Prometheus says of itself."""

    blocks: float
    """Bytes of all blocks."""
    head: float
    """Largest bytes of write-ahead log and head chunks together in the last day."""
    growth: float | None
    """Bytes a second by which the blocks grow; None while there is too little history."""
    oldest: float | None
    """Unix time of the oldest sample; None if there is none."""

    @property
    def used(self) -> float:
        """Return the bytes that are used, or were at the day's peak."""
        return self.blocks + self.head


def measure(
    reading: Reading, *, limit: int | None, keep_seconds: float, now: datetime
) -> MetricsUsage:
    """Return the figures of a reading. ``limit`` are bytes that may be used, None without limit."""
    growth = _growth(reading)
    days = _days_to_full(reading, growth, limit, keep_seconds - _age(reading, now))
    return MetricsUsage(
        used=show_bytes(reading.used),
        limit=show_bytes(limit) if limit else "",
        oldest_sample=_oldest(reading),
        growth_per_day=None if growth is None else show_bytes(growth * _DAY),
        days_to_full=None if days is None else _rounded(days),
        measured_at=format_time(now),
    )


def _growth(reading: Reading) -> float | None:
    if reading.growth is None:
        return None
    return reading.growth if reading.growth * _DAY >= _CHANCE * reading.used else 0.0


def _days_to_full(
    reading: Reading, growth: float | None, limit: int | None, seconds_left: float
) -> float | None:
    if growth is None or limit is None:
        return None
    room = limit - reading.used
    if room <= 0:
        return 0.0
    if growth <= 0:
        return None
    seconds = room / growth
    # While nothing has been deleted by time yet, growth ends when that begins.
    if 0 < seconds_left < seconds:
        return None
    return seconds / _DAY


def _age(reading: Reading, now: datetime) -> float:
    """Return how many seconds of samples there are, stretched a little: see _ALMOST."""
    if reading.oldest is None:
        return 0.0
    return max(0.0, now.timestamp() - reading.oldest) / _ALMOST


def _oldest(reading: Reading) -> str | None:
    if reading.oldest is None:
        return None
    return format_time(datetime.fromtimestamp(reading.oldest, UTC))


def _rounded(days: float) -> int:
    """Return days in two digits: more would only pretend."""
    whole = min(_MOST_DAYS, int(days))
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return whole // step * step


def steady(before: MetricsUsage | None, now: MetricsUsage, moment: datetime) -> MetricsUsage:
    """Return the figures to be shown: the old ones, unless they are an hour old and off by a tenth.

    A figure that follows every block would make a quiet cluster write for ever. What changes because
    somebody has changed it, the limit, is shown at once.
    """
    if before is None or before.limit != now.limit:
        return now
    if moment - parse_time(before.measured_at) < _RARELY or not _differs(before, now):
        return before
    return now


def _differs(before: MetricsUsage, now: MetricsUsage) -> bool:
    return (
        _moved(_amount(before.used), _amount(now.used))
        or _moved(_amount(before.growth_per_day), _amount(now.growth_per_day))
        or _moved(_days(before), _days(now))
        or _moved(_span(before), _span(now))
    )


def _days(usage: MetricsUsage) -> float:
    """Return the days to full; all that are more than a year away are the same."""
    days = usage.days_to_full
    return _FAR_AWAY_DAYS if days is None else min(_FAR_AWAY_DAYS, days)


def _amount(text: str | None) -> float | None:
    return None if text is None else float(quantity_bytes(text))


def _span(usage: MetricsUsage) -> float | None:
    """Return how many seconds of samples there were."""
    if usage.oldest_sample is None:
        return None
    return (parse_time(usage.measured_at) - parse_time(usage.oldest_sample)).total_seconds()


def _moved(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is not now
    return abs(now - before) > _TOLERANCE * max(abs(before), 1.0)

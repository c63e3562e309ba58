"""How long deliveries of rules take is told from the last one, or from the one under way."""

from datetime import UTC, datetime, timedelta

from firewatch.reconcile.rule_work import Memory

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NONE = timedelta(0)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_nothing_delivered_yet_takes_no_time() -> None:
    memory = Memory()
    memory.confirm(NOW)
    assert memory.delivery(NOW) == NONE


def test_a_delivery_takes_until_it_is_confirmed() -> None:
    memory = Memory(written_at=NOW)
    assert memory.delivery(NOW + seconds(3)) == seconds(3)
    memory.confirm(NOW + seconds(4))
    memory.confirm(NOW + seconds(9))
    assert memory.delivery(NOW + seconds(60)) == seconds(4)


def test_one_under_way_counts_once_it_is_slower_than_the_last() -> None:
    memory = Memory(written_at=NOW, delivered_in=seconds(2))
    assert memory.delivery(NOW + seconds(1)) == seconds(2)
    assert memory.delivery(NOW + seconds(5)) == seconds(5)

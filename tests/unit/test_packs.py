"""Which packs run, as the status remembers it."""

from typing import Any, cast

import pytest

from firewatch.api.stack import MonitoringStackStatus, PackStatus
from firewatch.build.packs.choose import ChosenPack
from firewatch.cluster.prometheus import Prometheus, PrometheusError
from firewatch.reconcile.packs import gather_packs, is_behind, running_packs
from firewatch.reconcile.servers import Server

WAITS = ChosenPack("api", (), "it has not been seen", awaited="requests_total")
RUNS = ChosenPack("watchdog", ())
OFF = ChosenPack("node", (), "it is turned off")


class Told:
    """A Prometheus that has some series, or does not answer."""

    def __init__(self, *series: str, answers: bool = True) -> None:
        self._series = {f"group({each})" for each in series}
        self._answers = answers

    async def has_series(self, query: str) -> bool:
        if not self._answers:
            raise PrometheusError("no answer")
        return query in self._series


def servers(*told: Told) -> list[Server]:
    pod: dict[str, Any] = {"metadata": {"uid": "u"}}
    return [Server(pod, cast(Prometheus, each)) for each in told]


@pytest.mark.parametrize(
    ("asked", "is_seen"),
    [
        ((), False),
        ((Told("other"),), False),
        ((Told(answers=False), Told("requests_total")), True),
        ((Told("requests_total"),), True),
    ],
)
async def test_what_is_awaited_is_asked_for(asked: tuple[Told, ...], *, is_seen: bool) -> None:
    rows = await gather_packs(servers(*asked), [OFF, WAITS, RUNS])
    assert [(row.name, row.running) for row in rows] == [
        ("node", False),
        ("api", is_seen),
        ("watchdog", True),
    ]
    assert rows[0].message == "it is turned off"
    assert rows[1].message == ("" if is_seen else "it has not been seen")
    assert is_behind([OFF, WAITS, RUNS], rows) is is_seen
    assert not is_behind([RUNS], [rows[2]])


def test_what_was_seen_is_remembered_by_the_status() -> None:
    rows = [PackStatus(name="api", running=True), PackStatus(name="node", running=False)]
    assert running_packs(MonitoringStackStatus(packs=rows)) == {"api"}
    assert running_packs(MonitoringStackStatus()) == frozenset()

"""More replicas lower what each of them carries: a load that is spread over however many there are.

The gauge that the policy watches is what one replica carries of it. ``make campaign-swing`` has a service
whose own CPU is the alert.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from e2e.kubectl import wait_for
from e2e.station import ALERT, Station

HEAVY, LIGHT = 8.0, 3.0
"""Loads of which one replica can carry (up to 5) only the second."""
WATCHED = 15
"""Seconds in which nothing may move."""


@pytest.fixture
def station(response_station: Station) -> Iterator[Station]:
    """Give each test a target at one replica, and clean up after it."""
    station = response_station
    station.kubectl.apply(station.policy())
    station.wait_ready("apol", "load")
    yield station
    station.signal(0)
    station.kubectl.delete("aresp", "scale", station.namespace)
    station.wait_replicas(1)
    wait_for("the alert to resolve", lambda: not station.query(f'ALERTS{{alertname="{ALERT}"}}'))


def carry(station: Station, load: float, what: str, probe: Callable[[], bool]) -> None:
    """Spread a load over the replicas that there are, until a probe returns true."""

    def spread() -> bool:
        station.signal(load / station.kubectl.replicas("api", station.namespace))
        return probe()

    wait_for(what, spread)


def firing(station: Station) -> bool:
    """Tell whether the alert fires."""
    return bool(station.query(f'ALERTS{{alertname="{ALERT}",alertstate="firing"}}'))


def raise_under_load(station: Station, **recovery: object) -> None:
    """Have one replica carry more than it can, until it is two and the alert has resolved."""
    kubectl, namespace = station.kubectl, station.namespace
    kubectl.apply(station.response(recovery={"hold": "2s", **recovery}))
    station.wait_ready("aresp", "scale")
    carry(
        station, HEAVY, "the target to be raised", lambda: kubectl.replicas("api", namespace) == 2
    )


def test_without_it_the_replicas_swing(station: Station) -> None:
    raise_under_load(station, loadAware=False)
    carry(
        station,
        HEAVY,
        "the target to be raised again",
        lambda: station.history().count("ScaledUp") >= 2,
    )


def test_with_it_the_target_goes_up_once_and_down_once(station: Station) -> None:
    raise_under_load(station)
    carry(station, HEAVY, "the alert to resolve", lambda: not firing(station))
    ends = time.monotonic() + WATCHED
    while time.monotonic() < ends:
        assert station.kubectl.replicas("api", station.namespace) == 2
        time.sleep(1)
    found = station.wait_state("scale", "Active")
    assert "replicas would be" in found["status"]["message"]
    carry(station, LIGHT, "the target to be put back", lambda: "Restored" in station.history())
    assert station.kubectl.replicas("api", station.namespace) == 1
    station.wait_state("scale", "Idle")
    assert station.history() == ["ScaledUp", "Restored"]

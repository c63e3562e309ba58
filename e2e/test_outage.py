"""What is away in the middle of an episode: the API server, killed, and every message about an alert.

These come after test_operator.py: right after its start the API server refuses what it has not read the
rights for.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.audit import AuditLog
from e2e.kubectl import wait_for
from e2e.outage import hear_news, kill_api_server, restarts
from e2e.station import ALERT, STACK, Station

HEALED = 30.0
"""Seconds within which a poll finds what no message has told of."""


@pytest.fixture
def station(response_station: Station) -> Iterator[Station]:
    """Give each test a target at one replica, and clean up after it."""
    station = response_station
    station.kubectl.apply(station.policy())
    station.wait_ready("apol", "load")
    yield station
    station.signal(0)
    station.kubectl.delete("aresp", "scale", station.namespace)
    station.kubectl.run("scale", "deployment/api", "-n", station.namespace, "--replicas=1")
    wait_for("the alert to resolve", lambda: not station.query(f'ALERTS{{alertname="{ALERT}"}}'))


def start(station: Station, **spec: Any) -> None:
    station.kubectl.apply(station.response(**spec))
    station.wait_ready("aresp", "scale")


def done(station: Station) -> list[str]:
    """Return what has been done, and not that for a moment the API server has refused everything."""
    return [event for event in station.history() if event != "Refused"]


def scalings(station: Station, audit: AuditLog) -> int:
    """Return how often the operator has written the target's replicas."""
    place = ("deployments/scale", station.namespace, 200)
    return sum((call.resource, call.namespace, call.code) == place for call in audit.calls())


def test_an_episode_outlives_an_api_server_that_is_killed_in_its_middle(station: Station) -> None:
    start(station)
    audit = AuditLog(station.testbed.cluster)
    station.signal(6)
    station.wait_replicas(2)
    station.wait_state("scale", "Active")
    kill_api_server(station.testbed)
    station.wait_state("scale", "Active", seconds=60)
    assert station.kubectl.replicas("api", station.namespace) == 2
    station.signal(0)
    station.wait_replicas(1, seconds=60)
    station.wait_state("scale", "Idle", seconds=60)
    assert done(station) == ["ScaledUp", "Restored"]
    assert scalings(station, audit) == 2


def test_an_alert_that_fires_while_the_api_server_is_killed_is_answered_once(
    station: Station,
) -> None:
    start(station, actions=[{"scaleUp": {"by": 1, "maxReplicas": 4}}])
    station.signal(6)
    kill_api_server(station.testbed)
    station.wait_replicas(2, seconds=60)
    station.wait_state("scale", "Active", seconds=60)
    assert done(station) == ["ScaledUp"]
    station.signal(0)
    station.wait_replicas(1, seconds=60)
    station.wait_state("scale", "Idle", seconds=60)
    assert done(station) == ["ScaledUp", "Restored"]


def test_what_is_new_is_heard_after_an_outage_and_no_replica_has_ended(station: Station) -> None:
    before = restarts(station.testbed)
    kill_api_server(station.testbed)
    hear_news(station)
    assert restarts(station.testbed) == before


def test_alertmanager_4634_what_no_message_tells_of_is_found_by_asking(station: Station) -> None:
    """Nobody tells of the alerts of this source, as if every message were lost: it is only asked."""
    url = f"http://{STACK}-prometheus.{station.namespace}.svc:9090"
    start(station, source={"prometheus": {"url": url}})
    began = time.monotonic()
    station.signal(6)
    station.wait_replicas(2, seconds=HEALED)
    station.wait_state("scale", "Active")
    found = time.monotonic() - began
    began = time.monotonic()
    station.signal(0)
    station.wait_replicas(1, seconds=HEALED)
    print(f"found after {found:.1f} s, its end after {time.monotonic() - began:.1f} s")
    station.wait_state("scale", "Idle")
    assert station.history() == ["ScaledUp", "Restored"]

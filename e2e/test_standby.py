"""Two replicas: the one that leads is killed, ended, stopped and renewed, and nothing is lost or doubled."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals

import pytest

from bench.quiet import restart
from bench.takeover import let_fire, measure
from e2e import operators
from e2e.audit import AuditLog
from e2e.installation import NAMESPACE
from e2e.kubectl import wait_for
from e2e.station import ALERT, Station
from firewatch.cluster.lease import UNCLAIMED
from firewatch.settings import LEASE_NAME


@pytest.fixture
def station(standby_station: Station) -> Iterator[Station]:
    """Give each test a target at one replica and two fresh replicas of the operator."""
    station = standby_station
    operators.renew(station.testbed)
    yield station
    station.signal(0)
    station.kubectl.delete("aresp", "scale", station.namespace)
    station.wait_replicas(1)
    wait_for("the alert to resolve", lambda: not station.query(f'ALERTS{{alertname="{ALERT}"}}'))
    operators.renew(station.testbed)


@pytest.fixture
def episode(station: Station) -> Station:
    """Give a test an episode that is under way."""
    station.kubectl.apply(station.response())
    station.wait_ready("aresp", "scale")
    station.signal(6)
    station.wait_replicas(2)
    station.wait_state("scale", "Active")
    return station


def resolve(station: Station) -> None:
    """Let the alert resolve, and see that the episode ends as if nothing had happened."""
    station.signal(0)
    station.wait_replicas(1)
    station.wait_state("scale", "Idle")
    assert station.history() == ["ScaledUp", "Restored"]


def scales(station: Station, audit: AuditLog) -> int:
    """Return how often the target's replicas were written."""
    place = ("deployments/scale", station.namespace, 200)
    return sum((c.resource, c.namespace, c.code) == place for c in audit.calls())


def test_all_replicas_are_ready_and_one_leads(station: Station) -> None:
    testbed = station.testbed
    leader = operators.leader(testbed)
    assert len(operators.names(testbed)) == 2
    for pod in operators.names(testbed):
        assert operators.figure(testbed, pod, "firewatch_leading") == (pod == leader)


@pytest.mark.parametrize("signal", [SIGKILL, SIGTERM], ids=lambda signal: signal.name)
def test_a_leader_that_goes_in_mid_episode_costs_nothing(episode: Station, signal: Signals) -> None:
    audit, leader = AuditLog(episode.testbed.cluster), operators.leader(episode.testbed)
    operators.send(leader, signal)
    resolve(episode)
    assert scales(episode, audit) == 1
    operators.leader(episode.testbed, instead_of=leader)


@pytest.mark.parametrize(
    ("signal", "seconds"),
    # 5 and 1 on a machine with nothing else to do: `make bench-takeover`.
    [(SIGKILL, 6.5), (SIGTERM, 3.0)],
    ids=["SIGKILL", "SIGTERM"],
)
def test_the_next_action_comes_soon(station: Station, signal: Signals, seconds: float) -> None:
    let_fire(station)
    assert measure(station, signal) < seconds


def test_a_leader_that_stood_still_acts_no_more_when_it_goes_on(episode: Station) -> None:
    testbed = episode.testbed
    audit, leader = AuditLog(testbed.cluster), operators.leader(testbed)
    stopped = operators.processes(leader)
    operators.send(leader, SIGSTOP)
    try:
        other = operators.leader(testbed, instead_of=leader)
        resolve(episode)
    finally:
        for process in stopped:
            os.kill(process, SIGCONT)
    wait_for(
        "it to notice",
        lambda: operators.figure(testbed, leader, "firewatch_leading") == 0,
        seconds=20,
    )
    assert operators.leader(testbed) == other
    assert scales(episode, audit) == 1


def test_all_replicas_are_renewed_in_mid_episode(episode: Station) -> None:
    audit, before = AuditLog(episode.testbed.cluster), operators.names(episode.testbed)
    restart(episode.testbed)
    operators.wait_ready(episode.testbed)
    assert not {*before} & {*operators.names(episode.testbed)}
    assert episode.kubectl.replicas("api", episode.namespace) == 2
    resolve(episode)
    assert scales(episode, audit) == 1


def test_a_lease_that_is_deleted_is_made_anew(episode: Station) -> None:
    audit, began = AuditLog(episode.testbed.cluster), datetime.now(UTC)
    episode.kubectl.delete("lease", LEASE_NAME, NAMESPACE)

    def held_again() -> bool:
        lease = episode.kubectl.get("lease", LEASE_NAME, NAMESPACE)
        assert lease is not None
        made = datetime.fromisoformat(lease["metadata"]["creationTimestamp"])
        is_new = made >= began.replace(microsecond=0)
        return is_new and lease["spec"]["holderIdentity"] not in ("", UNCLAIMED)

    wait_for("a new Lease to be held", held_again, seconds=30)
    resolve(episode)
    assert scales(episode, audit) == 1

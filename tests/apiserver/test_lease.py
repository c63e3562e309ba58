"""The Lease at a real API server: who gets it, how it is lost, and what whoever lost it can still do.

Every replica has a clock that the test sets, so that nothing is waited for.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster, KubernetesCluster, Verb, Write
from firewatch.cluster.election import Election, Place
from firewatch.cluster.errors import NotLeadingError, UnreachableError
from firewatch.cluster.kinds import CONFIG_MAP, LEASE, Kind
from firewatch.cluster.leading import LeadingCluster
from firewatch.cluster.lease import (
    ADDRESS,
    LEASE_SECONDS,
    RENEW_SECONDS,
    RETRY_SECONDS,
    UNCLAIMED,
    Candidate,
)
from firewatch.leadership import Leadership
from firewatch.metrics import Metrics
from firewatch.settings import LEASE_NAME, MANAGED_BY, parse_settings
from tests.apiserver.kubectl import Kubectl
from tests.apiserver.world import Recorder


@dataclass
class Flaky(Recorder):
    """A way to the API server on which requests or their answers get lost."""

    loses_requests: bool = False
    loses_answers: bool = False

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        if self.loses_requests:
            raise UnreachableError("the API server does not answer")
        return await super().get(kind, namespace, name)

    async def write(self, write: Write) -> Object:
        if self.loses_requests:
            raise UnreachableError("the API server does not answer")
        answer = await super().write(write)
        if self.loses_answers:
            raise UnreachableError("the API server does not answer")
        return answer


@dataclass
class Replica:
    """One replica with a clock of its own."""

    way: Flaky
    namespace: str
    name: str
    now: float = 0.0
    candidate: Candidate = field(init=False)
    election: Election = field(init=False)

    def __post_init__(self) -> None:
        self.candidate = Candidate(self.name)
        self.election = Election(
            self.way,
            self.candidate,
            Place(self.namespace, f"{self.name}:9095"),
            clock=lambda: self.now,
        )

    async def step(self, seconds: float = 0.0) -> bool:
        """Let time pass and take a step; return whether it leads."""
        self.now += seconds
        await self.election.step()
        return self.leads

    @property
    def leads(self) -> bool:
        return self.candidate.holds(self.now)


Replicas = Callable[[str], Replica]


@pytest.fixture
def replicas(cluster: KubernetesCluster, namespace: str) -> Replicas:
    return lambda name: Replica(Flaky(cluster), namespace, name)


@pytest_asyncio.fixture
async def pair(replicas: Replicas) -> tuple[Replica, Replica]:
    """Return a replica that leads and one that stands by."""
    first, second = replicas("first"), replicas("second")
    await first.step()
    assert await first.step(LEASE_SECONDS)
    assert not await second.step()
    return first, second


async def lease(cluster: Cluster, namespace: str) -> Object:
    return await cluster.get(LEASE, namespace, LEASE_NAME)


async def test_a_lease_that_is_not_there_is_made_and_gives_nobody_the_right_to_act(
    cluster: KubernetesCluster, namespace: str, replicas: Replicas
) -> None:
    replica = replicas("first")
    assert not await replica.step()
    found = await lease(cluster, namespace)
    assert found["spec"]["holderIdentity"] == UNCLAIMED
    assert found["metadata"]["labels"] == MANAGED_BY
    assert not await replica.step(LEASE_SECONDS - 0.25)
    assert await replica.step(0.25)
    found = await lease(cluster, namespace)
    assert found["spec"]["holderIdentity"] == "first"
    assert found["spec"]["leaseDurationSeconds"] == LEASE_SECONDS
    assert found["metadata"]["annotations"] == {ADDRESS: "first:9095"}


async def test_two_that_come_at_once_do_not_both_lead(replicas: Replicas) -> None:
    several = [replicas(name) for name in "abcde"]
    await asyncio.gather(*(each.step() for each in several))
    for _ in range(3):
        await asyncio.gather(*(each.step(LEASE_SECONDS) for each in several))
        assert sum(each.leads for each in several) <= 1
    assert sum(each.leads for each in several) == 1


async def test_it_is_renewed_by_one_small_write(
    pair: tuple[Replica, Replica], cluster: KubernetesCluster, namespace: str
) -> None:
    first, second = pair
    before = await lease(cluster, namespace)
    first.way.writes.clear()
    for _ in range(20):
        assert await first.step(RETRY_SECONDS)
        assert not await second.step(RETRY_SECONDS)
    assert [(w.verb, w.kind) for w in first.way.writes] == [(Verb.MERGE, LEASE)] * 20
    assert second.way.writes == []
    after = await lease(cluster, namespace)
    assert after["spec"]["acquireTime"] == before["spec"]["acquireTime"]
    assert after["spec"]["renewTime"] > before["spec"]["renewTime"]
    assert after["spec"]["leaseTransitions"] == before["spec"]["leaseTransitions"]


async def test_after_a_kill_it_is_taken_when_it_has_run_out_and_not_before(
    pair: tuple[Replica, Replica], cluster: KubernetesCluster, namespace: str
) -> None:
    _, second = pair
    assert not await second.step(LEASE_SECONDS - 0.25)
    assert await second.step(0.25)
    found = (await lease(cluster, namespace))["spec"]
    assert (found["holderIdentity"], found["leaseTransitions"]) == ("second", 2)


async def test_one_that_is_given_up_is_taken_at_once(pair: tuple[Replica, Replica]) -> None:
    first, second = pair
    first.candidate.resign()
    assert not first.leads
    await first.election.release()
    assert await second.step()
    assert second.candidate.known is not None
    assert second.candidate.known.address == "second:9095"


async def test_whoever_does_not_hold_it_gives_nothing_up(
    pair: tuple[Replica, Replica], cluster: KubernetesCluster, namespace: str
) -> None:
    _, second = pair
    second.candidate.resign()
    await second.election.release()
    assert (await lease(cluster, namespace))["spec"]["holderIdentity"] == "first"


async def test_whoever_was_stopped_and_goes_on_writes_nothing_and_cannot_renew(
    pair: tuple[Replica, Replica], cluster: KubernetesCluster, namespace: str
) -> None:
    first, second = pair
    way = LeadingCluster(first.way, lambda: first.leads)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    write = Write(Verb.CREATE, CONFIG_MAP, namespace, "x", body)
    await way.write(write)
    # As by SIGSTOP, or on a machine that stands still: only the clock goes on.
    first.now += RENEW_SECONDS
    with pytest.raises(NotLeadingError):
        await way.write(replace(write, name="y", body={**body, "metadata": {"name": "y"}}))
    assert await second.step(LEASE_SECONDS)
    assert not await first.step(), "its renewal builds on what is not there any more"
    assert not await first.step(RETRY_SECONDS)
    assert [each["metadata"]["name"] for each in await cluster.list(CONFIG_MAP, namespace)] == ["x"]
    assert (await lease(cluster, namespace))["spec"]["holderIdentity"] == "second"


async def test_an_answer_that_is_lost_costs_a_look_and_not_the_lease(
    pair: tuple[Replica, Replica],
) -> None:
    first, second = pair
    first.way.loses_answers = True
    for _ in range(3):
        assert await first.step(RETRY_SECONDS)
        assert not await second.step(RETRY_SECONDS)
    first.way.loses_answers = False
    assert await first.step(RETRY_SECONDS)
    assert first.candidate.term(first.now) == 1


async def test_while_the_api_server_is_away_nobody_leads_and_then_one_does(
    pair: tuple[Replica, Replica],
) -> None:
    first, second = pair
    for each in pair:
        each.way.loses_requests = True
    for _ in range(20):
        await first.step(RETRY_SECONDS)
        assert not await second.step(RETRY_SECONDS)
    assert not first.leads
    for each in pair:
        each.way.loses_requests = False
    assert await first.step(), "nobody else had it meanwhile"
    assert first.candidate.term(first.now) == 2, "and what it knew may be old"
    assert not await second.step()


async def test_one_that_is_deleted_is_made_anew_and_nobody_acts_until_it_could_have_run_out(
    pair: tuple[Replica, Replica], kubectl: Kubectl, namespace: str
) -> None:
    first, second = pair
    kubectl("-n", namespace, "delete", f"lease/{LEASE_NAME}")
    assert not await second.step(), "the first may still act"
    await first.step(RETRY_SECONDS)  # refused, since it is not as it was
    assert not await first.step(RETRY_SECONDS)
    assert not await second.step(RENEW_SECONDS)
    assert await second.step(LEASE_SECONDS - RENEW_SECONDS)


async def test_one_whose_holder_somebody_else_has_written_is_not_acted_under(
    pair: tuple[Replica, Replica], kubectl: Kubectl, namespace: str
) -> None:
    first, _ = pair
    foreign = '{"spec":{"holderIdentity":"somebody"}}'
    kubectl("-n", namespace, "patch", f"lease/{LEASE_NAME}", "--type=merge", "-p", foreign)
    await first.step(RETRY_SECONDS)  # refused, since it is not as it was
    assert not await first.step(RETRY_SECONDS)
    assert await first.step(LEASE_SECONDS), "somebody never renews it"


@pytest.fixture
def free(kubectl: Kubectl, namespace: str) -> None:
    """Provide a Lease that was given up, which is taken at once."""
    body = (
        f'{{"apiVersion":"{LEASE.api_version}","kind":"Lease","metadata":{{"name":"{LEASE_NAME}"}},'
        '"spec":{"holderIdentity":""}}'
    )
    kubectl("-n", namespace, "create", "-f", "-", text=body)


def leadership(kubeconfig: Path, namespace: str, ended: Callable[[], object]) -> Leadership:
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "FIREWATCH_NAMESPACE": namespace,
        "FIREWATCH_POD": "pod",
        "FIREWATCH_POD_IP": "fd00::1",
    }
    return Leadership(parse_settings(environment), Metrics(), ended=ended)


@pytest_asyncio.fixture
async def two(
    control_plane: ControlPlane, cluster: KubernetesCluster, namespace: str, free: None
) -> AsyncIterator[list[Leadership]]:
    """Return two that really run, by this machine's clock.

    Another client comes first: what a kubeconfig embeds is put into files at its first use, and a second
    thread would take a file that is not written yet.
    """
    found = [leadership(control_plane.kubeconfig, namespace, lambda: None) for _ in range(2)]
    for each in found:
        each.start()
    yield found
    for each in found:
        await each.leave()
        assert not each.is_alive()
        assert each.failure is None


async def leader_of(pair: list[Leadership]) -> tuple[Leadership, Leadership]:
    """Wait until one of them leads; return it, and the other."""
    waiting = [asyncio.create_task(each.change(0)) for each in pair]
    async with asyncio.timeout(30):
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    first, second = sorted(pair, key=lambda each: not each.term())
    return first, second


async def test_when_the_first_ends_in_order_another_leads_long_before_it_would_have_run_out(
    two: list[Leadership],
) -> None:
    first, second = await leader_of(two)
    assert (first.holds(), second.holds(), first.leader()) == (True, False, "")
    async with asyncio.timeout(5):
        while second.leader() != "[fd00::1]:9095":
            await asyncio.sleep(0.01)
    began = time.monotonic()
    await first.leave()
    async with asyncio.timeout(30):
        assert await second.change(0) == 1
    assert not first.holds()
    assert time.monotonic() - began < LEASE_SECONDS / 2


async def test_an_election_that_cannot_begin_is_told(tmp_path: Path) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    broken = leadership(tmp_path / "none", "default", lambda: loop.call_soon_threadsafe(ended.set))
    broken.start()
    async with asyncio.timeout(30):
        await ended.wait()
    await broken.leave()
    assert isinstance(broken.failure, UnreachableError)
    assert not broken.holds()

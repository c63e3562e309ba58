"""Circuit breakers at a real API server: opened, tried, closed, and put back exactly."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from firewatch.api.responses import APPROVED, UNDO
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import AUTO_RESPONSE, CONFIG_MAP, DEPLOYMENT, POD, SERVICE
from firewatch.respond.circuit.change import SYNCED_AT
from tests.apiserver.breaker_kills import kill_at_writes
from tests.apiserver.killing import Mortal
from tests.apiserver.town import (
    LABELS,
    MECHANISMS,
    breaker,
    is_bad,
    nobody,
    open_one,
    town_of,
    without_template,
)

pytestmark = pytest.mark.usefixtures("crds")

OPENED, TRIED, CLOSED = "BreakerOpened", "BreakerHalfOpen", "BreakerClosed"


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_it_opens_tries_closes_and_puts_back(
    cluster: KubernetesCluster, namespace: str, mechanism: str
) -> None:
    town = await town_of(cluster, namespace)
    before = await town.state()
    await open_one(town, mechanism)
    status = await town.episodes.status("break")
    assert (status["state"], status["breaker"]["mechanism"]) == ("BreakerOpen", mechanism)
    assert status["breaker"]["inForce"]
    assert status["breaker"]["errorsBefore"] > 0.05
    live = await cluster.get(AUTO_RESPONSE, namespace, "break")
    assert live["metadata"]["finalizers"]
    assert await town.state() != before
    await town.until_closed()
    assert await town.episodes.events("break") == [OPENED, TRIED, CLOSED]
    after = await town.state()
    assert without_template(after) == without_template(before)
    if mechanism == "rollback":
        template = after["specs"]["api"]["template"]
        assert template["spec"]["containers"][0]["image"] == "example.org/api:1"
        assert "pod-template-hash" not in template["metadata"]["labels"]
    else:
        assert after == before
    live = await cluster.get(AUTO_RESPONSE, namespace, "break")
    assert "finalizers" not in live["metadata"]
    assert live["status"]["state"] == "Cooldown"


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_killed_before_and_after_a_write_it_ends_as_without(
    cluster: KubernetesCluster, namespaces: Callable[[], str], mechanism: str
) -> None:
    await kill_at_writes(cluster, lambda: town_of(cluster, namespaces()), mechanism)


async def test_pods_that_mount_the_flag_are_to_see_it_at_once(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    await open_one(town, "flag")
    pods = await cluster.list(POD, namespace)
    synced = {
        pod["metadata"]["name"]
        for pod in pods
        if SYNCED_AT in (pod["metadata"].get("annotations") or {})
    }
    assert synced == {"api-0", "api-1", "api-2", "api-3"}, "of the target, and no other"


async def test_the_least_invasive_that_can_work_is_taken_and_says_why(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    town.fails = is_bad("isolate")
    await town.serve(30)
    await town.episodes.response("break", actions=breaker())
    await town.live(1)
    record = (await town.open_breakers())["break"]
    assert (record["mechanism"], record["shares"]) == ("isolate", ["api-1"])


async def test_of_four_pods_that_all_fail_none_is_taken_out(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    town.fails = is_bad("rollback")
    await town.serve(30)
    await town.episodes.response("break", actions=breaker("isolate"))
    await town.live(2)
    status = await town.episodes.status("break")
    assert (status["state"], await town.open_breakers()) == ("Refused", {})
    assert "at most half may leave" in status["message"]
    assert await town.episodes.events("break") == ["BreakerRefused"]


async def test_while_prometheus_says_nothing_nothing_is_opened_and_nothing_closed(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    town.episodes.is_counted = False
    town.fails = is_bad("fallback")
    await town.serve(30)
    await town.episodes.response("break", actions=breaker("fallback"))
    await town.live(2)
    status = await town.episodes.status("break")
    assert (status["state"], await town.open_breakers()) == ("Refused", {})
    assert "it is gone" in status["message"]
    town.episodes.is_counted = True
    await town.live(1)
    town.fails = nobody
    await town.live(3)
    town.episodes.is_counted = False
    await town.live(60)
    record = (await town.open_breakers())["break"]
    assert (record["circuit"]["phase"], record["circuit"].get("counted")) == ("HalfOpen", None)
    message = (await town.episodes.status("break"))["message"]
    assert "what is tried cannot be judged: Prometheus does not say: it is gone" in message
    town.episodes.is_counted = True
    await town.until_closed()


async def test_what_goes_on_failing_is_opened_again_and_at_last_left_to_a_human(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    await open_one(town, "isolate", giveUpAfter="60s")
    town.fails = is_bad("isolate")
    await town.live(90)
    status = await town.episodes.status("break")
    assert (status["state"], status["breaker"]["circuit"]["phase"]) == ("Ineffective", "Open")
    events = await town.episodes.events("break")
    assert events[:3] == [OPENED, TRIED, "BreakerReopened"]
    assert events[-1] == "BreakerIneffective"
    assert events.count("BreakerIneffective") == 1
    opened = status["breaker"]["circuit"]["openedAt"]
    change = {"metadata": {"annotations": {UNDO: opened}}}
    before = await town.state()
    await town.episodes.patch(AUTO_RESPONSE, change, "break")
    await town.live(1)
    assert await town.open_breakers() == {}
    assert (await town.state())["labels"]["api-1"] == {**LABELS, "pod-template-hash": "api-new"}
    assert before["labels"]["api-1"] != (await town.state())["labels"]["api-1"]


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_dry_run_is_sent_and_changes_nothing(
    cluster: KubernetesCluster, namespace: str, mechanism: str
) -> None:
    town = await town_of(cluster, namespace)
    before = await town.state()
    town.fails = is_bad(mechanism)
    await town.serve(30)
    await town.episodes.response("break", actions=breaker(mechanism), mode="dryRun")
    writes = Mortal(cluster)
    town.episodes = replace(town.episodes, cluster=writes)
    await town.live(3)
    status = await town.episodes.status("break")
    assert (status["state"], await town.open_breakers()) == ("WouldAct", {})
    assert "would open its circuit breaker" in status["message"]
    dry = [write for write in writes.writes if write.dry_run]
    assert [write.kind in (POD, SERVICE, CONFIG_MAP, DEPLOYMENT) for write in dry] == [True]
    assert await town.episodes.events("break") == ["DryRun"]
    assert await town.state() == before


async def test_it_waits_for_an_approval_and_goes_on_without_another(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    town.fails = is_bad("flag")
    await town.serve(30)
    await town.episodes.response("break", actions=breaker("flag"), mode="approve")
    await town.live(1)
    status = await town.episodes.status("break")
    assert (status["state"], await town.open_breakers()) == ("WaitingForApproval", {})
    approval = {"metadata": {"annotations": {APPROVED: status["request"]["id"]}}}
    await town.episodes.patch(AUTO_RESPONSE, approval, "break")
    await town.live(1)
    assert [*await town.open_breakers()] == ["break"]
    town.fails = nobody
    await town.until_closed()


async def test_texts_that_the_api_server_writes_otherwise_than_we_do(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    flag = {"configMap": "api", "key": "breaker", "open": "<an> & 'aus' → ü"}
    await town.episodes.patch(CONFIG_MAP, {"data": {"breaker": "<off> & ä"}})
    before = await town.state()
    town.fails = is_bad("flag")
    await town.serve(30)
    await town.episodes.response("break", actions=breaker("flag", flag=flag))
    await town.live(1)
    assert (await town.state())["data"]["breaker"] == flag["open"]
    town.fails = nobody
    await town.until_closed()
    assert await town.state() == before

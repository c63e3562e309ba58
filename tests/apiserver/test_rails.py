"""Enough is enough: what an hour and a namespace allow, at a real API server."""

from datetime import timedelta

import pytest

from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import DEPLOYMENT
from firewatch.runbook.responses import ActionError, reset
from tests.apiserver.episodes import Episodes

pytestmark = pytest.mark.usefixtures("crds")


async def test_keep_5038_a_target_is_raised_three_times_an_hour_and_a_restart_forgets_none(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = Episodes(cluster, namespace)
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    await episodes.response(rails={"cooldown": "0s"})
    for _ in range(3):
        episodes.alert(firing=True)
        await episodes.step()
        assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
        await episodes.until_over()
    for _ in range(2):
        episodes.alert(firing=True)
        await episodes.step()
        status = await episodes.status()
        assert (status["state"], (await episodes.spec(DEPLOYMENT))["replicas"]) == ("Limited", 2)
        assert "rails.actionsPerHour is 3" in status["message"]
        episodes.restart()
    assert (await episodes.events()).count("Limited") == 1
    episodes.now += timedelta(hours=1)
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4


async def test_more_actions_an_hour_than_the_history_holds_are_counted(
    cluster: KubernetesCluster, namespace: str
) -> None:
    """Each episode leaves two entries of 20, so that from the history alone ten would be known."""
    episodes = Episodes(cluster, namespace)
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    rails = {"cooldown": "0s", "actionsPerHour": 14}
    await episodes.response(rails=rails, recovery={"hold": "0s"})
    settings = {"FIREWATCH_NAMESPACE_ACTIONS_PER_HOUR": "100"}
    episodes.settings |= {**settings, "FIREWATCH_CLUSTER_ACTIONS_PER_HOUR": "100"}
    for _ in range(14):
        episodes.alert(firing=True)
        await episodes.step()
        assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
        await episodes.until_over()
        episodes.now += timedelta(seconds=1)
        episodes.restart()
    episodes.alert(firing=True)
    await episodes.step()
    status = await episodes.status()
    assert (status["state"], len(status["acted"])) == ("Limited", 14)
    assert sum(each["event"] == "ScaledUp" for each in status["history"]) < 14


async def test_so_many_targets_at_the_same_time_however_many_alerts_fire(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = Episodes(cluster, namespace)
    await episodes.stack()
    names = [f"t{number}" for number in range(8)]
    for name in names:
        await episodes.workload(DEPLOYMENT, name)
        await episodes.response(name, target=name)
    episodes.alert(firing=True)
    for _ in range(3):
        await episodes.step()
        episodes.restart()
    states = sorted([(await episodes.status(name))["state"] for name in names])
    assert states == ["Active"] * 5 + ["Limited"] * 3
    replicas = sorted([(await episodes.spec(DEPLOYMENT, name))["replicas"] for name in names])
    assert replicas == [2] * 3 + [4] * 5
    await episodes.until_over()
    assert {(await episodes.spec(DEPLOYMENT, name))["replicas"] for name in names} == {2}


async def test_a_namespace_in_which_too_much_ends_badly_waits_for_a_human(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = Episodes(cluster, namespace, settings={"FIREWATCH_MAX_FAILURES": "2"})
    await episodes.stack()
    for name in ("a", "b"):
        await episodes.workload(DEPLOYMENT, name)
        await episodes.response(name, target=name, rails={"cooldown": "0s"})
    for _ in range(2):
        episodes.alert(firing=True)
        await episodes.step()
        await episodes.patch(DEPLOYMENT, {"spec": {"replicas": 3}}, "a")
        await episodes.step()
        await episodes.until_over()
        await episodes.patch(DEPLOYMENT, {"spec": {"replicas": 2}}, "a")
        episodes.now += timedelta(minutes=1)
    episodes.now += timedelta(days=1)
    for _ in range(2):
        episodes.alert(firing=True)
        await episodes.step()
        episodes.restart()
    for name in ("a", "b"):
        status = await episodes.status(name)
        assert (status["state"], status["conditions"][0]["reason"]) == ("Tripped", "Tripped")
        assert (await episodes.events(name)).count("Tripped") == 1
        assert (await episodes.spec(DEPLOYMENT, name))["replicas"] == 2
    assert await reset(cluster, namespace) == 2
    episodes.alert(firing=True)
    await episodes.step()
    for name in ("a", "b"):
        assert "tripped" not in await episodes.status(name)
        assert (await episodes.spec(DEPLOYMENT, name))["replicas"] == 4
    with pytest.raises(ActionError):
        await reset(cluster, namespace)

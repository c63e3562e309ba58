"""More of what others have suffered, and what happens here: named after the project and its issue.

What comes by a webhook is in test_alertmanager_pains.py, what autoscalers do by themselves in e2e.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, ROLLOUT, Kind
from firewatch.respond.registry import source_key
from firewatch.respond.signals import SourceState
from tests.apiserver.conftest import Kubectl
from tests.apiserver.episodes import Episodes, autoscaler
from tests.apiserver.killing import Mortal
from tests.apiserver.modules import ROLLOUTS, install_crd

pytestmark = pytest.mark.usefixtures("crds")


@pytest.fixture
def writes(cluster: KubernetesCluster) -> Mortal:
    return Mortal(cluster)


@pytest_asyncio.fixture
async def episodes(cluster: KubernetesCluster, writes: Mortal, namespace: str) -> Episodes:
    calm = Episodes(cluster, namespace)
    await calm.stack()
    return replace(calm, cluster=writes)


async def raised(episodes: Episodes, **spec: Any) -> None:
    """Have a target of 2 raised to 4."""
    await episodes.workload(DEPLOYMENT)
    await episodes.response(**spec)
    episodes.alert(firing=True)
    await episodes.step()
    assert await replicas(episodes) == 4


async def replicas(episodes: Episodes) -> int:
    return int((await episodes.spec(DEPLOYMENT))["replicas"])


def scalings(writes: Mortal, kind: Kind = DEPLOYMENT) -> int:
    """Return how often the replicas of targets were written."""
    return writes.seen(kind).count(f"jsonPatch {kind.kind} scale")


async def reason(episodes: Episodes) -> str:
    """Return what the status says of the source of alerts."""
    conditions = (await episodes.status())["conditions"]
    return str(next(c["reason"] for c in conditions if c["type"] == "AlertSourceHealthy"))


def miss_data(episodes: Episodes) -> None:
    """Have the source say that the alert does not fire, and that its metrics have no series."""
    episodes.alert(firing=False)
    key = source_key(episodes.namespace, "main")
    state = episodes.sources.get(key).state
    assert state
    rules = tuple(replace(rule, has_data=False) for rule in state.rules)
    episodes.sources.polled(key, replace(state, rules=rules))


def go_away(episodes: Episodes) -> None:
    """Have the source not answer."""
    away = SourceState(episodes.now, error="connection refused")
    episodes.sources.polled(source_key(episodes.namespace, "main"), away)


async def test_keda_3064_no_data_is_neither_zero_nor_the_end(
    episodes: Episodes, writes: Mortal
) -> None:
    await raised(episodes)
    for _ in range(20):
        episodes.now += timedelta(minutes=1)
        miss_data(episodes)
        await episodes.step()
    assert (await replicas(episodes), await reason(episodes)) == (4, "NoData")
    assert "have no data, so it proves nothing" in (await episodes.status())["message"]
    await episodes.until_over()
    assert await replicas(episodes) == 2
    assert scalings(writes) == 2


async def test_keda_4249_a_source_that_comes_and_goes_moves_nothing(
    episodes: Episodes, writes: Mortal
) -> None:
    await raised(episodes)
    for turn in range(30):
        episodes.now += timedelta(seconds=10)
        if turn % 2:
            episodes.alert(firing=True)
        else:
            go_away(episodes)
        await episodes.step()
    assert scalings(writes) == 1
    await episodes.until_over()
    assert scalings(writes) == 2


async def test_keda_6659_an_outage_of_the_source_lowers_no_minimum(
    episodes: Episodes, writes: Mortal
) -> None:
    await episodes.workload(DEPLOYMENT, replicas=3)
    spec = autoscaler(DEPLOYMENT, minReplicas=2)
    await episodes.create(HORIZONTAL_POD_AUTOSCALER, "api", spec=spec)
    before = await episodes.spec(HORIZONTAL_POD_AUTOSCALER)
    await episodes.response()
    episodes.alert(firing=True)
    await episodes.step()
    for _ in range(20):
        episodes.now += timedelta(minutes=3)
        go_away(episodes)
        await episodes.step()
    assert (await episodes.spec(HORIZONTAL_POD_AUTOSCALER))["minReplicas"] == 5
    assert await reason(episodes) == "SourceUnreachable"
    await episodes.until_over()
    assert await episodes.spec(HORIZONTAL_POD_AUTOSCALER) == before
    ours = "jsonPatch HorizontalPodAutoscaler"
    assert writes.seen(HORIZONTAL_POD_AUTOSCALER).count(ours) == 2


async def test_alertmanager_952_gaps_in_an_alert_are_no_end_of_it(
    episodes: Episodes, writes: Mortal
) -> None:
    await raised(episodes, recovery={"hold": "60s"})
    for second in range(0, 1200, 10):
        episodes.now += timedelta(seconds=10)
        episodes.alert(firing=second % 60 < 40)
        await episodes.step()
    assert scalings(writes) == 1
    await episodes.until_over()
    assert scalings(writes) == 2


async def test_st2_3607_a_namespace_has_its_share_of_an_hour_however_many_targets_ask(
    cluster: KubernetesCluster, namespace: str
) -> None:
    settings = {"FIREWATCH_NAMESPACE_ACTIONS_PER_HOUR": "2"}
    episodes = Episodes(cluster, namespace, settings=settings)
    await episodes.stack()
    names = [f"t{number}" for number in range(4)]
    for name in names:
        await episodes.workload(DEPLOYMENT, name)
        await episodes.response(name, target=name)

    async def states() -> list[str]:
        for _ in range(4):
            episodes.alert(firing=True)
            await episodes.step()
            episodes.restart()
        return sorted([(await episodes.status(name))["state"] for name in names])

    assert await states() == ["Active"] * 2 + ["Limited"] * 2
    said = [(await episodes.status(name))["message"] for name in names]
    assert sum("2 are allowed" in each for each in said) == 2
    episodes.now += timedelta(hours=1)
    await states()
    found = [(await episodes.spec(DEPLOYMENT, name))["replicas"] for name in names]
    assert found == [4] * 4
    await episodes.until_over()
    found = [(await episodes.spec(DEPLOYMENT, name))["replicas"] for name in names]
    assert found == [2] * 4


async def test_kubernetes_131892_a_reverter_of_whom_nothing_is_recorded_is_left_alone_too(
    episodes: Episodes, cluster: KubernetesCluster, writes: Mortal, kubectl: Kubectl
) -> None:
    """The API server does not record who writes the scale of a custom resource."""
    install_crd(kubectl, ROLLOUTS)
    await episodes.workload(ROLLOUT)
    await episodes.response(kind=ROLLOUT)
    baseline: Object = {"spec": {"replicas": 2}}
    revert = Write(Verb.MERGE, ROLLOUT, episodes.namespace, "api", baseline, "scale")
    episodes.alert(firing=True)
    for _ in range(24):
        await episodes.step()
        await cluster.write(revert)
        episodes.now += timedelta(seconds=5)
    assert scalings(writes, ROLLOUT) == 2
    assert (await episodes.status())["state"] == "Contested"
    await episodes.until_over()
    assert (await episodes.spec(ROLLOUT))["replicas"] == 2

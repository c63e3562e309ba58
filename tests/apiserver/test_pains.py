"""What others have suffered, and what happens here: named after the project and its issue."""

from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import DEPLOYMENT
from tests.apiserver.episodes import Episodes
from tests.apiserver.killing import Mortal

pytestmark = pytest.mark.usefixtures("crds")


@pytest.fixture
def writes(cluster: KubernetesCluster) -> Mortal:
    return Mortal(cluster)


@pytest_asyncio.fixture
async def episodes(cluster: KubernetesCluster, writes: Mortal, namespace: str) -> Episodes:
    calm = Episodes(cluster, namespace)
    await calm.stack()
    await calm.workload(DEPLOYMENT)
    return replace(calm, cluster=writes)


async def test_prometheus_14085_ten_seconds_on_and_off_for_ten_minutes_are_two_writes(
    episodes: Episodes, writes: Mortal
) -> None:
    await episodes.response(recovery={"hold": "300s"})
    for turn in range(60):
        episodes.alert(firing=turn % 2 == 0)
        await episodes.step()
        episodes.now += timedelta(seconds=10)
    await episodes.until_over()
    assert writes.seen(DEPLOYMENT) == ["jsonPatch Deployment scale"] * 2
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2


async def test_kubernaut_368_an_alert_that_fires_on_after_the_cure_leads_to_nothing_more(
    episodes: Episodes, writes: Mortal
) -> None:
    await episodes.response()
    for minute in range(30):
        episodes.alert(firing=minute < 20)
        await episodes.step()
        episodes.now += timedelta(minutes=1)
    assert writes.seen(DEPLOYMENT) == ["jsonPatch Deployment scale"] * 2


async def test_openfaas_1271_a_repeat_is_no_step_and_the_end_is_what_there_was(
    episodes: Episodes,
) -> None:
    await episodes.response(by="100%", recovery={"hold": "0s"})
    await episodes.patch(DEPLOYMENT, {"spec": {"replicas": 3}})
    for repeat in range(10):
        episodes.alert(firing=True, series=repeat + 1)
        await episodes.step()
        episodes.now += timedelta(seconds=30)
        assert (await episodes.spec(DEPLOYMENT))["replicas"] == 6
    await episodes.until_over()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 3, "and not a minimum"

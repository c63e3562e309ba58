"""Episodes at a real API server: what is written, and in which order."""

from datetime import timedelta

import pytest

from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT
from tests.apiserver.episodes import Episodes
from tests.apiserver.killing import Mortal

pytestmark = pytest.mark.usefixtures("crds")


async def one(episodes: Episodes) -> None:
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    await episodes.response()


async def test_a_response_that_is_applied_while_its_alert_fires_acts_at_once(
    cluster: KubernetesCluster, namespace: str
) -> None:
    writes = Mortal(cluster)
    episodes = Episodes(writes, namespace)
    await one(Episodes(cluster, namespace, responses=episodes.responses, targets=episodes.targets))
    assert await episodes.status() == {}
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    assert (await episodes.status())["state"] == "Active"
    assert writes.seen() == [
        "jsonPatch AutoResponse status",
        "jsonPatch AutoResponse",
        "jsonPatch Deployment scale",
        "jsonPatch AutoResponse status",
        "create Event",
        "create Event",
    ]


async def test_an_alert_that_was_seen_before_a_response_was_applied_proves_nothing(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = Episodes(cluster, namespace)
    episodes.alert(firing=True)
    episodes.now += timedelta(seconds=5)
    await one(episodes)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2
    episodes.alert(firing=False)
    await episodes.step()
    assert (await episodes.status())["state"] == "Idle"
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    target = {"name": "another"}
    await episodes.patch(AUTO_RESPONSE, {"spec": {"target": target}}, "scale")
    episodes.now += timedelta(seconds=1)
    await episodes.workload(DEPLOYMENT, "another")
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT, "another"))["replicas"] == 2
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2, "given back at once"


@pytest.mark.parametrize("name", ["Load<High>", "R&D", "Überlast", "A\u2028B"])
async def test_an_alert_whose_name_the_api_server_writes_otherwise_than_we_do(
    cluster: KubernetesCluster, namespace: str, name: str
) -> None:
    episodes = Episodes(cluster, namespace, alert_name=name)
    await one(episodes)
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    await episodes.until_over()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2
    assert await episodes.events() == ["ScaledUp", "Restored"]

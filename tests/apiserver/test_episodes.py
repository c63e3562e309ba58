"""Episodes at a real API server: what is written, and in which order."""

import pytest

from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import DEPLOYMENT
from tests.apiserver.episodes import Episodes
from tests.apiserver.killing import Writes

pytestmark = pytest.mark.usefixtures("crds")


async def one(episodes: Episodes) -> None:
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    await episodes.response()


async def test_a_response_that_is_applied_while_its_alert_fires_acts_at_once(
    cluster: KubernetesCluster, namespace: str
) -> None:
    writes = Writes(cluster)
    episodes = Episodes(writes, namespace)
    await one(Episodes(cluster, namespace, responses=episodes.responses, targets=episodes.targets))
    assert await episodes.status() == {}
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    assert (await episodes.status())["state"] == "Active"
    assert list(writes.seen) == [
        "jsonPatch AutoResponse",
        "jsonPatch AutoResponse status",
        "jsonPatch Deployment scale",
        "jsonPatch AutoResponse status",
        "create Event",
        "create Event",
    ]

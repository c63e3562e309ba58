"""Pushes that do not come any more: they are told, stop nothing, and are told without end or change."""

from dataclasses import replace
from datetime import timedelta

import pytest

from firewatch.api.resource import Key
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.errors import InvalidError
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT
from firewatch.respond.heartbeats import Pulse
from firewatch.respond.registry import source_key
from tests.apiserver.episodes import START, Episodes
from tests.apiserver.webhooks import SOURCE

pytestmark = pytest.mark.usefixtures("crds")

MINUTE = timedelta(minutes=1)


async def begin(cluster: KubernetesCluster, namespace: str) -> Episodes:
    episodes = Episodes(cluster, namespace)
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    await episodes.response()
    return episodes


def source_of(episodes: Episodes) -> Key:
    return source_key(episodes.namespace, "main")


async def poll(episodes: Episodes, *, firing: bool = False) -> None:
    """Have the source say that the Watchdog fires, and take passes."""
    episodes.alert(firing=firing)
    key = source_of(episodes)
    state = episodes.sources.get(key).state
    assert state
    pulse = Pulse(START - timedelta(hours=1), 3 * MINUTE)
    episodes.sources.polled(key, replace(state, pulse=pulse))
    await episodes.step()


async def said(episodes: Episodes) -> str:
    """Return what the status says of the source."""
    conditions = (await episodes.status())["conditions"]
    return str(next(c["reason"] for c in conditions if c["type"] == "AlertSourceHealthy"))


async def version(episodes: Episodes) -> str:
    """Return the version of the AutoResponse, which every write changes."""
    live = await episodes.cluster.get(AUTO_RESPONSE, episodes.namespace, "scale")
    found: str = live["metadata"]["resourceVersion"]
    return found


async def test_missing_pushes_are_told_once_and_stop_nothing(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = await begin(cluster, namespace)
    await poll(episodes)
    assert await said(episodes) == "Polled"
    episodes.now += 3 * MINUTE
    await poll(episodes)
    assert await said(episodes) == "PushesMissing"
    before = await version(episodes)
    for _ in range(5):
        episodes.now += MINUTE
        await poll(episodes)
    assert await version(episodes) == before
    await poll(episodes, firing=True)
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    assert await said(episodes) == "PushesMissing"
    episodes.sources.hear(source_of(episodes), episodes.now)
    await poll(episodes, firing=True)
    assert await said(episodes) == "Polled"


@pytest.mark.parametrize("missing", [True, False])
async def test_a_take_over_writes_nothing_of_it(
    cluster: KubernetesCluster, namespace: str, missing: bool
) -> None:
    episodes = await begin(cluster, namespace)
    await poll(episodes)
    episodes.now += 3 * MINUTE
    if not missing:
        episodes.sources.hear(source_of(episodes), episodes.now)
    await poll(episodes)
    before = await version(episodes)
    episodes.now += 4 * MINUTE
    episodes.restart()
    episodes.sources.begin_anew()
    await poll(episodes)
    assert await said(episodes) == ("PushesMissing" if missing else "Polled")
    assert await version(episodes) == before


async def test_a_heartbeat_is_one_of_the_webhook(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = Episodes(cluster, namespace)
    bare = {"prometheus": SOURCE["prometheus"], "heartbeat": "5m"}
    with pytest.raises(InvalidError, match="set webhookToken"):
        await episodes.response(source=bare)
    with pytest.raises(InvalidError, match="it must be longer than 0"):
        await episodes.response(source={**SOURCE, "heartbeat": "0s"})
    await episodes.response(source={**SOURCE, "heartbeat": "5m"})

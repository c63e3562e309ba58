"""etcd restored from a copy while the operator lives: it acts on what stands there now.

A restored etcd counts its versions from the copy on, so that everything looks older than what the
operator remembers.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from firewatch.api.resource import Object
from firewatch.cluster.client import connect
from firewatch.cluster.kinds import DEPLOYMENT
from firewatch.metrics import Metrics
from tests.apiserver.episodes import Episodes
from tests.apiserver.restoring import Store


@pytest_asyncio.fixture
async def episodes(store: Store) -> AsyncIterator[Episodes]:
    async with connect(str(store.control_plane.kubeconfig), Metrics()) as cluster:
        found = Episodes(cluster, "default")
        await found.stack()
        await found.workload(DEPLOYMENT)
        await found.response()
        await found.step()
        yield found


async def replicas(episodes: Episodes) -> int:
    count: int = (await episodes.spec(DEPLOYMENT))["replicas"]
    return count


async def ledger(episodes: Episodes) -> Object | None:
    return (await episodes.status()).get("ledger")


@pytest.mark.parametrize("still_firing", [True, False])
async def test_a_copy_from_before_an_episode(
    store: Store, episodes: Episodes, *, still_firing: bool
) -> None:
    store.save()
    episodes.alert(firing=True)
    await episodes.step()
    assert await replicas(episodes) == 4
    store.restore()
    assert (await replicas(episodes), await ledger(episodes)) == (2, None)
    episodes.alert(firing=still_firing)
    await episodes.step()
    assert await replicas(episodes) == (4 if still_firing else 2)
    await episodes.until_over()
    assert (await replicas(episodes), await ledger(episodes)) == (2, None)


async def test_a_copy_from_within_an_episode_that_is_over(store: Store, episodes: Episodes) -> None:
    episodes.alert(firing=True)
    await episodes.step()
    store.save()
    await episodes.until_over()
    assert await replicas(episodes) == 2
    store.restore()
    assert await replicas(episodes) == 4
    await episodes.until_over()
    assert (await replicas(episodes), await ledger(episodes)) == (2, None)


async def test_a_copy_from_within_an_episode_whose_target_somebody_took_over_since(
    store: Store, episodes: Episodes
) -> None:
    episodes.alert(firing=True)
    await episodes.step()
    store.save()
    # The connections from before are dead, and only a read is sent again by itself.
    assert await replicas(episodes) == 4
    await episodes.patch(DEPLOYMENT, {"spec": {"replicas": 7}})
    await episodes.step()
    assert (await episodes.status())["state"] == "Released"
    store.restore()
    await episodes.until_over()
    assert (await replicas(episodes), await ledger(episodes)) == (2, None)

"""Resources that a backup tool has applied anew, without their status: nothing is guessed.

The AutoResponse has the finalizer and no ledger, the target the replicas of an episode.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from firewatch.api.resource import Key
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT, EVENT, MONITORING_STACK, Kind
from firewatch.reconcile.responses import reconcile_response
from firewatch.respond.finalizer import FINALIZER
from tests.apiserver.episodes import Episodes
from tests.apiserver.killing import Death, Mortal

pytestmark = pytest.mark.usefixtures("crds")


async def remove(episodes: Episodes, kind: Kind, name: str) -> None:
    """Delete an object, whatever holds it."""
    free = {"metadata": {"finalizers": None}}
    await episodes.cluster.write(Write(Verb.MERGE, kind, episodes.namespace, name, free))
    await episodes.cluster.write(Write(Verb.DELETE, kind, episodes.namespace, name, None))


async def restore(episodes: Episodes) -> None:
    """Make target and response anew from what they are, as a backup tool does."""
    target = await episodes.cluster.get(DEPLOYMENT, episodes.namespace, "api")
    response = await episodes.cluster.get(AUTO_RESPONSE, episodes.namespace, "scale")
    assert response["metadata"]["finalizers"] == [FINALIZER]
    await remove(episodes, AUTO_RESPONSE, "scale")
    await remove(episodes, DEPLOYMENT, "api")
    labels = target["metadata"]["labels"]
    await episodes.create(DEPLOYMENT, "api", metadata={"labels": labels}, spec=target["spec"])
    held = {"finalizers": [FINALIZER]}
    await episodes.create(AUTO_RESPONSE, "scale", metadata=held, spec=response["spec"])
    episodes.restart()


@pytest.fixture
def writes(cluster: KubernetesCluster) -> Mortal:
    return Mortal(cluster)


@pytest_asyncio.fixture
async def episodes(
    cluster: KubernetesCluster, writes: Mortal, namespace: str
) -> AsyncIterator[Episodes]:
    """Return an episode that was restored in its midst: the target has 4 replicas and had 2."""
    calm = Episodes(cluster, namespace)
    await calm.stack()
    await calm.workload(DEPLOYMENT)
    await calm.response()
    calm.alert(firing=True)
    await calm.step()
    await restore(calm)
    yield replace(calm, cluster=writes)


async def replicas(episodes: Episodes) -> int:
    count: int = (await episodes.spec(DEPLOYMENT))["replicas"]
    return count


async def is_held(episodes: Episodes) -> bool:
    live = await episodes.cluster.get(AUTO_RESPONSE, episodes.namespace, "scale")
    return FINALIZER in live["metadata"].get("finalizers", [])


async def test_it_is_named_and_nothing_is_built_on_the_number_that_is_there(
    episodes: Episodes,
) -> None:
    episodes.alert(firing=True)
    await episodes.step()
    status = await episodes.status()
    assert (status["state"], await replicas(episodes)) == ("Refused", 4)
    (ready,) = (c for c in status["conditions"] if c["type"] == "TargetReady")
    assert (ready["status"], ready["reason"]) == ("False", "LedgerLost")
    assert "set the replicas that it should have" in status["message"]
    assert "LedgerLost" in await episodes.events()
    assert not await is_held(episodes), "nothing hangs"
    events = await episodes.cluster.list(EVENT, episodes.namespace)
    told = {e["involvedObject"]["kind"] for e in events if e["reason"] == "LedgerLost"}
    assert told == {"AutoResponse", "Deployment"}


async def test_it_is_told_once(episodes: Episodes, writes: Mortal) -> None:
    episodes.alert(firing=True)
    await episodes.step()
    writes.writes.clear()
    episodes.restart()
    episodes.alert(firing=True)
    await episodes.step()
    assert writes.seen() == []


async def test_once_the_alert_has_resolved_it_acts_again_from_what_there_is(
    episodes: Episodes,
) -> None:
    episodes.alert(firing=True)
    await episodes.step()
    episodes.alert(firing=False)
    await episodes.step()
    status = await episodes.status()
    assert (status["state"], await replicas(episodes)) == ("Idle", 4)
    assert "the record of what was changed on Deployment api is missing" in status["message"]
    episodes.alert(firing=True)
    await episodes.step()
    assert await replicas(episodes) == 6
    await episodes.until_over()
    assert await replicas(episodes) == 4
    assert "ledgerLost" not in await episodes.status()


async def test_once_somebody_has_set_the_replicas_it_acts_at_once(episodes: Episodes) -> None:
    episodes.alert(firing=True)
    await episodes.step()
    await episodes.patch(DEPLOYMENT, {"spec": {"replicas": 2}})
    await episodes.step()
    assert await replicas(episodes) == 4
    await episodes.until_over()
    assert await replicas(episodes) == 2


async def test_another_response_on_the_target_does_not_build_on_it_either(
    episodes: Episodes,
) -> None:
    await episodes.response("another", by=3)
    episodes.alert(firing=True)
    await episodes.step()
    assert await replicas(episodes) == 4
    assert (await episodes.status("another"))["state"] == "Refused"


async def test_a_stack_that_comes_after_its_responses_makes_no_difference(
    episodes: Episodes,
) -> None:
    await remove(episodes, MONITORING_STACK, "main")
    await episodes.step()
    assert "LedgerLost" in await episodes.events()
    assert not await is_held(episodes)
    await episodes.stack()
    for _ in range(2):
        episodes.now += timedelta(seconds=1)
        await episodes.step()
        episodes.alert(firing=True)
    await episodes.step()
    assert (await replicas(episodes), (await episodes.status())["state"]) == (4, "Refused")


async def test_one_that_is_deleted_does_not_wait(episodes: Episodes) -> None:
    where = (AUTO_RESPONSE, episodes.namespace, "scale")
    await episodes.cluster.write(Write(Verb.DELETE, *where, None))
    await episodes.step()
    with pytest.raises(NotFoundError):
        await episodes.cluster.get(*where)
    await reconcile_response(episodes.context, Key(AUTO_RESPONSE.kind, *where[1:]))
    assert await replicas(episodes) == 4


@pytest.mark.parametrize("write", range(5))
@pytest.mark.parametrize("after", [0, 0.5])
async def test_killed_at_any_write_it_is_named_and_lets_go(
    episodes: Episodes, writes: Mortal, write: int, after: float
) -> None:
    writes.die_at = write + after
    episodes.alert(firing=True)
    try:
        await episodes.step()
    except Death:
        writes.die_at = None
        episodes.restart()
        await episodes.step()
    status = await episodes.status()
    assert (status["state"], await replicas(episodes)) == ("Refused", 4)
    assert (await episodes.events()).count("LedgerLost") == 1
    assert not await is_held(episodes)

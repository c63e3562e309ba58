"""Whoever keeps a target at its replicas is respected, and gets back exactly what was changed.

Named after what others have suffered: research in the issue threads of the projects in the names.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    ROLLOUT,
    SCALED_OBJECT,
    STATEFUL_SET,
    Kind,
)
from tests.apiserver.conftest import Kubectl
from tests.apiserver.episodes import Episodes, autoscaler
from tests.apiserver.killing import Mortal, live
from tests.apiserver.modules import KEDA, ROLLOUTS, install_crd

pytestmark = pytest.mark.usefixtures("crds")


@pytest_asyncio.fixture
async def writes(cluster: KubernetesCluster) -> Mortal:
    return Mortal(cluster)


@pytest_asyncio.fixture
async def episodes(writes: Mortal, cluster: KubernetesCluster, namespace: str) -> Episodes:
    found = Episodes(cluster, namespace)
    await found.stack()
    return replace(found, cluster=writes)


async def scaled(episodes: Episodes, minimum: int | None = 2, *, replicas: int = 3) -> None:
    """Create a Deployment that a HorizontalPodAutoscaler scales, and a response on it."""
    await episodes.workload(DEPLOYMENT, replicas=replicas)
    spec = autoscaler(DEPLOYMENT, **({} if minimum is None else {"minReplicas": minimum}))
    await episodes.create(HORIZONTAL_POD_AUTOSCALER, "api", spec=spec)
    await episodes.response()


async def test_llmkube_485_the_minimum_of_an_autoscaler_is_raised_and_given_back(
    episodes: Episodes, writes: Mortal
) -> None:
    await scaled(episodes)
    before = await episodes.spec(HORIZONTAL_POD_AUTOSCALER)
    writes.writes.clear()
    episodes.alert(firing=True)
    for _ in range(5):
        await episodes.step()
    assert (await episodes.spec(HORIZONTAL_POD_AUTOSCALER))["minReplicas"] == 5
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 5
    assert writes.seen(HORIZONTAL_POD_AUTOSCALER, DEPLOYMENT) == [
        "jsonPatch HorizontalPodAutoscaler",
        "jsonPatch Deployment scale",
    ]
    await episodes.until_over()
    assert await episodes.spec(HORIZONTAL_POD_AUTOSCALER) == before
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 5, "the autoscaler goes down itself"
    assert await episodes.events() == ["ScaledUp", "Restored"]


async def test_an_autoscaler_made_in_an_episode_takes_over(episodes: Episodes) -> None:
    await episodes.workload(DEPLOYMENT)
    await episodes.response()
    episodes.alert(firing=True)
    await episodes.step()
    spec = autoscaler(DEPLOYMENT, minReplicas=3)
    await episodes.create(HORIZONTAL_POD_AUTOSCALER, "api", spec=spec)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    assert await episodes.events() == ["ScaledUp", "AutoscalerChanged"]
    assert "ledger" not in await episodes.status()


async def test_a_minimum_that_somebody_else_changes_is_left_alone(episodes: Episodes) -> None:
    await scaled(episodes)
    episodes.alert(firing=True)
    await episodes.step()
    await episodes.patch(HORIZONTAL_POD_AUTOSCALER, {"spec": {"minReplicas": 4}})
    await episodes.step()
    assert (await episodes.status())["state"] == "Released"
    await episodes.until_over()
    assert (await episodes.spec(HORIZONTAL_POD_AUTOSCALER))["minReplicas"] == 4
    assert await episodes.events() == ["ScaledUp", "Released", "RestoreSkipped"]


async def test_no_more_than_the_maximum_of_the_autoscaler(episodes: Episodes) -> None:
    await episodes.workload(DEPLOYMENT, replicas=3)
    spec = autoscaler(DEPLOYMENT, minReplicas=1, maxReplicas=3)
    await episodes.create(HORIZONTAL_POD_AUTOSCALER, "api", spec=spec)
    await episodes.response()
    episodes.alert(firing=True)
    await episodes.step()
    status = await episodes.status()
    assert status["state"] == "Refused"
    assert "HorizontalPodAutoscaler api allows 3" in status["message"]


async def test_a_stateful_set_goes_up_and_back(episodes: Episodes) -> None:
    spec = {"serviceName": "api"}
    await episodes.workload(STATEFUL_SET)
    await episodes.patch(STATEFUL_SET, {"metadata": {"annotations": spec}})
    await episodes.response(kind=STATEFUL_SET)
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(STATEFUL_SET))["replicas"] == 4
    await episodes.until_over()
    assert (await episodes.spec(STATEFUL_SET))["replicas"] == 2


async def test_robusta_736_a_reverter_is_answered_once_and_then_named(
    episodes: Episodes, writes: Mortal
) -> None:
    await episodes.workload(DEPLOYMENT)
    await episodes.response()
    episodes.alert(firing=True)
    for _ in range(60):
        await episodes.step()
        await episodes.patch(DEPLOYMENT, {"spec": {"replicas": 2}})
        episodes.now += timedelta(seconds=5)
    reverts = 60
    ours = [each for each in writes.seen(DEPLOYMENT) if each.endswith("scale")]
    assert len(ours) == 2, f"{reverts} reverts"
    status = await episodes.status()
    assert status["state"] == "Contested"
    assert "has put api back 2 times" in status["message"]
    assert await episodes.events() == ["ScaledUp", "Rewritten", "Contested"]
    await episodes.until_over()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2


async def plain(episodes: Episodes) -> None:
    await episodes.workload(DEPLOYMENT)
    await episodes.response()


async def stateful(episodes: Episodes) -> None:
    await episodes.workload(STATEFUL_SET)
    await episodes.response(kind=STATEFUL_SET)


async def two_claims(episodes: Episodes) -> None:
    await plain(episodes)
    await episodes.response("more", by=4)


@pytest.mark.parametrize("begin", [plain, stateful, scaled, two_claims])
async def test_killed_before_and_after_every_write_the_end_is_the_same(
    cluster: KubernetesCluster,
    namespaces: Callable[[], str],
    begin: Callable[[Episodes], object],
) -> None:
    """Kill at every write of an episode in turn, and begin again with what stands in the cluster."""

    async def end(die_at: float | None) -> tuple[object, int]:
        namespace = namespaces()
        calm = Episodes(cluster, namespace)
        await calm.stack()
        await begin(calm)  # type: ignore[misc]
        before = [await calm.spec(kind) for kind in _kinds(begin)]
        writes = Mortal(cluster, die_at=die_at)
        episodes = replace(calm, cluster=writes)
        await live(episodes, writes)
        after = [await calm.spec(kind) for kind in _kinds(begin)]
        owed = [(await calm.status(name)).get("ledger") for name in calm.responses]
        events = [await calm.events(name) for name in calm.responses]
        assert not any(owed)
        targets = writes.seen(DEPLOYMENT, STATEFUL_SET, HORIZONTAL_POD_AUTOSCALER)
        return (before == after, events, len(targets)), len(writes.writes)

    calm, count = await end(None)
    points = [number + part for number in range(count) for part in (0, 0.5)]
    for point in points:
        found, _ = await end(point)
        assert found == calm, f"killed at {point} of {count}"
    print(f"{len(points)} kill points")


def _kinds(begin: object) -> tuple[Kind, ...]:
    if begin is scaled:
        return (HORIZONTAL_POD_AUTOSCALER,)
    return (STATEFUL_SET,) if begin is stateful else (DEPLOYMENT,)


@pytest.fixture
def keda(kubectl: Kubectl) -> None:
    install_crd(kubectl, KEDA)


@pytest.mark.usefixtures("keda")
@pytest.mark.parametrize("minimum", [{}, {"minReplicaCount": 2}])
async def test_the_minimum_of_a_scaled_object_goes_back_to_what_stood_there(
    episodes: Episodes, minimum: Object
) -> None:
    await episodes.workload(DEPLOYMENT, replicas=3)
    trigger = {"type": "cpu", "metadata": {"value": "80"}}
    spec = {"scaleTargetRef": {"name": "api"}, "triggers": [trigger], **minimum}
    await episodes.create(SCALED_OBJECT, "api", spec=spec)
    await episodes.response()
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(SCALED_OBJECT))["minReplicaCount"] == 5
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 5
    await episodes.until_over()
    assert await episodes.spec(SCALED_OBJECT) == spec


@pytest.mark.usefixtures("keda")
@pytest.mark.parametrize("annotation", ["paused", "paused-replicas"])
async def test_keda_5526_a_paused_scaled_object_is_left_alone_and_named(
    episodes: Episodes, annotation: str
) -> None:
    await episodes.workload(DEPLOYMENT, replicas=3)
    trigger = {"type": "cpu", "metadata": {"value": "80"}}
    spec = {"scaleTargetRef": {"name": "api"}, "triggers": [trigger]}
    metadata = {"annotations": {f"autoscaling.keda.sh/{annotation}": "3"}}
    await episodes.create(SCALED_OBJECT, "api", metadata=metadata, spec=spec)
    await episodes.response()
    episodes.alert(firing=True)
    await episodes.step()
    status = await episodes.status()
    assert (status["state"], "is paused; resume it" in status["message"]) == ("Refused", True)
    assert await episodes.spec(SCALED_OBJECT) == spec


async def test_a_rollout_goes_up_and_back(episodes: Episodes, kubectl: Kubectl) -> None:
    install_crd(kubectl, ROLLOUTS)
    await episodes.workload(ROLLOUT)
    before = await episodes.spec(ROLLOUT)
    await episodes.response(kind=ROLLOUT)
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(ROLLOUT))["replicas"] == 4
    await episodes.until_over()
    assert await episodes.spec(ROLLOUT) == before

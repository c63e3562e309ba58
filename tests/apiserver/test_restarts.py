"""Restarts at a real API server: one for an alert, over kills at every write."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from firewatch.api.resource import Object
from firewatch.api.restart import RESTARTED_AT
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.kinds import (
    AUTO_RESPONSE,
    DEPLOYMENT,
    POD_DISRUPTION_BUDGET,
    STATEFUL_SET,
    Kind,
)
from tests.apiserver.conftest import Kubectl, KubectlError
from tests.apiserver.episodes import Episodes
from tests.apiserver.killing import Mortal, live

pytestmark = pytest.mark.usefixtures("crds")

RESTART: list[Object] = [{"restart": {}}]
GRANTED = {"FIREWATCH_TARGET_RESTARTS": "true"}


async def begin(episodes: Episodes, kind: Kind = DEPLOYMENT, **spec: Any) -> None:
    """Make a target that is rolled out, and a response that restarts it."""
    await episodes.stack()
    await episodes.workload(kind)
    await roll_out(episodes, kind)
    await episodes.response(kind=kind, actions=RESTART, **spec)


async def roll_out(episodes: Episodes, kind: Kind = DEPLOYMENT) -> None:
    """Say what its controller says once all pods are of the present template."""
    found = await episodes.cluster.get(kind, episodes.namespace, "api")
    count = found["spec"]["replicas"]
    status: Object = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), count)
    status["observedGeneration"] = found["metadata"]["generation"]
    write = Write(Verb.MERGE, kind, episodes.namespace, "api", {"status": status}, "status")
    await episodes.cluster.write(write)


async def annotations(episodes: Episodes, kind: Kind = DEPLOYMENT) -> dict[str, str]:
    template = (await episodes.spec(kind))["template"]
    found: dict[str, str] = template["metadata"].get("annotations") or {}
    return found


@pytest.mark.parametrize("kind", [DEPLOYMENT, STATEFUL_SET], ids=lambda kind: kind.kind)
async def test_a_target_is_restarted_once_and_nothing_is_owed(
    cluster: KubernetesCluster, namespace: str, kind: Kind
) -> None:
    episodes = Episodes(cluster, namespace, settings=GRANTED)
    await begin(episodes, kind)
    writes = Mortal(cluster)
    episodes = replace(episodes, cluster=writes)
    episodes.alert(firing=True)
    await episodes.step()
    status = await episodes.status()
    assert await annotations(episodes, kind) == {RESTARTED_AT: status["restart"]["at"]}
    assert (status["state"], status["restart"]["state"]) == ("Active", "Done")
    assert "ledger" not in status
    found = await cluster.get(AUTO_RESPONSE, namespace, "scale")
    assert "finalizers" not in found["metadata"]
    assert writes.seen() == [
        "jsonPatch AutoResponse status",
        f"jsonPatch {kind.kind}",
        "jsonPatch AutoResponse status",
        "create Event",
        "create Event",
    ]
    for _ in range(10):
        episodes.now += timedelta(minutes=1)
        episodes.alert(firing=True, series=3)
        await episodes.step()
        episodes.restart()
    assert writes.seen(kind) == [f"jsonPatch {kind.kind}"]
    for _ in range(4):
        episodes.alert(firing=False)
        await episodes.step()
        episodes.now += timedelta(seconds=6)
    status = await episodes.status()
    assert (status["state"], "restart" in status) == ("Idle", False)
    assert status["cooldownUntil"]


async def test_killed_before_and_after_every_write_it_is_restarted_once(
    cluster: KubernetesCluster, namespaces: Callable[[], str]
) -> None:
    async def end(die_at: float | None) -> tuple[object, int]:
        calm = Episodes(cluster, namespaces(), settings=GRANTED)
        await begin(calm)
        before = await calm.spec(DEPLOYMENT)
        writes = Mortal(cluster, die_at=die_at)
        episodes = replace(calm, cluster=writes)

        async def later() -> None:
            for _ in range(4):
                episodes.alert(firing=False)
                await episodes.step()
                episodes.now += timedelta(seconds=6)

        await live(episodes, writes, later)
        after = await calm.spec(DEPLOYMENT)
        found = after["template"]["metadata"].pop("annotations")
        status = await calm.status()
        live_now = await cluster.get(DEPLOYMENT, calm.namespace, "api")
        assert (before == after, "restart" in status) == (True, False)
        told = (await calm.events(), [*found], live_now["metadata"]["generation"])
        return (told, writes.seen(DEPLOYMENT)), len(writes.writes)

    calm, count = await end(None)
    points = [number + part for number in range(count) for part in (0, 0.5)]
    for point in points:
        found, _ = await end(point)
        assert found == calm, f"killed at {point} of {count}"
    print(f"{len(points)} kill points")


async def test_what_somebody_writes_in_between_is_seen_and_it_is_decided_again(
    cluster: KubernetesCluster, namespace: str
) -> None:
    class Rival(Mortal):
        """Somebody scales the target right before it is restarted, once."""

        async def write(self, write: Write) -> Object:
            if write.kind is DEPLOYMENT and not write.subresource and not self.writes_seen:
                self.writes_seen = True
                change = {"spec": {"replicas": 3}}
                await cluster.write(Write(Verb.MERGE, DEPLOYMENT, namespace, "api", change))
                await roll_out(episodes_of_others)
            return await super().write(write)

        writes_seen = False

    episodes_of_others = Episodes(cluster, namespace, settings=GRANTED)
    await begin(episodes_of_others)
    episodes = replace(episodes_of_others, cluster=Rival(cluster))
    episodes.alert(firing=True)
    await episodes.step()
    await episodes.step()
    assert await episodes.events() == ["Restarted"]
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 3
    assert [*await annotations(episodes)] == [RESTARTED_AT]


async def test_neither_during_a_rollout_nor_against_a_budget(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = Episodes(cluster, namespace, settings=GRANTED)
    await begin(episodes, STATEFUL_SET)
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "api"}}}
    await episodes.create(POD_DISRUPTION_BUDGET, "api", spec=budget)
    episodes.alert(firing=True)
    await episodes.step()
    status = await episodes.status()
    assert (status["state"], "PodDisruptionBudget api" in status["message"]) == ("Refused", True)
    change = {"status": {"disruptionsAllowed": 1}}
    kind = POD_DISRUPTION_BUDGET
    await cluster.write(Write(Verb.MERGE, kind, namespace, "api", change, "status"))
    await episodes.patch(STATEFUL_SET, {"spec": {"template": {"spec": {"hostname": "x"}}}})
    await episodes.step()
    assert "are being renewed already" in (await episodes.status())["message"]
    assert await annotations(episodes, STATEFUL_SET) == {}
    await roll_out(episodes, STATEFUL_SET)
    await episodes.step()
    assert [*await annotations(episodes, STATEFUL_SET)] == [RESTARTED_AT]


async def test_it_takes_a_grant_of_its_own(cluster: KubernetesCluster, namespace: str) -> None:
    episodes = Episodes(cluster, namespace)
    await begin(episodes)
    episodes.alert(firing=True)
    await episodes.step()
    conditions = {each["type"]: each for each in (await episodes.status())["conditions"]}
    assert conditions["Accepted"]["reason"] == "KindNotGranted"
    assert "targets.restart" in conditions["Accepted"]["message"]
    assert await annotations(episodes) == {}


async def test_a_dry_run_is_sent_and_changes_nothing(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = Episodes(cluster, namespace, settings=GRANTED)
    await begin(episodes, mode="dryRun")
    episodes.alert(firing=True)
    await episodes.step()
    assert await episodes.events() == ["DryRun"]
    assert await annotations(episodes) == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('{"kind": "Rollout", "name": "api"}', "restart is for Deployments and StatefulSets"),
        (None, "set it with them"),
    ],
)
def test_what_cannot_be_restarted_is_refused_at_once(
    kubectl: Kubectl, namespace: str, change: str | None, words: str
) -> None:
    target = f'"target": {change},' if change else ""
    text = (
        '{"apiVersion": "monitoring.freeagentics.io/v1alpha1", "kind": "AutoResponse",'
        f' "metadata": {{"name": "x", "namespace": "{namespace}"}}, "spec": {{{target}'
        ' "trigger": {"alert": "A"}, "actions": [{"restart": {}}]}}'
    )
    with pytest.raises(KubectlError, match=words):
        kubectl("create", "-f", "-", text=text)

"""Passes over retention policies, with a real API server and a real Prometheus."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from firewatch.api.resource import Key, Object
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import CONFIG_MAP, MONITORING_STACK, RETENTION_POLICY
from firewatch.cluster.prometheus import Prometheus
from firewatch.reconcile.retention import reconcile_retention
from tests.apiserver.conftest import Kubectl
from tests.apiserver.node import Node, loopback, running_node
from tests.apiserver.volumes import make_claim
from tests.apiserver.world import Recorder, World, make_world

pytestmark = pytest.mark.usefixtures("crds", "role")


@dataclass
class Scene:
    world: World

    def policy(self, name: str = "keep", stack: str | None = None, **metrics: Any) -> None:
        spec: Object = {"metrics": metrics}
        if stack:
            spec["stackRef"] = {"name": stack}
        body = {
            "apiVersion": "monitoring.freeagentics.io/v1alpha1",
            "kind": "RetentionPolicy",
            "metadata": {"name": name, "namespace": self.world.namespace},
            "spec": spec,
        }
        self.world.kubectl("apply", "-f", "-", text=json.dumps(body))

    async def go(self, name: str = "keep") -> float | None:
        key = Key("RetentionPolicy", self.world.namespace, name)
        return await reconcile_retention(self.world.context, key)

    async def conditions(self, name: str = "keep") -> dict[str, tuple[str, str]]:
        live = await self.world.get(RETENTION_POLICY, name)
        return {c["type"]: (c["status"], c["reason"]) for c in live["status"]["conditions"]}

    async def message(self, name: str = "keep") -> str:
        live = await self.world.get(RETENTION_POLICY, name)
        return str(live["status"]["conditions"][0]["message"])

    async def in_force(self) -> Object:
        live = await self.world.get(MONITORING_STACK, "main")
        return dict(live["status"]["retention"])

    async def configuration(self) -> str:
        config = await self.world.get(CONFIG_MAP, "main-prometheus-config")
        return str(config["data"]["prometheus.yml"])


@pytest_asyncio.fixture
async def scene(
    cluster: KubernetesCluster, namespace: str, kubectl: Kubectl
) -> AsyncIterator[Scene]:
    async with aiohttp.ClientSession() as session:
        yield Scene(make_world(Recorder(cluster), session, namespace=namespace, kubectl=kubectl))


async def test_a_policy_wins_over_the_stack_and_prometheus_confirms_it(
    scene: Scene, tmp_path: Path, numbers: Iterator[int]
) -> None:
    address = loopback(14, next(numbers))
    async with running_node(scene.world, tmp_path, address) as node:
        scene.world.apply({"metrics": {"storage": {"size": "10Gi"}, "retention": {"size": "1GB"}}})
        make_claim(scene.world, "20Gi")
        await scene.world.go()
        await node.create_pod()
        assert await scene.in_force() == {"time": "15d", "size": "1GB", "policy": ""}
        scene.policy(time="30d")
        assert await scene.go() is not None
        assert (await scene.conditions())["Loaded"] == ("Unknown", "Reloading")
        await until_loaded(scene, node)
        wanted = {"time": "30d", "size": "16384MB", "policy": "keep"}
        assert await scene.in_force() == wanted, "80 % of the size that the volume really has"
        live = await scene.world.get(RETENTION_POLICY, "keep")
        assert live["status"]["stack"] == "main"
        assert (live["status"]["metrics"]["time"], live["status"]["metrics"]["size"]) == (
            "30d",
            "16384MB",
        )
        api = Prometheus(scene.world.context.session, f"http://{address}:9090")
        assert "size: 16GiB" in await api.configuration()
        await scene.world.go()  # the stack may have looked before Prometheus had loaded it
        scene.world.recorder.written()
        await scene.world.go()
        await scene.go()
        assert scene.world.recorder.written() == []
        scene.world.kubectl("-n", scene.world.namespace, "delete", "rpol/keep")
        assert await scene.go() == float("inf")
        await scene.world.go()
        assert await scene.in_force() == {"time": "15d", "size": "1GB", "policy": ""}


async def until_loaded(scene: Scene, node: Node) -> None:
    async with asyncio.timeout(30):
        while (await scene.conditions())["Ready"] != ("True", "Ready"):
            await scene.world.go()
            await node.sync()
            await scene.go()
            await asyncio.sleep(0.2)


async def test_of_two_policies_neither_is_followed_and_what_was_in_force_stays(
    scene: Scene,
) -> None:
    scene.world.apply({"metrics": {}})
    scene.policy("a", time="90d")
    await scene.world.go()
    scene.policy("b", time="1h")
    await scene.world.go()
    for name, other in (("a", "b"), ("b", "a")):
        await scene.go(name)
        assert (await scene.conditions(name))["Ready"] == ("False", "Conflict")
        assert f"another RetentionPolicy ({other})" in await scene.message(name)
    assert await scene.in_force() == {"time": "90d", "size": "", "policy": "a"}
    assert "time: 90d" in await scene.configuration()
    scene.world.kubectl("-n", scene.world.namespace, "delete", "rpol/a")
    await scene.world.go()
    assert await scene.in_force() == {"time": "1h", "size": "", "policy": "b"}


async def test_what_cannot_be_followed_is_said_with_the_remedy(scene: Scene) -> None:
    scene.policy(time="1d")
    await scene.go()
    assert (await scene.conditions())["Accepted"] == ("False", "NoStack")
    scene.policy(stack="other", time="1d")
    await scene.go()
    assert (await scene.conditions())["Accepted"] == ("False", "StackNotFound")
    scene.world.apply({"exporters": {}})
    scene.policy(stack="main", percentage=70)
    await scene.go()
    assert (await scene.conditions())["Accepted"] == ("False", "NoMetrics")
    scene.world.apply({"metrics": {}})
    await scene.go()
    assert (await scene.conditions())["Accepted"] == ("False", "NoVolume")
    assert "spec.metrics.storage" in await scene.message()
    scene.world.apply({"metrics": {}}, "second")
    scene.policy("free", time="1d")
    await scene.go("free")
    assert (await scene.conditions("free"))["Accepted"] == ("False", "AmbiguousStack")


async def test_a_namespace_that_is_not_granted_is_left_alone(scene: Scene) -> None:
    scene.policy(time="1d")
    other = make_world(
        scene.world.recorder,
        scene.world.context.session,
        namespace=scene.world.namespace,
        kubectl=scene.world.kubectl,
        granted="elsewhere",
    )
    await Scene(other).go()
    assert (await scene.conditions())["Accepted"] == ("False", "NamespaceNotGranted")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "set metrics: an empty policy keeps nothing"),
        ({"metrics": {"size": "1GB", "percentage": 5}}, "set size or percentage, not both"),
        ({"metrics": {"size": "1Gi"}}, "spec.metrics.size"),
        ({"metrics": {"percentage": 96}}, "less than or equal to 95"),
        ({"metrics": {"time": "0d"}}, "it must be longer than 0"),
    ],
)
async def test_bad_policies_are_refused_at_the_door(scene: Scene, spec: Object, said: str) -> None:
    body = {
        "apiVersion": "monitoring.freeagentics.io/v1alpha1",
        "kind": "RetentionPolicy",
        "metadata": {"name": "bad", "namespace": scene.world.namespace},
        "spec": spec,
    }
    with pytest.raises(AssertionError, match=said):
        scene.world.kubectl("create", "-f", "-", text=json.dumps(body))

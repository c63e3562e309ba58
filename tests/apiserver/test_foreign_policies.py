"""Policies of other namespaces: who takes them, what becomes of their rules, and moves."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firewatch.api.resource import Key, Object
from firewatch.cluster.kinds import ALERT_POLICY
from tests.apiserver.kubectl import Kubectl
from tests.apiserver.node import running_node
from tests.apiserver.scene import Scene, alert, eventually

pytestmark = pytest.mark.usefixtures("crds", "role")


class Tenant:
    """A namespace without a stack of its own."""

    def __init__(self, scene: Scene, kubectl: Kubectl) -> None:
        self.scene = scene
        self.kubectl = kubectl
        self.namespace = f"{scene.world.namespace}-tenant"
        self.reference = {"name": "main", "namespace": scene.world.namespace}
        kubectl("create", "namespace", self.namespace)

    def apply(self, name: str, *rules: Object, **fields: Any) -> None:
        policy = self.scene.policy(name, *rules, **fields)
        policy["metadata"]["namespace"] = self.namespace
        self.kubectl("apply", "-f", "-", text=json.dumps(policy))
        self.scene.loop.wake(Key("AlertPolicy", self.namespace, name))

    def stack(self, **spec: Any) -> None:
        body = {
            "apiVersion": "monitoring.freeagentics.io/v1alpha1",
            "kind": "MonitoringStack",
            "metadata": {"name": "main", "namespace": self.namespace},
            "spec": spec,
        }
        self.kubectl("apply", "-f", "-", text=json.dumps(body))
        self.scene.loop.wake(Key("MonitoringStack", self.namespace, "main"))

    async def status(self, name: str) -> Object:
        live = await self.scene.world.recorder.get(ALERT_POLICY, self.namespace, name)
        status: Object = live.get("status", {})
        return status

    async def until(self, name: str, type_: str, reason: str) -> Object:
        def good(status: Object) -> bool:
            found = {c["type"]: c["reason"] for c in status.get("conditions", ())}
            return found.get(type_) == reason

        status: Object = await eventually(good, lambda: self.status(name), seconds=20)
        return status


@pytest.fixture
def tenant(ready: Scene, kubectl: Kubectl) -> Tenant:
    return Tenant(ready, kubectl)


def central(tenant: Tenant, *namespaces: str) -> None:
    """Have the scene's stack take the policies of some namespaces."""
    tenant.scene.stack(metrics={}, policies={"namespaces": [*namespaces]})


async def test_policies_of_a_selected_namespace_are_confined_to_it(tenant: Tenant) -> None:
    central(tenant, tenant.namespace)
    tenant.scene.apply(tenant.scene.policy("own", alert("Own", 'up{x="y"} == 0')))
    tenant.apply(
        "theirs",
        alert("Theirs", "up == 0", labels={"namespace": "kube-system"}),
        alert("Bad", "up =="),
        alert("Leak", annotations={"x": '{{ query "up" }}'}),
        {"record": "a:b", "expr": "sum(up)"},
        stackRef=tenant.reference,
    )
    status = await tenant.until("theirs", "Loaded", "Loaded")
    assert status["stack"] == f"{tenant.scene.world.namespace}/main"
    assert status["rules"] == {"total": 4, "loaded": 2}
    rejected = [(r["rule"], r["reason"]) for r in status["rejected"]]
    assert rejected == [("Bad", "BadExpression"), ("Leak", "NotConfined")]
    await tenant.scene.until("own", "Ready", "Ready")
    text = "".join((await tenant.scene.slots()).values())
    assert f'up{{namespace="{tenant.namespace}"}} == 0' in text
    assert f"namespace: {tenant.namespace}" in text
    assert 'up{x="y"} == 0' in text


async def test_nobody_is_given_a_policy_that_does_not_name_them(tenant: Tenant) -> None:
    central(tenant, "*")
    tenant.apply("theirs", alert("Theirs"))
    status = await tenant.until("theirs", "Accepted", "NoStack")
    assert "stack" not in status
    assert await tenant.scene.alerts() == set()


async def test_a_namespace_is_told_when_it_is_selected_and_when_no_more(tenant: Tenant) -> None:
    tenant.scene.stack()
    tenant.apply("theirs", alert("Theirs"), stackRef=tenant.reference)
    await tenant.until("theirs", "Accepted", "StackNotFound")
    central(tenant, "*")
    await tenant.until("theirs", "Ready", "Ready")
    central(tenant, "elsewhere")
    status = await tenant.until("theirs", "Accepted", "StackNotFound")
    assert "stack" not in status
    await eventually(lambda found: found == set(), tenant.scene.alerts, seconds=10)


async def test_a_policy_that_moves_runs_in_the_new_stack_before_it_leaves_the_old(
    tenant: Tenant, tmp_path: Path
) -> None:
    scene, old = tenant.scene, f"{tenant.scene.world.namespace}/main"
    central(tenant, tenant.namespace)
    tenant.apply("moving", alert("Moving"), stackRef=tenant.reference)
    assert (await tenant.until("moving", "Ready", "Ready"))["stack"] == old
    tenant.stack(metrics={})
    for name, reason in (("main", "NoServer"), ("nosuch", "StackNotFound")):
        tenant.apply("moving", alert("Moving"), stackRef={"name": name})
        assert (await tenant.until("moving", "Accepted", reason))["stack"] == old
        assert await scene.alerts() == {"Moving"}
    world = replace(scene.world, namespace=tenant.namespace)
    folder = tmp_path / "second"
    folder.mkdir()
    async with running_node(world, folder, "127.13.1.1") as node:
        await node.create_pod()
        tenant.apply("moving", alert("Moving"), stackRef={"name": "main"})
        scene.loop.wake(Key("MonitoringStack", tenant.namespace, "main"))
        assert (await tenant.until("moving", "Loaded", "Loaded"))["stack"] == "main"
        second = replace(scene, world=world, node=node)
        assert await second.alerts() == {"Moving"}
        await eventually(lambda found: found == set(), scene.alerts, seconds=10)

"""A namespace with a running operator, as far as rules go, and a real Prometheus."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from firewatch.api.resource import Key, Object
from firewatch.build import names
from firewatch.cluster.kinds import ALERT_POLICY, CONFIG_MAP
from firewatch.cluster.prometheus import Prometheus
from firewatch.reconcile import refusals
from firewatch.reconcile.alerts import reconcile_alerts
from firewatch.reconcile.context import NOTIFICATIONS
from firewatch.reconcile.loop import Loop, Pass
from firewatch.reconcile.notifications import NotificationsReconciler
from firewatch.reconcile.rules import RulesReconciler
from firewatch.reconcile.stack import reconcile_stack
from tests.apiserver.node import Node, loopback, running_node
from tests.apiserver.world import World


@dataclass
class Scene:
    """A namespace with a running operator, as far as rules go."""

    world: World
    node: Node
    loop: Loop
    task: asyncio.Task[None]
    """The operator at work."""

    def apply(self, *policies: Object) -> None:
        self.world.kubectl(
            "apply",
            "-f",
            "-",
            text=json.dumps({"apiVersion": "v1", "kind": "List", "items": policies}),
        )
        for item in policies:
            self.loop.wake(Key("AlertPolicy", self.world.namespace, item["metadata"]["name"]))

    def delete(self, name: str) -> None:
        self.world.kubectl("-n", self.world.namespace, "delete", f"apol/{name}")
        self.loop.wake(Key("AlertPolicy", self.world.namespace, name))

    def stack(self, name: str = "main", **spec: Any) -> None:
        self.world.apply(spec or {"metrics": {}}, name)
        self.loop.wake(Key("MonitoringStack", self.world.namespace, name))

    def policy(self, name: str, *rules: Object, **spec: Any) -> Object:
        return {
            "apiVersion": "monitoring.freeagentics.io/v1alpha1",
            "kind": "AlertPolicy",
            "metadata": {"name": name, "namespace": self.world.namespace},
            "spec": {"groups": [{"name": "g", "rules": [*rules]}], **spec},
        }

    async def conditions(self, name: str) -> dict[str, tuple[str, str]]:
        """Return the conditions that speak of the present generation."""
        live = await self.world.get(ALERT_POLICY, name)
        return {
            c["type"]: (c["status"], c["reason"])
            for c in live.get("status", {}).get("conditions", ())
            if c["observedGeneration"] == live["metadata"]["generation"]
        }

    async def until(
        self, name: str, type_: str, reason: str, *, seconds: float = 15
    ) -> dict[str, tuple[str, str]]:
        """Wait for a condition of a policy; return all of them."""
        found: dict[str, tuple[str, str]] = await eventually(
            lambda found: found.get(type_, ("", ""))[1] == reason,
            partial(self.conditions, name),
            seconds=seconds,
        )
        return found

    async def alerts(self) -> set[str]:
        """Return the names of the alerts that Prometheus runs, but for markers."""
        rules = await self.prometheus().rules()
        return {rule.name for rule in rules} - {"FirewatchMarker"}

    def prometheus(self) -> Prometheus:
        """Return the stack's Prometheus."""
        url = f"http://{self.node.address}:{names.PROMETHEUS_PORT}"
        return Prometheus(self.world.context.session, url)

    async def slots(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for live in await self.world.recorder.list(CONFIG_MAP, self.world.namespace):
            if names.slot_of_name("main", live["metadata"]["name"]) is not None:
                found |= live["data"]
        return {name: text for name, text in found.items() if "marker" not in name}


async def eventually(
    good: Callable[[Any], bool], look: Callable[[], Any], *, seconds: float
) -> Any:
    end = time.monotonic() + seconds
    while True:
        found = await look()
        if good(found):
            return found
        assert time.monotonic() < end, found
        await asyncio.sleep(0.05)


def alert(name: str, expr: str = "vector(1) > 2", **fields: Any) -> Object:
    return {"alert": name, "expr": expr, **fields}


@asynccontextmanager
async def operating(world: World) -> AsyncIterator[tuple[Loop, asyncio.Task[None]]]:
    """Run passes as the operator does, from a memory that is empty."""

    def wake(key: Key) -> None:
        loop.wake(key)

    context = replace(world.context, wake=wake, ready={})
    passes: dict[str, Pass] = {
        "MonitoringStack": partial(reconcile_stack, context),
        "AlertPolicy": partial(reconcile_alerts, context),
        "Rules": RulesReconciler(context).reconcile,
        NOTIFICATIONS: NotificationsReconciler(context).reconcile,
    }
    loop = Loop(passes, context.metrics, workers=8)
    task = asyncio.create_task(loop.run())
    try:
        yield loop, task
    finally:
        await stop(task)


async def stop(task: asyncio.Task[None]) -> None:
    """End an operator: two must never act at once."""
    task.cancel()
    await asyncio.wait([task])


@pytest_asyncio.fixture
async def scene(world: World, tmp_path: Path, numbers: Iterator[int]) -> AsyncIterator[Scene]:
    async with (
        running_node(world, tmp_path, loopback(17, next(numbers))) as node,
        operating(world) as (loop, task),
    ):
        yield Scene(world, node, loop, task)


@pytest.fixture
def quick_kubelet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files for delivered as soon as they are here, not as late as on a real node."""
    monkeypatch.setattr(refusals, "_LATE", timedelta(seconds=2.5))


@pytest_asyncio.fixture
async def ready(scene: Scene) -> Scene:
    scene.stack()
    await scene.node.create_pod()
    return scene

"""A Deployment behind a Service at a real API server, with pods that answer as their test says.

No controller and no kubelet runs there, so what they would do is done here: pods are made and ready, and
a new pod template has a ReplicaSet.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.find import find
from firewatch.cluster.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    POD,
    REPLICA_SET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from firewatch.respond.circuit.see import present_replica_set
from firewatch.respond.circuit.world import Traffic
from tests.apiserver.episodes import Episodes

_RATE = 40
"""Requests a second that come to the Service."""
MECHANISMS = ("flag", "isolate", "fallback", "rollback", "shed")
LABELS = {"app": "api", "traffic": "yes"}
PACE = {"openFor": "10s", "openForMost": "40s", "tryFor": "5s", "measure": {"minRequests": 20}}


def breaker(mechanism: str = "auto", **more: Any) -> list[Object]:
    """Return the actions of an AutoResponse with a breaker."""
    given: dict[str, Object] = {
        "flag": {"flag": {"configMap": "api", "key": "breaker", "open": "on"}},
        "fallback": {"fallback": {"target": {"name": "lite"}}},
        "shed": {"shed": {"replicas": 1}},
    }
    return [
        {"circuitBreaker": {"mechanism": mechanism, **PACE, **given.get(mechanism, {}), **more}}
    ]


@dataclass
class Town:
    """A namespace with an application, and who of it fails."""

    episodes: Episodes
    fails: Callable[[Object], bool] = lambda _pod: False
    """Whether a pod fails, by the pod."""
    pods: int = 4
    answered: dict[str, Traffic] = field(default_factory=dict)
    rolled_out: str = ""
    """ReplicaSet that the pods are of."""
    cluster: Cluster = field(init=False)
    """What does not die with the operator."""

    def __post_init__(self) -> None:
        self.cluster = self.episodes.cluster

    async def build(self) -> None:
        """Make all that there is, with a rollout that has just been."""
        episodes = self.episodes
        # Rollouts have the API server's time, and errors must not have begun before them.
        episodes.now = datetime.now(UTC)
        await episodes.stack()
        await episodes.create(SERVICE_ACCOUNT, "default")
        await episodes.create(CONFIG_MAP, "api", data={"breaker": "off", "colour": "blue"})
        await episodes.create(
            SERVICE, "api", spec={"selector": LABELS, "ports": [{"port": 80, "targetPort": "http"}]}
        )
        await self._deployment("api", LABELS, self.pods)
        await self._deployment("lite", {"app": "lite"}, 1)
        await self.replica_set("api-old", 1, "example.org/api:1")
        await self.replica_set("api-new", 2, "example.org/api:2")
        for number in range(self.pods):
            await self.pod(f"api-{number}", {**LABELS, "pod-template-hash": "api-new"})
        await self.pod("lite-0", {"app": "lite"})
        await self.serve(30)
        episodes.now += timedelta(seconds=1)

    async def _deployment(self, name: str, labels: dict[str, str], replicas: int) -> None:
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": _template(f"example.org/{name}:2", labels),
        }
        opted_in = {"labels": {"monitoring.freeagentics.io/auto-response": "enabled"}}
        await self.episodes.create(DEPLOYMENT, name, metadata=opted_in, spec=spec)

    async def replica_set(self, name: str, number: int, image: str) -> None:
        """Make what the Deployment controller makes of a pod template."""
        owner = await self.episodes.cluster.get(DEPLOYMENT, self.episodes.namespace, "api")
        labels = {**LABELS, "pod-template-hash": name}
        metadata = {
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": "api",
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                }
            ],
        }
        spec = {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "api", "pod-template-hash": name}},
            "template": _template(image, labels),
        }
        await self.episodes.create(REPLICA_SET, name, metadata=metadata, spec=spec)

    async def pod(self, name: str, labels: dict[str, str]) -> None:
        """Make a pod that is ready."""
        flag = {"name": "flag", "configMap": {"name": "api"}}
        more = {"automountServiceAccountToken": False, "volumes": [flag]}
        spec = {**more, **_template("x", {})["spec"]}
        await self.episodes.create(POD, name, metadata={"labels": labels}, spec=spec)
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        namespace = self.episodes.namespace
        write = Write(Verb.MERGE, POD, namespace, name, {"status": status}, "status")
        await self.episodes.cluster.write(write)

    async def roll_out(self) -> None:
        """Have the pods be of the ReplicaSet whose template the Deployment has, as its controller does."""
        namespace = self.episodes.namespace
        live = await find(self.cluster, DEPLOYMENT, namespace, "api")
        replica_sets = await self.cluster.list(REPLICA_SET, namespace)
        name = present_replica_set(live, replica_sets) if live else self.rolled_out
        owner = next((each for each in replica_sets if each["metadata"]["name"] == name), None)
        if owner is None or name == self.rolled_out:
            return
        reference = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": name,
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
        body = {"metadata": {"ownerReferences": [reference]}}
        for pod in await self.cluster.list(POD, namespace, {"app": "api"}):
            name_of_pod = pod["metadata"]["name"]
            await self.cluster.write(Write(Verb.MERGE, POD, namespace, name_of_pod, body))
        self.rolled_out = name

    async def serve(self, seconds: int = 1) -> None:
        """Have the pods behind the Service answer what comes to it."""
        await self.roll_out()
        cluster, namespace = self.episodes.cluster, self.episodes.namespace
        service = await find(cluster, SERVICE, namespace, "api")
        selector = (service or {}).get("spec", {}).get("selector") or {}
        pods = await cluster.list(POD, namespace)
        serving = [p for p in pods if selector.items() <= p["metadata"]["labels"].items()]
        for pod in serving if selector else []:
            name = pod["metadata"]["name"]
            before = self.answered.get(name, Traffic(0, 0))
            more = seconds * _RATE / len(serving)
            failed = more if self.fails(pod) else 0
            self.answered[name] = Traffic(before.requests + more, before.errors + failed)
        self.episodes.answered = self.answered

    async def live(self, seconds: int, *, firing: bool = True) -> None:
        """Let time pass, a second at a time, with passes over the targets."""
        for _ in range(seconds):
            self.episodes.now += timedelta(seconds=1)
            await self.serve()
            self.episodes.alert(firing=firing)
            await self.episodes.step()

    async def until_closed(self, seconds: int = 120) -> None:
        """Let time pass until no breaker is open."""
        for _ in range(seconds):
            await self.live(1)
            if not await self.open_breakers():
                return
        raise AssertionError(f"open for ever: {await self.open_breakers()}")

    async def open_breakers(self) -> dict[str, Object]:
        """Return the records of breakers that are not over, by name of the AutoResponse."""
        names = self.episodes.responses
        found = await asyncio.gather(*map(self.episodes.status, names))
        return {n: s["breaker"] for n, s in zip(names, found, strict=True) if "breaker" in s}

    async def state(self) -> Object:
        """Return all that breakers may change."""
        cluster, namespace = self.episodes.cluster, self.episodes.namespace
        services = await cluster.list(SERVICE, namespace)
        pods = await cluster.list(POD, namespace)
        config_map = await cluster.get(CONFIG_MAP, namespace, "api")
        deployments = await cluster.list(DEPLOYMENT, namespace)
        return {
            "selectors": {s["metadata"]["name"]: s["spec"].get("selector") for s in services},
            "labels": {p["metadata"]["name"]: p["metadata"]["labels"] for p in pods},
            "data": config_map["data"],
            "specs": {d["metadata"]["name"]: d["spec"] for d in deployments},
        }


def _template(image: str, labels: dict[str, str]) -> Object:
    port = {"name": "http", "containerPort": 8000}
    container = {"name": "c", "image": image, "ports": [port]}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container]}}


Fails = Callable[[Object], bool]


async def town_of(cluster: Cluster, namespace: str, **settings: str) -> Town:
    town = Town(Episodes(cluster, namespace, settings=settings))
    await town.build()
    return town


def is_bad(mechanism: str) -> Fails:
    """Return which pods fail: one of them where a mechanism takes out single pods, else all."""
    if mechanism == "isolate":
        return lambda pod: bool(pod["metadata"]["name"] == "api-1")
    return lambda pod: bool(pod["metadata"]["name"].startswith("api"))


def nobody(_pod: Object) -> bool:
    return False


async def open_one(town: Town, mechanism: str, **more: Any) -> None:
    """Have the application fail, and its breaker opened."""
    town.fails = is_bad(mechanism)
    await town.serve(30)
    await town.episodes.response("break", actions=breaker(mechanism, **more))
    await town.live(1)
    assert await town.open_breakers(), await town.episodes.status("break")
    town.fails = nobody


def without_template(state: Object) -> Object:
    """Return a state without what a rollback leaves as it is."""
    specs = {**state["specs"], "api": {**state["specs"]["api"], "template": None}}
    return {**state, "specs": specs}

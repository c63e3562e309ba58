"""A pass over a target: what it asks of the API server, and what it writes if that refuses."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from firewatch.api.conditions import bad, good
from firewatch.api.resource import Again, Key, Object
from firewatch.api.responses import AutoResponseSpec
from firewatch.cluster.client import Write
from firewatch.cluster.errors import ConflictError, ForbiddenError, NotFoundError
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT, EVENT, SCALED_OBJECT, Kind
from firewatch.metrics import Metrics
from firewatch.respond.context import RespondContext
from firewatch.respond.registry import Entry, Registry, Sources
from firewatch.respond.target import reconcile_target
from firewatch.settings import parse_settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = {
    "trigger": {"preset": "cpu_high"},
    "target": {"name": "api"},
    "actions": [{"scaleUp": {"by": 2, "maxReplicas": 10}}],
    "mode": "enforce",
}
CLAIM = {
    "response": "scale",
    "uid": "uid-scale",
    "alert": "id",
    "alertName": "HighCPUUsage",
    "floor": 4,
    "since": "2025-12-31T23:59:00Z",
}
LEDGER = {
    "schema": 1,
    "target": {"kind": "Deployment", "name": "api", "uid": "uid-api"},
    "baseline": 2,
    "written": 4,
    "intended": 4,
    "changedAt": "2025-12-31T23:59:00Z",
    "claims": [CLAIM],
}


@dataclass
class NoRights:
    """A cluster that lets the operator write statuses, and see or change nothing else."""

    live: Object
    writes: list[Write] = field(default_factory=list)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        assert (kind, namespace, name) == (DEPLOYMENT, "shop", "api")
        raise ForbiddenError("deployments is forbidden")

    async def list(self, *arguments: Any, **options: Any) -> list[Object]:
        raise NotImplementedError

    async def write(self, write: Write) -> Object:
        if write.kind is EVENT:
            raise ForbiddenError("events is forbidden")
        self.writes.append(write)
        patch: Any = write.body
        status = dict(self.live["status"])
        for step in patch:
            name = step["path"].rpartition("/")[2]
            if step["op"] == "add":
                status[name] = step["value"]
            elif step["op"] == "remove":
                del status[name]
        self.live = {**self.live, "status": status}
        return self.live


def response(status: Object) -> Object:
    metadata = {
        "name": "scale",
        "namespace": "shop",
        "uid": "uid-scale",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2025-12-31T00:00:00Z",
        "finalizers": ["monitoring.freeagentics.io/restore"],
    }
    return {"metadata": metadata, "spec": SPEC, "status": status}


async def test_a_namespace_that_is_no_longer_granted_does_not_lose_what_is_owed() -> None:
    live = response({"state": "Active", "ledger": LEDGER})
    cluster = NoRights(live)
    registry = Registry()
    refused = bad("Accepted", "NamespaceNotGranted", "add shop to targets.namespaces")
    registry.put(Entry(live, AutoResponseSpec.model_validate(SPEC), refused, None))
    context = RespondContext(
        cluster, parse_settings({}), Metrics(), lambda: NOW, lambda _: None, registry, Sources()
    )
    await reconcile_target(context, Key("Target", "shop", "Deployment/api"))
    status = cluster.live["status"]
    assert status["ledger"] == LEDGER
    assert status["state"] == "Refused"
    assert "targets.namespaces" in status["message"]
    writes = len(cluster.writes)
    await reconcile_target(context, Key("Target", "shop", "Deployment/api"))
    assert len(cluster.writes) == writes


@dataclass
class Crowded(NoRights):
    """A cluster in which somebody else is always first to write."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        if kind is AUTO_RESPONSE:
            return self.live
        return await super().get(kind, namespace, name)

    async def write(self, write: Write) -> Object:
        raise ConflictError(f"{write.name} has changed since")


async def test_a_pass_that_somebody_else_came_between_is_not_over() -> None:
    live = response({"state": "Active", "ledger": LEDGER})
    registry, accepted = Registry(), good("Accepted", "Accepted", "")
    registry.put(Entry(live, AutoResponseSpec.model_validate(SPEC), accepted, None))
    context = RespondContext(
        cluster=Crowded(live),
        settings=parse_settings({}),
        metrics=Metrics(),
        clock=lambda: NOW,
        wake=lambda _: None,
        registry=registry,
        sources=Sources(),
    )
    wait = await reconcile_target(context, Key("Target", "shop", "Deployment/api"))
    assert isinstance(wait, Again)


@dataclass
class WithKedaLater(NoRights):
    """A cluster that knows KEDA's kinds only once KEDA has made an autoscaler."""

    scalers: list[Object] = field(default_factory=list)
    asked: int = 0

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        metadata = {"name": name, "namespace": namespace, "uid": "uid-api"}
        return {"metadata": metadata, "spec": {"replicas": 4}}

    async def list(self, kind: Kind, *arguments: Any, **options: Any) -> list[Object]:
        if kind is not SCALED_OBJECT:
            return self.scalers
        self.asked += 1
        if not self.scalers:
            raise NotFoundError("the server could not find the requested resource")
        return []


async def test_a_kind_that_is_not_installed_is_not_asked_for_all_the_time() -> None:
    live = response({"state": "Active", "ledger": LEDGER})
    cluster, registry = WithKedaLater(live), Registry()
    accepted = good("Accepted", "Accepted", "alerts come from MonitoringStack main")
    registry.put(Entry(live, AutoResponseSpec.model_validate(SPEC), accepted, None))
    settings = parse_settings({"FIREWATCH_TARGET_NAMESPACES": "shop"})
    now = NOW
    context = RespondContext(
        cluster=cluster,
        settings=settings,
        metrics=Metrics(),
        clock=lambda: now,
        wake=lambda _: None,
        registry=registry,
        sources=Sources(),
    )
    target = Key("Target", "shop", "Deployment/api")
    for minutes, asked in ((0, 1), (14, 1), (15, 2), (20, 2)):
        now = NOW + timedelta(minutes=minutes)
        await reconcile_target(context, target)
        assert cluster.asked == asked
    owner = {"apiVersion": SCALED_OBJECT.api_version, "kind": SCALED_OBJECT.kind, "name": "other"}
    metadata = {"name": "keda-hpa-other", "ownerReferences": [owner]}
    cluster.scalers = [{"metadata": metadata, "spec": {"scaleTargetRef": {"name": "other"}}}]
    await reconcile_target(context, target)
    assert cluster.asked == asked + 1

"""Deletion in the foreground: the operator neither makes anything anew nor holds anything up.

There is no garbage collector here: the test makes its writes.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from firewatch.api.conditions import parse_time
from firewatch.api.resource import API_VERSION, Key, Object
from firewatch.cluster.client import Cluster, KubernetesCluster, connect
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import (
    AUTO_RESPONSE,
    CONFIG_MAP,
    DEPLOYMENT,
    MONITORING_STACK,
    SERVICE,
    STATEFUL_SET,
    Kind,
    Scope,
)
from firewatch.metrics import Metrics
from firewatch.reconcile.context import NOTIFICATIONS, RULES
from firewatch.reconcile.notifications import NotificationsReconciler
from firewatch.reconcile.responses import reconcile_response
from firewatch.reconcile.rules import RulesReconciler
from firewatch.respond.context import RespondContext
from firewatch.respond.registry import Registry, Sources
from firewatch.respond.target import reconcile_target
from firewatch.settings import MANAGED_BY, parse_settings
from tests.apiserver.conftest import ROOT, Kubectl
from tests.apiserver.test_rights import binding, role
from tests.apiserver.world import Recorder, World

pytestmark = pytest.mark.usefixtures("crds", "role")
FOREGROUND = ("--cascade=foreground", "--wait=false")
RESPONSE: Object = {
    "trigger": {"preset": "cpu_high"},
    "target": {"name": "api"},
    "actions": [{"scaleUp": {"by": 2, "maxReplicas": 10}}],
    "mode": "enforce",
}


async def test_a_stack_that_goes_in_the_foreground_is_not_made_anew(world: World) -> None:
    world.apply({"metrics": {}})
    await world.go()
    world.kubectl("-n", world.namespace, "delete", "mstack/main", *FOREGROUND)
    for kind in (STATEFUL_SET, SERVICE, CONFIG_MAP):
        labels = ",".join(f"{name}={value}" for name, value in MANAGED_BY.items())
        world.kubectl("-n", world.namespace, "delete", kind.plural, "-l", labels)
    world.recorder.written()
    await world.go()
    await RulesReconciler(world.context).reconcile(Key(RULES, world.namespace, ""))
    notifications = NotificationsReconciler(world.context)
    await notifications.reconcile(Key(NOTIFICATIONS, world.namespace, "main"))
    assert world.recorder.written() == []
    assert "deletionTimestamp" in (await world.get(MONITORING_STACK, "main"))["metadata"]
    collect(world.kubectl, "mstack/main", world.namespace)
    assert not await world.is_there(MONITORING_STACK, "main")


def collect(kubectl: Kubectl, thing: str, namespace: str) -> None:
    """Let go of an object as the garbage collector does, and of nothing else that holds it."""
    found = json.loads(kubectl("-n", namespace, "get", thing, "-o", "json"))
    left = [f for f in found["metadata"]["finalizers"] if f != "foregroundDeletion"]
    patch = json.dumps({"metadata": {"finalizers": left}})
    kubectl("-n", namespace, "patch", thing, "--type=merge", "-p", patch)


@pytest.fixture
async def ungranted(
    control_plane: ControlPlane, kubectl: Kubectl, cluster: KubernetesCluster
) -> AsyncIterator[KubernetesCluster]:
    """Return a client with the operator's rights where no RoleBinding gives it further ones."""
    user = "firewatch-ungranted"
    rules = yaml.safe_load((ROOT / "charts/firewatch/files/rbac.yaml").read_text())
    bound = binding("test-ungranted")
    bound["subjects"][0]["name"] = user
    for made in (role("test-ungranted", rules[Scope.CLUSTER]), bound):
        kubectl("apply", "-f", "-", text=json.dumps(made))
    async with connect(str(control_plane.user_kubeconfig(user)), Metrics()) as connected:
        yield connected


@pytest.fixture
def owed(kubectl: Kubectl, namespace: str) -> Iterator[None]:
    """Provide an AutoResponse in the middle of an episode, and the Deployment that it has scaled."""
    pod = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": namespace},
        "spec": {"replicas": 4, "selector": {"matchLabels": {"a": "b"}}, "template": pod},
    }
    response = {
        "apiVersion": API_VERSION,
        "kind": "AutoResponse",
        "metadata": {
            "name": "scale",
            "namespace": namespace,
            "finalizers": ["monitoring.freeagentics.io/restore"],
        },
        "spec": RESPONSE,
    }
    kubectl("create", "-f", "-", text=json.dumps(deployment))
    kubectl("create", "-f", "-", text=json.dumps(response))
    get = ("-n", namespace, "get", "-o", "jsonpath={.metadata.uid}")
    response_uid, target_uid = kubectl(*get, "aresp/scale"), kubectl(*get, "deploy/api")
    claim = {
        "response": "scale",
        "uid": response_uid,
        "alert": "id",
        "alertName": "HighCPUUsage",
        "floor": 4,
        "since": "2026-01-01T00:00:00Z",
    }
    ledger = {
        "schema": 1,
        "target": {"kind": "Deployment", "name": "api", "uid": target_uid},
        "baseline": 2,
        "written": 4,
        "intended": 4,
        "changedAt": "2026-01-01T00:00:00Z",
        "claims": [claim],
    }
    status = json.dumps({"status": {"state": "Active", "ledger": ledger}})
    where = ("-n", namespace, "patch", "aresp/scale", "--subresource=status", "--type=merge")
    kubectl(*where, "-p", status)
    kubectl("-n", namespace, "delete", "aresp/scale", *FOREGROUND)
    yield
    kubectl("-n", namespace, "delete", "aresp", "--all", "--timeout=30s")


def responding(cluster: Cluster) -> RespondContext:
    settings = parse_settings({"FIREWATCH_TARGET_NAMESPACES": "*"})
    return RespondContext(
        cluster,
        settings,
        Metrics(),
        lambda: datetime.now(UTC),
        lambda _: None,
        Registry(),
        Sources(),
    )


async def go(context: RespondContext, namespace: str) -> None:
    await reconcile_response(context, Key("AutoResponse", namespace, "scale"))
    await reconcile_target(context, Key("Target", namespace, "Deployment/api"))


@pytest.mark.usefixtures("owed")
async def test_a_response_that_goes_in_the_foreground_puts_back_what_it_owes(
    cluster: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    context = responding(cluster)
    for _ in range(3):
        await go(context, namespace)
    target = await cluster.get(DEPLOYMENT, namespace, "api")
    assert target["spec"]["replicas"] == 2
    live = await cluster.get(AUTO_RESPONSE, namespace, "scale")
    assert live["metadata"]["finalizers"] == ["foregroundDeletion"]
    collect(kubectl, "aresp/scale", namespace)
    with pytest.raises(NotFoundError):
        await cluster.get(AUTO_RESPONSE, namespace, "scale")


class NewerDefinition(Recorder):
    """A cluster whose AutoResponses have a field that this operator does not know."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        live = await super().get(kind, namespace, name)
        return {**live, "spec": {**live["spec"], "added": 1}} if kind is AUTO_RESPONSE else live


@pytest.mark.usefixtures("owed")
async def test_a_response_of_a_newer_operator_does_not_hang_either(
    cluster: KubernetesCluster, namespace: str
) -> None:
    context = responding(NewerDefinition(cluster))
    for _ in range(3):
        await go(context, namespace)
    assert (await cluster.get(DEPLOYMENT, namespace, "api"))["spec"]["replicas"] == 2
    live = await cluster.get(AUTO_RESPONSE, namespace, "scale")
    assert live["metadata"]["finalizers"] == ["foregroundDeletion"]


@pytest.mark.usefixtures("owed")
async def test_a_response_without_rights_to_its_target_says_so_and_then_gives_up(
    cluster: KubernetesCluster,
    ungranted: KubernetesCluster,
    namespace: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = responding(ungranted)
    await go(context, namespace)
    live = await cluster.get(AUTO_RESPONSE, namespace, "scale")
    assert "monitoring.freeagentics.io/restore" in live["metadata"]["finalizers"]
    assert live["status"]["ledger"]["baseline"] == 2
    assert "targets.namespaces of the chart within 20 s" in live["status"]["message"]

    later = parse_time(live["metadata"]["deletionTimestamp"]) + timedelta(seconds=21)
    context = replace(context, clock=lambda: later)
    await go(context, namespace)
    live = await cluster.get(AUTO_RESPONSE, namespace, "scale")
    assert live["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert "ledger" not in live["status"]
    left = "Deployment/api is left at 4 replicas (baseline 2)"
    assert left in live["status"]["history"][0]["message"]
    assert left in caplog.text
    target = await cluster.get(DEPLOYMENT, namespace, "api")
    assert target["spec"]["replicas"] == 4

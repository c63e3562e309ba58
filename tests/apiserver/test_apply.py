"""Applying and pruning before a real API server."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from firewatch.api.resource import Object
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.objects import Stack
from firewatch.build.stack import build_shared, build_stack
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.apply import HASH_ANNOTATION, UNREAD, apply, is_ours, prune
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.errors import ConflictError, NotFoundError
from firewatch.cluster.kinds import CONFIG_MAP, SERVICE, STACK_CHILDREN, Kind
from firewatch.settings import MANAGED_BY
from tests.apiserver.conftest import ROOT, Kubectl

KINDS = {kind.kind: kind for kind in STACK_CHILDREN}
STACK_LABEL = {"monitoring.freeagentics.io/stack": "main"}


def config_map(namespace: str, name: str = "x", **data: str) -> Object:
    labels = {**MANAGED_BY, **STACK_LABEL}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def version(live: Object) -> str:
    return str(live["metadata"]["resourceVersion"])


RICH: Object = {
    "metrics": {
        "image": "example.org/prometheus:1",
        "resources": {"requests": {"cpu": "0.5"}, "limits": {"cpu": 1, "memory": "1024Mi"}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "preference": {
                            "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]
                        },
                    }
                ]
            }
        },
        "topologySpread": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"a": "b"}},
            }
        ],
        "storage": {"size": "1024Mi", "storageClassName": "fast"},
        "externalLabels": {"cluster": "a"},
    },
    "exporters": {"node": {"port": 9200, "resources": {"limits": {"memory": "64Mi"}}}},
}


def example_stack() -> Object:
    spec: Object = yaml.safe_load(Path(ROOT / "examples/monitoringstack-runbook.yaml").read_text())
    return dict(spec["spec"])


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("main", example_stack()),
        ("main", RICH),
        ("1.name-with.dots", {"metrics": {}}),
        ("a" * 253, {"metrics": {}, "exporters": {"node": {}}}),
    ],
    ids=["example", "rich", "dots", "long"],
)
async def test_a_whole_stack_is_applied_once(
    cluster: KubernetesCluster, namespace: str, name: str, spec: Object
) -> None:
    """What the API server fills in or rewrites must not look like drift."""
    stack = Stack(namespace, name, "uid-1", MonitoringStackSpec.model_validate(spec))
    objects = [*build_shared([stack]), *build_stack(stack, Surroundings("firewatch.example:9095"))]
    assert objects
    for desired in objects:
        kind = KINDS[desired["kind"]]
        first = await apply(cluster, kind, desired)
        assert first.written
        assert is_ours(first.live)
        for known in (UNREAD, first.live):
            again = await apply(cluster, kind, desired, known=known)
            assert not again.written, desired["kind"]
            assert version(again.live) == version(first.live)


async def test_a_second_apply_writes_only_what_changed(
    cluster: KubernetesCluster, namespace: str
) -> None:
    await apply(cluster, CONFIG_MAP, config_map(namespace, a="1", b="2"))
    changed = await apply(cluster, CONFIG_MAP, config_map(namespace, a="1"))
    assert changed.written
    assert changed.live["data"] == {"a": "1"}
    assert not (await apply(cluster, CONFIG_MAP, config_map(namespace, a="1"))).written


async def test_drift_is_corrected_and_additions_are_left(
    cluster: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    def patch(body: Any) -> None:
        kubectl(
            "patch", "configmap", "x", "-n", namespace, "--type=merge", f"-p={json.dumps(body)}"
        )

    desired = config_map(namespace, a="1")
    await apply(cluster, CONFIG_MAP, desired)
    patch({"data": {"added": "by somebody"}})
    assert not (await apply(cluster, CONFIG_MAP, desired)).written

    for drift in (
        {"data": {"a": "2"}},
        {"data": {"a": None}},
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}},
        {"metadata": {"annotations": {HASH_ANNOTATION: "0"}}},
    ):
        patch(drift)
        corrected = await apply(cluster, CONFIG_MAP, desired)
        assert corrected.written, drift
        assert corrected.live["data"] == {"a": "1", "added": "by somebody"}
        assert not (await apply(cluster, CONFIG_MAP, desired)).written


@pytest.mark.parametrize("data", [{"a": "theirs"}, {"b": "theirs"}], ids=["same key", "other key"])
async def test_a_foreign_object_is_reported_and_not_touched(
    cluster: KubernetesCluster, kubectl: Kubectl, namespace: str, data: dict[str, str]
) -> None:
    foreign = {**config_map(namespace, **data), "metadata": {"name": "x", "namespace": namespace}}
    kubectl("create", "-f", "-", text=json.dumps(foreign))
    before = await cluster.get(CONFIG_MAP, namespace, "x")
    for _ in range(2):
        with pytest.raises(ConflictError, match="ConfigMap x"):
            await apply(cluster, CONFIG_MAP, config_map(namespace, a="ours"))
    assert await cluster.get(CONFIG_MAP, namespace, "x") == before


async def test_a_foreign_service_is_not_taken_over(
    cluster: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("create", "service", "clusterip", "x", "--tcp=80", "-n", namespace)
    desired = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "x", "namespace": namespace, "labels": MANAGED_BY},
        "spec": {"ports": [{"name": "http", "port": 9090}], "selector": {"a": "b"}},
    }
    with pytest.raises(ConflictError):
        await apply(cluster, SERVICE, desired)


async def test_prune_deletes_ours_and_nothing_else(
    cluster: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    for name in ("kept", "gone"):
        await apply(cluster, CONFIG_MAP, config_map(namespace, name))
    other_stack = config_map(namespace, "other-stack")
    other_stack["metadata"]["labels"] = {**MANAGED_BY, "monitoring.freeagentics.io/stack": "b"}
    await apply(cluster, CONFIG_MAP, other_stack)
    foreign = config_map(namespace, "foreign")
    foreign["metadata"]["labels"] = STACK_LABEL
    kubectl("create", "-f", "-", text=json.dumps(foreign))

    async def prune_stack(kinds: tuple[Kind, ...]) -> list[str]:
        keep = frozenset({("ConfigMap", "kept")})
        return await prune(cluster, kinds, namespace=namespace, labels=STACK_LABEL, keep=keep)

    assert await prune_stack(STACK_CHILDREN) == ["ConfigMap/gone"]
    assert await prune_stack(STACK_CHILDREN) == []
    left = [item["metadata"]["name"] for item in await cluster.list(CONFIG_MAP, namespace)]
    assert left == ["foreign", "kept", "other-stack"]


async def test_prune_leaves_what_is_being_deleted(
    cluster: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["example.org/hold"]
    await apply(cluster, CONFIG_MAP, held)
    kubectl("delete", "configmap", "x", "-n", namespace, "--wait=false")
    keep: frozenset[tuple[str, str]] = frozenset()
    kinds = (CONFIG_MAP,)
    assert await prune(cluster, kinds, namespace=namespace, labels=STACK_LABEL, keep=keep) == []
    kubectl(
        "patch",
        "configmap",
        "x",
        "-n",
        namespace,
        "--type=merge",
        '-p={"metadata":{"finalizers":null}}',
    )
    with pytest.raises(NotFoundError):
        await cluster.get(CONFIG_MAP, namespace, "x")

"""The fence on the operator's own account: all that it does passes, and nothing of others' does.

The installation is that by kustomize, which a golden test holds equal to the chart's.
"""

import json
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import yaml

from e2e.cluster.controlplane import ControlPlane
from firewatch.api.resource import API_VERSION, Object
from firewatch.api.responses import AutoResponseStatus
from firewatch.api.restart import RESTARTED_AT
from firewatch.cluster.apply import apply, delete
from firewatch.cluster.client import KubernetesCluster, Verb, Write, connect
from firewatch.cluster.election import Election, Place
from firewatch.cluster.errors import ClusterError, ForbiddenError
from firewatch.cluster.kinds import (
    AUTO_RESPONSE,
    CONFIG_MAP,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    JOB,
    LEASE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
    Kind,
)
from firewatch.cluster.lease import LEASE_SECONDS, Candidate
from firewatch.cluster.status import write_status
from firewatch.metrics import Metrics
from firewatch.respond.circuit.change import SYNCED_AT
from firewatch.respond.circuit.mesh import ACCRUAL
from firewatch.respond.finalizer import add_finalizer, remove_finalizer
from firewatch.settings import MANAGED_BY
from tests.apiserver.conftest import ROOT, Kubectl
from tests.apiserver.installed import installed, policies
from tests.apiserver.modules import KEDA, install_crd

OPERATOR = "system:serviceaccount:firewatch:firewatch"
LABEL = "app.kubernetes.io/managed-by"
FENCED = (CONFIG_MAP, SECRET, JOB, DEPLOYMENT, POD, PERSISTENT_VOLUME_CLAIM)


@pytest.fixture(scope="module", autouse=True)
def fence(kubectl: Kubectl, crds: str) -> Iterator[None]:
    """Install the operator's account with its rights everywhere, and the fence around it."""
    text = (ROOT / "config" / "operator.yaml").read_text()
    kubectl("create", "namespace", "firewatch")
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    rights = [each for each in yaml.safe_load_all(text) if each["kind"] in kinds]
    for scope in ("stacks", "targets", "restarts"):
        grant = (ROOT / "config" / "grants" / scope / "role-binding.yaml").read_text()
        rights.append({**yaml.safe_load(grant), "kind": "ClusterRoleBinding"})
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": rights})
    kubectl("apply", "-f", "-", text=manifest)
    kubectl("create", "configmap", "foreign", "--namespace=firewatch")

    def refused() -> str:
        change = ("patch", "configmap/foreign", "-p", '{"data":{"a":"b"}}')
        return kubectl("--namespace=firewatch", *change, "--dry-run=server", f"--as={OPERATOR}")

    with installed(kubectl, policies(text, "firewatch-fence"), refused):
        yield
    kubectl("delete", "-f", "-", text=manifest)
    kubectl("delete", "namespace", "firewatch", "--wait=false")


@pytest_asyncio.fixture
async def operator(control_plane: ControlPlane) -> AsyncIterator[KubernetesCluster]:
    """Return a client as the operator's account."""
    kubeconfig = control_plane.service_account_kubeconfig("firewatch", "firewatch")
    async with connect(str(kubeconfig), Metrics()) as connected:
        yield connected


def body(kind: Kind, namespace: str, **labels: str) -> Object:
    """Return an object of a kind that the API server takes."""
    container = {"name": "c", "image": "example.org/none:1"}
    pod = {"restartPolicy": "Never", "serviceAccountName": "x", "containers": [container]}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    always = {**template, "spec": {"containers": [container]}}
    storage = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
    rest: dict[str, Object] = {
        "Deployment": {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": always}},
        "Job": {"spec": {"template": template}},
        "Pod": {"spec": pod},
        "PersistentVolumeClaim": {"spec": storage},
    }
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "x", "namespace": namespace, "labels": {**labels}},
        **rest.get(kind.kind, {}),
    }


async def make(cluster: KubernetesCluster, kind: Kind, wanted: Object) -> Object:
    metadata = wanted["metadata"]
    if kind is POD:  # there is no pod without its account
        await make(cluster, SERVICE_ACCOUNT, body(SERVICE_ACCOUNT, metadata["namespace"]))
    write = Write(Verb.CREATE, kind, metadata["namespace"], metadata["name"], wanted)
    return await cluster.write(write)


def note(kind: Kind, namespace: str, **metadata: object) -> Write:
    """Return a small change of the object."""
    change = {"metadata": {"annotations": {"example.org/touched": "yes"}, **metadata}}
    return Write(Verb.MERGE, kind, namespace, "x", change)


@pytest.mark.parametrize("kind", FENCED, ids=lambda kind: kind.kind)
async def test_what_others_have_made_is_neither_changed_nor_deleted(
    operator: KubernetesCluster, cluster: KubernetesCluster, namespace: str, kind: Kind
) -> None:
    live = await make(cluster, kind, body(kind, namespace))
    writes = [note(kind, namespace), note(kind, namespace, labels=MANAGED_BY)]
    if kind is not PERSISTENT_VOLUME_CLAIM:  # for want of the right
        writes.append(Write(Verb.DELETE, kind, namespace, "x", None))
    for write in writes:
        with pytest.raises(ForbiddenError, match="only what it has made"):
            await operator.write(write)
    now = await cluster.get(kind, namespace, "x")
    assert now["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]


@pytest.mark.parametrize("kind", FENCED, ids=lambda kind: kind.kind)
async def test_what_firewatch_has_made_is_changed_and_deleted(
    operator: KubernetesCluster, cluster: KubernetesCluster, namespace: str, kind: Kind
) -> None:
    made_by_controllers = (POD, PERSISTENT_VOLUME_CLAIM)
    maker = cluster if kind in made_by_controllers else operator
    await make(maker, kind, body(kind, namespace, **MANAGED_BY))
    await operator.write(note(kind, namespace))
    if kind is not PERSISTENT_VOLUME_CLAIM:
        await delete(operator, kind, await cluster.get(kind, namespace, "x"))


async def test_nothing_is_made_without_the_label_and_none_is_taken_off(
    operator: KubernetesCluster, namespace: str
) -> None:
    for labels in ({}, {LABEL: "helm"}):
        with pytest.raises(ForbiddenError, match="nothing without its label"):
            await make(operator, CONFIG_MAP, body(CONFIG_MAP, namespace, **labels))
    await make(operator, CONFIG_MAP, body(CONFIG_MAP, namespace, **MANAGED_BY))
    for value in (None, "helm"):
        with pytest.raises(ForbiddenError, match="nothing without its label"):
            await operator.write(note(CONFIG_MAP, namespace, labels={LABEL: value}))


async def test_a_label_that_somebody_has_taken_off_is_put_back(
    operator: KubernetesCluster, cluster: KubernetesCluster, namespace: str
) -> None:
    wanted = body(CONFIG_MAP, namespace, **MANAGED_BY)
    await apply(operator, CONFIG_MAP, wanted)
    await cluster.write(note(CONFIG_MAP, namespace, labels={LABEL: None}))
    live = (await apply(operator, CONFIG_MAP, wanted)).live
    assert live["metadata"]["labels"] == MANAGED_BY


async def response(cluster: KubernetesCluster, namespace: str) -> Object:
    spec = {
        "trigger": {"alert": "A"},
        "target": {"name": "x"},
        "actions": [{"scaleUp": {"by": 1, "maxReplicas": 6}}],
    }
    metadata = {"name": "x", "namespace": namespace, "labels": {"team": "sre"}}
    wanted = {"apiVersion": API_VERSION, "kind": "AutoResponse", "metadata": metadata, "spec": spec}
    return await make(cluster, AUTO_RESPONSE, wanted)


async def test_of_what_people_write_only_status_and_finalizers_are_changed(
    operator: KubernetesCluster, cluster: KubernetesCluster, namespace: str
) -> None:
    live = await response(cluster, namespace)
    live = await write_status(operator, AUTO_RESPONSE, live, AutoResponseStatus())
    await remove_finalizer(operator, await add_finalizer(operator, live))
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1"}
    for change in (
        {"spec": {"mode": "enforce"}},
        {"metadata": {"labels": {"team": "other"}}},
        {"metadata": {"labels": None}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"ownerReferences": [owner]}},
    ):
        with pytest.raises(ForbiddenError, match="nothing but status and finalizers"):
            await operator.write(Write(Verb.MERGE, AUTO_RESPONSE, namespace, "x", change))


async def test_a_response_is_let_go_of_while_it_is_being_deleted(
    operator: KubernetesCluster, cluster: KubernetesCluster, namespace: str
) -> None:
    await add_finalizer(operator, await response(cluster, namespace))
    await cluster.write(Write(Verb.DELETE, AUTO_RESPONSE, namespace, "x", None))
    await remove_finalizer(operator, await cluster.get(AUTO_RESPONSE, namespace, "x"))
    with pytest.raises(ClusterError, match="not found"):
        await cluster.get(AUTO_RESPONSE, namespace, "x")


async def test_a_target_is_scaled(
    operator: KubernetesCluster, cluster: KubernetesCluster, namespace: str
) -> None:
    await make(cluster, DEPLOYMENT, body(DEPLOYMENT, namespace))
    change = {"spec": {"replicas": 3}}
    await operator.write(Write(Verb.MERGE, DEPLOYMENT, namespace, "x", change, "scale"))
    assert (await cluster.get(DEPLOYMENT, namespace, "x"))["spec"]["replicas"] == 3


SCALER = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
    "minReplicas": 2,
    "maxReplicas": 9,
}
SCALED = {
    "scaleTargetRef": {"name": "x"},
    "triggers": [{"type": "cpu", "metadata": {"value": "80"}}],
}


@pytest.mark.parametrize(
    "scaler",
    [
        (
            HORIZONTAL_POD_AUTOSCALER,
            SCALER,
            "minReplicas",
            [{"maxReplicas": 20}, {"scaleTargetRef": {"name": "y"}}, {"behavior": {}}],
        ),
        (
            SCALED_OBJECT,
            SCALED,
            "minReplicaCount",
            [{"maxReplicaCount": 20}, {"scaleTargetRef": {"name": "y"}}, {"pollingInterval": 5}],
        ),
    ],
    ids=["HorizontalPodAutoscaler", "ScaledObject"],
)
async def test_of_an_autoscaler_only_its_minimum_is_changed(
    operator: KubernetesCluster,
    cluster: KubernetesCluster,
    kubectl: Kubectl,
    namespace: str,
    *,
    scaler: tuple[Kind, Object, str, list[Object]],
) -> None:
    kind, spec, lever, neighbours = scaler
    install_crd(kubectl, KEDA)
    metadata = {"name": "x", "namespace": namespace, "labels": {"team": "sre"}}
    wanted = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
    await make(cluster, kind, wanted)
    for value in (4, None if kind is SCALED_OBJECT else 2):
        await operator.write(Write(Verb.MERGE, kind, namespace, "x", {"spec": {lever: value}}))
    changes: list[Object] = [{"spec": {**each, lever: 5}} for each in neighbours]
    changes += [{"metadata": {"labels": MANAGED_BY}}, {"metadata": {"annotations": {"a": "b"}}}]
    for change in changes:
        with pytest.raises(ForbiddenError, match=f"nothing but {lever} of autoscalers"):
            await operator.write(Write(Verb.MERGE, kind, namespace, "x", change))


def templated(**template: object) -> Object:
    return {"spec": {"template": template}}


@pytest.mark.parametrize("kind", [DEPLOYMENT, STATEFUL_SET], ids=lambda kind: kind.kind)
@pytest.mark.parametrize("before", [None, {"team": "sre"}])
async def test_of_a_targets_pods_only_the_annotation_of_a_restart_is_changed(
    operator: KubernetesCluster,
    cluster: KubernetesCluster,
    namespace: str,
    *,
    kind: Kind,
    before: dict[str, str] | None,
) -> None:
    wanted = {**body(DEPLOYMENT, namespace), "apiVersion": kind.api_version, "kind": kind.kind}
    if before:
        wanted["spec"]["template"]["metadata"]["annotations"] = before
    await make(cluster, kind, wanted)
    for value in ("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", None):
        change = templated(metadata={"annotations": {RESTARTED_AT: value}})
        await operator.write(Write(Verb.MERGE, kind, namespace, "x", change))
    container = {"name": "c", "image": "example.org/other:1"}
    ours = {RESTARTED_AT: "2026-01-03T00:00:00.000Z"}
    changes = [
        templated(metadata={"annotations": {**ours, "kubectl.kubernetes.io/restartedAt": "x"}}),
        templated(metadata={"annotations": {**ours, "team": "other"}}),
        templated(metadata={"annotations": ours, "labels": {"c": "d"}}),
        templated(metadata={"annotations": ours}, spec={"containers": [container]}),
        templated(metadata={"annotations": ours}, spec={"serviceAccountName": "admin"}),
        {"spec": {**templated(metadata={"annotations": ours})["spec"], "replicas": 5}},
        {**templated(metadata={"annotations": ours}), "metadata": {"labels": MANAGED_BY}},
        {**templated(metadata={"annotations": ours}), "metadata": {"annotations": {"a": "b"}}},
    ]
    for change in changes:
        with pytest.raises(ForbiddenError, match="only what it has made"):
            await operator.write(Write(Verb.MERGE, kind, namespace, "x", change))
    for taken in ({**ours, "team": None}, None) if before else ():
        gone = templated(metadata={"annotations": taken})
        with pytest.raises(ForbiddenError, match="only what it has made"):
            await operator.write(Write(Verb.MERGE, kind, namespace, "x", gone))
    with pytest.raises(ForbiddenError, match="only what it has made"):
        await operator.write(Write(Verb.DELETE, kind, namespace, "x", None))


@pytest.fixture
def breakers(kubectl: Kubectl, namespace: str) -> None:
    """Grant circuit breakers in a namespace, beside what is granted everywhere."""
    grant = yaml.safe_load((ROOT / "config/grants/breakers/role-binding.yaml").read_text())
    grant["metadata"]["namespace"] = namespace
    kubectl("apply", "-f", "-", text=json.dumps(grant))


def foreign(kind: Kind, namespace: str) -> Object:
    """Return an object of somebody else that a circuit breaker changes."""
    further: dict[Kind, Object] = {
        SERVICE: {"spec": {"selector": {"app": "api"}, "ports": [{"port": 80}]}},
        CONFIG_MAP: {"data": {"breaker": "off", "colour": "blue"}},
    }
    return {**body(kind, namespace, app="api", traffic="yes"), **further.get(kind, {})}


FIELDS: list[tuple[Kind, Object, list[Object]]] = [
    (
        POD,
        {"metadata": {"labels": {"traffic": None}}},
        [
            {"metadata": {"annotations": {SYNCED_AT: "x", "other": "y"}}},
            {"metadata": {"annotations": {SYNCED_AT: "x"}, "labels": {"app": "other"}}},
            {"metadata": {"labels": {"traffic": None, "app": "other"}}},
            {"metadata": {"labels": {"traffic": None}, "annotations": {"a": "b"}}},
            {"metadata": {"labels": {"traffic": None}}, "spec": {"activeDeadlineSeconds": 1}},
        ],
    ),
    (
        SERVICE,
        {"spec": {"selector": {"app": "lite"}}},
        [
            {"metadata": {"annotations": {ACCRUAL: "consecutive", "other": "y"}}},
            {"metadata": {"annotations": {ACCRUAL: "x"}}, "spec": {"selector": {"app": "lite"}}},
            {"spec": {"selector": {"app": "lite"}, "externalIPs": ["192.0.2.1"]}},
            {"spec": {"selector": {"app": "lite"}}, "metadata": {"labels": {"a": "b"}}},
            {"spec": {"type": "ExternalName", "externalName": "elsewhere.example"}},
        ],
    ),
    (
        CONFIG_MAP,
        {"data": {"breaker": "on"}},
        [
            {"data": {"breaker": "on", "colour": "red"}},
            {"data": {"breaker": "on"}, "binaryData": {"x": "eA=="}},
            {"data": {"breaker": "on"}, "metadata": {"annotations": {"a": "b"}}},
        ],
    ),
    (
        DEPLOYMENT,
        templated(spec={"containers": [{"name": "c", "image": "example.org/other:1"}]}),
        [
            templated(spec={"serviceAccountName": "admin"}),
            {"spec": {**templated(metadata={"labels": {"c": "d"}})["spec"], "paused": True}},
        ],
    ),
]


@pytest.mark.parametrize(
    ("kind", "change", "more"), FIELDS, ids=lambda each: getattr(each, "kind", "")
)
async def test_of_what_a_circuit_breaker_changes_one_field_is_written(
    operator: KubernetesCluster,
    cluster: KubernetesCluster,
    namespace: str,
    breakers: None,
    *,
    kind: Kind,
    change: Object,
    more: list[Object],
) -> None:
    await make(cluster, kind, foreign(kind, namespace))
    for further in more:
        with pytest.raises(ForbiddenError, match="only what it has made"):
            await operator.write(Write(Verb.MERGE, kind, namespace, "x", further))
    await operator.write(Write(Verb.MERGE, kind, namespace, "x", change))
    noted = {POD: SYNCED_AT, SERVICE: ACCRUAL}.get(kind)
    for value in ("x", None) if noted else ():
        note_it = {"metadata": {"annotations": {noted: value}}}
        await operator.write(Write(Verb.MERGE, kind, namespace, "x", note_it))
    with pytest.raises(ForbiddenError, match="only what it has made"):
        await operator.write(Write(Verb.DELETE, kind, namespace, "x", None))


@pytest.mark.parametrize(
    ("kind", "change", "more"), FIELDS, ids=lambda each: getattr(each, "kind", "")
)
async def test_where_circuit_breakers_are_not_granted_not_even_that(
    operator: KubernetesCluster,
    cluster: KubernetesCluster,
    namespace: str,
    *,
    kind: Kind,
    change: Object,
    more: list[Object],
) -> None:
    await make(cluster, kind, foreign(kind, namespace))
    for each in (change, *more):
        with pytest.raises(ForbiddenError, match="only what it has made"):
            await operator.write(Write(Verb.MERGE, kind, namespace, "x", each))


async def test_of_leases_it_makes_and_changes_only_the_one_of_its_replicas(
    operator: KubernetesCluster, cluster: KubernetesCluster
) -> None:
    now, candidate = 0.0, Candidate("me")
    election = Election(operator, candidate, Place("firewatch", ""), clock=lambda: now)
    for moment in (0.0, LEASE_SECONDS, LEASE_SECONDS + 1):
        now = moment
        await election.step()
    assert candidate.holds(now)
    with pytest.raises(ForbiddenError, match="makes no Lease but firewatch"):
        await make(operator, LEASE, body(LEASE, "firewatch", **MANAGED_BY))
    unnamed = body(LEASE, "firewatch", **MANAGED_BY)
    unnamed["metadata"] |= {"name": "", "generateName": "firewatch"}
    with pytest.raises(ForbiddenError, match="makes no Lease but firewatch"):
        await make(operator, LEASE, unnamed)
    await make(cluster, LEASE, body(LEASE, "firewatch", **MANAGED_BY))
    for write in (note(LEASE, "firewatch"), Write(Verb.DELETE, LEASE, "firewatch", "x", None)):
        with pytest.raises(ForbiddenError, match=r"cannot (patch|delete) resource"):
            await operator.write(write)


async def test_others_are_not_held_to_it(cluster: KubernetesCluster, namespace: str) -> None:
    await make(cluster, CONFIG_MAP, body(CONFIG_MAP, namespace))
    await cluster.write(note(CONFIG_MAP, namespace))

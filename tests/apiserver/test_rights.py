"""The generated rights before a real API server: they suffice, and they end where they should."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from firewatch.api.alerts import AlertPolicyStatus
from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import API_VERSION, GROUP, Object
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.objects import Stack
from firewatch.build.stack import build_shared, build_stack
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.apply import apply, delete
from firewatch.cluster.client import KubernetesCluster, Verb, Write, connect
from firewatch.cluster.election import Election, Place
from firewatch.cluster.errors import ForbiddenError, InvalidError
from firewatch.cluster.kinds import (
    ALERT_POLICY,
    CRD,
    LEASE,
    OWN_KINDS,
    POD,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    STACK_CHILDREN,
    TOKEN_REVIEW,
    Kind,
    Scope,
)
from firewatch.cluster.lease import LEASE_SECONDS, Candidate
from firewatch.cluster.status import write_status
from firewatch.metrics import Metrics
from firewatch.settings import LEASE_NAME, PROMETHEUS_ROLE
from tests.apiserver.conftest import ROOT, Kubectl
from tests.apiserver.scene import eventually
from tests.apiserver.world import Recorder, make_world

KINDS = {kind.kind: kind for kind in STACK_CHILDREN}
SECRET = Kind("v1", "Secret", "secrets")
USER = "firewatch-operator"
RBAC = "rbac.authorization.k8s.io"


def role(name: str, rules: list[Object]) -> Object:
    meta = {"name": name}
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules}


def binding(name: str, namespace: str = "") -> Object:
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": USER}],
    }


@pytest.fixture
async def operator(
    control_plane: ControlPlane, crds: str, kubectl: Kubectl, namespace: str
) -> AsyncIterator[KubernetesCluster]:
    """Return a client with the generated rights, those of stacks in one namespace only."""
    rules = yaml.safe_load((ROOT / "charts/firewatch/files/rbac.yaml").read_text())
    made = [
        role(PROMETHEUS_ROLE, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]),
        role("test-cluster", rules[Scope.CLUSTER]),
        role("test-stacks", rules[Scope.STACKS]),
        role("test-own", rules[Scope.OWN]),
        binding("test-cluster"),
        binding("test-stacks", namespace),
        binding("test-own", namespace),
    ]
    kubectl(
        "apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    )
    async with connect(str(control_plane.user_kubeconfig(USER)), Metrics()) as connected:
        yield connected


async def test_a_stack_can_be_made_and_removed_where_it_is_granted(
    operator: KubernetesCluster, namespace: str
) -> None:
    spec = MonitoringStackSpec.model_validate({"metrics": {}, "exporters": {"node": {}}})
    stack = Stack(namespace, "main", "uid-1", spec)
    for desired in (*build_shared([stack]), *build_stack(stack, Surroundings("firewatch:9095"))):
        kind = KINDS[desired["kind"]]
        assert (await apply(operator, kind, desired)).written
        assert not (await apply(operator, kind, desired)).written
        (live,) = [
            found
            for found in await operator.list(kind, namespace)
            if found["metadata"]["name"] == desired["metadata"]["name"]
        ]
        if kind not in (SERVICE_ACCOUNT, ROLE_BINDING):
            await delete(operator, kind, live)
    assert await operator.list(POD, namespace) == []


async def test_elsewhere_nothing_can_be_made_or_read(
    operator: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    elsewhere = f"{namespace}-else"
    kubectl("create", "namespace", elsewhere)
    for kind in (*STACK_CHILDREN, POD, SECRET):
        with pytest.raises(ForbiddenError):
            await operator.list(kind, elsewhere)
    with pytest.raises(ForbiddenError):
        await operator.list(SECRET, namespace)


async def test_no_other_role_can_be_bound(operator: KubernetesCluster, namespace: str) -> None:
    other = binding("cluster-admin", namespace)
    with pytest.raises(ForbiddenError, match="attempting to grant RBAC permissions"):
        await apply(operator, ROLE_BINDING, other)


async def test_our_own_kinds_are_seen_everywhere_and_only_their_status_is_written(
    operator: KubernetesCluster, cluster: KubernetesCluster, namespace: str
) -> None:
    spec = {"thresholds": [{"signal": "cpu", "above": 80}]}
    metadata = {"name": "p", "namespace": namespace}
    body = {"apiVersion": API_VERSION, "kind": "AlertPolicy", "metadata": metadata, "spec": spec}
    await cluster.write(Write(Verb.CREATE, ALERT_POLICY, namespace, "p", body))
    for kind in OWN_KINDS:
        await operator.list(kind)
    live = await cluster.get(ALERT_POLICY, namespace, "p")
    written = await write_status(operator, ALERT_POLICY, live, AlertPolicyStatus(stack="main"))
    assert written["status"]["stack"] == "main"
    for write in (
        Write(Verb.MERGE, ALERT_POLICY, namespace, "p", {"spec": {"thresholds": []}}),
        Write(Verb.DELETE, ALERT_POLICY, namespace, "p", None),
        Write(Verb.CREATE, ALERT_POLICY, namespace, "q", body),
    ):
        with pytest.raises(ForbiddenError):
            await operator.write(write)


async def test_our_own_crds_can_be_looked_at_and_no_others(operator: KubernetesCluster) -> None:
    for custom in CUSTOM_KINDS:
        assert await operator.get(CRD, "", f"{custom.plural}.{GROUP}")
    with pytest.raises(ForbiddenError):
        await operator.get(CRD, "", "others.example.org")
    with pytest.raises(ForbiddenError):
        await operator.list(CRD)


async def test_tokens_can_be_reviewed(operator: KubernetesCluster) -> None:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "no token", "audiences": ["firewatch-receiver"]},
    }
    answer = await operator.write(Write(Verb.CREATE, TOKEN_REVIEW, "", "", body))
    assert not answer["status"].get("authenticated")
    with pytest.raises(InvalidError):
        await operator.write(Write(Verb.CREATE, TOKEN_REVIEW, "", "", {**body, "spec": {}}))


async def test_the_lease_can_be_made_taken_renewed_and_given_up_and_no_other_changed(
    operator: KubernetesCluster, cluster: KubernetesCluster, namespace: str
) -> None:
    now, candidate = 0.0, Candidate("me")
    election = Election(operator, candidate, Place(namespace, ""), clock=lambda: now)
    for moment in (0.0, LEASE_SECONDS, LEASE_SECONDS + 1):
        now = moment
        await election.step()
    assert candidate.term(now) == 1
    candidate.resign()
    await election.release()
    live = await cluster.get(LEASE, namespace, LEASE_NAME)
    assert live["spec"]["holderIdentity"] == ""
    other = {**live, "metadata": {"name": "other", "namespace": namespace}}
    await cluster.write(Write(Verb.CREATE, LEASE, namespace, "other", other))
    with pytest.raises(ForbiddenError):
        await operator.get(LEASE, namespace, "other")
    change = {"spec": {"holderIdentity": "me"}}
    with pytest.raises(ForbiddenError):
        await operator.write(Write(Verb.MERGE, LEASE, namespace, "other", change))


async def test_rights_that_are_taken_away_are_said_and_what_to_do(
    operator: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    async with aiohttp.ClientSession() as session:
        world = make_world(Recorder(operator), session, namespace=namespace, kubectl=kubectl)
        world.apply({"metrics": {}})
        await world.go()
        assert (await world.conditions())["Applied"] == ("True", "Applied")
        kubectl("-n", namespace, "delete", "rolebinding", "test-stacks")

        async def passed() -> dict[str, tuple[str, str]]:
            await world.go()
            return await world.conditions()

        found = await eventually(lambda each: each["Applied"][0] == "False", passed, seconds=20)
        assert found["Applied"] == ("False", "Forbidden")
        assert found["Ready"] == ("False", "Forbidden")
        assert "stacks.namespaces" in await world.message()
    kubectl("-n", namespace, "delete", "mstack", "main")

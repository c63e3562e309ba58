"""`firewatch release`: the operator is stopped, everything is given back, and what is not is named.

It runs with the rights that the chart gives its pre-delete hook, and no others.
"""

import json
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import yaml

from e2e.cluster.controlplane import ControlPlane
from firewatch.api.resource import API_VERSION, Object
from firewatch.cluster.client import KubernetesCluster, Verb, Write, connect
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT, EVENT, Kind
from firewatch.metrics import Metrics
from firewatch.respond.finalizer import FINALIZER
from firewatch.runbook.release import Release, release
from firewatch.settings import parse_settings
from tests.apiserver.conftest import ROOT, Kubectl

pytestmark = pytest.mark.usefixtures("crds", "nothing_else")
RELEASER = "the-releaser"
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture
def nothing_else(kubectl: Kubectl) -> None:
    """Take away what other tests have left: a release is about the whole cluster."""
    everywhere = ("aresp", "--all-namespaces")
    kubectl("delete", *everywhere, "--all", "--wait=false")
    for each in json.loads(kubectl("get", *everywhere, "-o", "json"))["items"]:
        name = ("aresp", each["metadata"]["name"], "--namespace", each["metadata"]["namespace"])
        kubectl("patch", *name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def bound(scope: str, rules: list[Object], namespace: str = "") -> list[Object]:
    """Return a role of the releaser and its binding, in a namespace or in all."""
    name = f"releaser-{scope}"
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    return [
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules,
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
            "roleRef": role,
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": RELEASER}],
        },
    ]


@pytest.fixture
def granted(kubectl: Kubectl, namespace: str) -> str:
    """Give the releaser its rights: those on targets, and on the operator, in one namespace."""
    files = ROOT / "charts" / "firewatch" / "files"
    own = (files / "release-rbac.yaml").read_text().replace("$operator", "firewatch")
    rules = yaml.safe_load(own)
    targets = yaml.safe_load((files / "rbac.yaml").read_text())["targets"]
    items = [
        *bound("cluster", rules["cluster"]),
        *bound("own", rules["own"], namespace),
        *bound("targets", targets, namespace),
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("apply", "-f", "-", text=text)
    return namespace


@pytest_asyncio.fixture
async def releaser(control_plane: ControlPlane, granted: str) -> AsyncIterator[KubernetesCluster]:
    async with connect(str(control_plane.user_kubeconfig(RELEASER)), Metrics()) as connected:
        yield connected


@pytest.fixture
def operator(kubectl: Kubectl, namespace: str) -> None:
    """Provide the operator's Deployment; there are no controllers here, so it has no pods."""
    kubectl("-n", namespace, "create", "deployment", "firewatch", "--image=example.org/none:1")


async def put(cluster: KubernetesCluster, kind: Kind, body: Object) -> Object:
    metadata = body["metadata"]
    write = Write(Verb.CREATE, kind, metadata["namespace"], metadata["name"], body)
    return await cluster.write(write)


class Episode:
    """A Deployment that an AutoResponse has scaled from 2 to 4."""

    def __init__(self, cluster: KubernetesCluster, kubectl: Kubectl, namespace: str) -> None:
        self.cluster, self.kubectl, self.namespace = cluster, kubectl, namespace

    async def begin(self, name: str = "api", **ledger: object) -> None:
        make = ("create", "deployment", name, "--image=example.org/none:1", "--replicas=4")
        self.kubectl("-n", self.namespace, *make)
        target = await self.cluster.get(DEPLOYMENT, self.namespace, name)
        live = await self.response(name)
        claim = {
            "response": name,
            "uid": live["metadata"]["uid"],
            "alert": "0123456789abcdef",
            "alertName": "A",
            "floor": 4,
            "since": "2026-01-02T03:04:05.000Z",
        }
        written = {
            "schema": 1,
            "target": {"kind": "Deployment", "name": name, "uid": target["metadata"]["uid"]},
            "baseline": 2,
            "written": 4,
            "intended": 4,
            "changedAt": "2026-01-02T03:04:05.000Z",
            "claims": [claim],
            **ledger,
        }
        body = {"status": {"ledger": written}}
        write = Write(Verb.MERGE, AUTO_RESPONSE, self.namespace, name, body, "status")
        await self.cluster.write(write)

    async def response(self, name: str, *, finalizers: tuple[str, ...] = (FINALIZER,)) -> Object:
        body = {
            "apiVersion": API_VERSION,
            "kind": "AutoResponse",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "finalizers": [*finalizers],
            },
            "spec": {
                "trigger": {"alert": "A"},
                "target": {"name": name},
                "actions": [{"scaleUp": {"by": "100%", "maxReplicas": 6}}],
                "mode": "enforce",
            },
        }
        return await put(self.cluster, AUTO_RESPONSE, body)

    async def replicas(self, name: str = "api") -> int:
        return int((await self.cluster.get(DEPLOYMENT, self.namespace, name))["spec"]["replicas"])

    async def get(self, name: str = "api") -> Object:
        return await self.cluster.get(AUTO_RESPONSE, self.namespace, name)

    async def events(self, kind: str) -> set[str]:
        found = await self.cluster.list(EVENT, self.namespace)
        return {each["reason"] for each in found if each["involvedObject"]["kind"] == kind}


@pytest.fixture
def episode(cluster: KubernetesCluster, kubectl: Kubectl, namespace: str) -> Episode:
    return Episode(cluster, kubectl, namespace)


async def let_go(releaser: KubernetesCluster, namespace: str, seconds: float = 2) -> list[str]:
    wanted = Release(namespace, "firewatch", seconds)
    return await release(releaser, parse_settings({}), wanted, lambda _: None)


@pytest.mark.usefixtures("operator")
async def test_the_operator_is_stopped_and_what_is_owed_is_put_back(
    episode: Episode, releaser: KubernetesCluster, namespace: str
) -> None:
    await episode.begin()
    quiet = await episode.response("quiet", finalizers=())
    assert await let_go(releaser, namespace) == []
    assert await episode.replicas("firewatch") == 0
    assert await episode.replicas() == 2
    live = await episode.get()
    assert FINALIZER not in live["metadata"].get("finalizers", [])
    assert "ledger" not in live["status"]
    (accepted,) = (c for c in live["status"]["conditions"] if c["type"] == "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "Released")
    assert "Restored" in {entry["event"] for entry in live["status"]["history"]}
    assert "Restored" in await episode.events("Deployment")
    after = await episode.get("quiet")
    assert after["metadata"]["resourceVersion"] == quiet["metadata"]["resourceVersion"]


@pytest.mark.usefixtures("operator")
async def test_what_somebody_else_has_changed_is_left_alone(
    episode: Episode, releaser: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    await episode.begin()
    kubectl("-n", namespace, "scale", "deployment/api", "--replicas=7")
    assert await let_go(releaser, namespace) == []
    assert await episode.replicas() == 7
    assert "ledger" not in (await episode.get())["status"]


@pytest.mark.usefixtures("operator")
async def test_a_target_that_is_gone_holds_nothing_up(
    episode: Episode, releaser: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    await episode.begin()
    await episode.response("bare")
    kubectl("-n", namespace, "delete", "deployment/api")
    assert await let_go(releaser, namespace) == []
    for name in ("api", "bare"):
        assert "finalizers" not in (await episode.get(name))["metadata"]


@pytest.mark.usefixtures("operator")
async def test_one_that_cannot_be_put_back_is_named_and_the_others_are(
    episode: Episode, releaser: KubernetesCluster, namespace: str
) -> None:
    await episode.begin()
    await episode.begin("strange", schema=99)
    (line,) = await let_go(releaser, namespace)
    assert line.startswith(
        f"AutoResponse {namespace}/strange: Deployment strange is left at 4 replicas (baseline 2):"
        " the ledger has schema 99"
    )
    assert (await episode.replicas(), await episode.replicas("strange")) == (2, 4)
    assert (await episode.get("strange"))["status"]["ledger"]["schema"] == 99
    assert "RestoreOwed" in await episode.events("Deployment")


@pytest.mark.usefixtures("operator")
async def test_while_the_operator_has_a_pod_nothing_is_given_back(
    episode: Episode, releaser: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    await episode.begin()
    kubectl("-n", namespace, "create", "serviceaccount", "default")
    labels = "app.kubernetes.io/part-of=firewatch,app.kubernetes.io/component=operator"
    for pod in ("firewatch-0", "firewatch-1"):
        run = ("run", pod, "--image=example.org/none:1", f"--labels={labels}")
        kubectl("-n", namespace, *run)
    (line,) = await let_go(releaser, namespace, 1)
    assert line.startswith(f"the operator runs in pod firewatch-0, firewatch-1 of {namespace}")
    kubectl("-n", namespace, "delete", "pod/firewatch-0", "--grace-period=0", "--force")
    (line,) = await let_go(releaser, namespace, 1)
    assert line.startswith(f"the operator runs in pod firewatch-1 of {namespace}"), "one is enough"
    assert await episode.replicas() == 4


@pytest.mark.usefixtures("operator", "granted")
async def test_the_hook_fails_when_something_is_left(
    episode: Episode, control_plane: ControlPlane, namespace: str
) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-m", "firewatch.runbook.release", f"--namespace={namespace}"),
                *("--deployment=firewatch", "--timeout=1"),
            ],
            env={
                "KUBECONFIG": str(control_plane.user_kubeconfig(RELEASER)),
                "PYTHONPATH": str(ROOT / "operator"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    await episode.begin("strange", schema=99)
    failed = run()
    assert failed.returncode == 1
    assert f"left: AutoResponse {namespace}/strange" in failed.stderr
    await episode.begin()
    await episode.cluster.write(Write(Verb.DELETE, AUTO_RESPONSE, namespace, "strange", None))
    episode.kubectl(
        *("-n", namespace, "patch", "aresp/strange", "--type=merge"),
        *("-p", '{"metadata":{"finalizers":null}}'),
    )
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is owed to any target" in done.stdout

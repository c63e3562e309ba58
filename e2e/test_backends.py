"""What every backend of the cluster promises: one suite for those that this machine can have.

`chosen` is the one that all scenarios use: kind where Docker answers, else local. `given` is the
same cluster as somebody else's, of whom only the kubeconfig is known.
"""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pykube
import pytest

from e2e.cluster import binaries
from e2e.cluster.given import FORCE, HOST_ADDRESS, GivenBackend
from e2e.cluster.interface import Backend, Cluster, ClusterError
from e2e.cluster.oci import ScratchImage, scratch_image
from e2e.cluster.progress import SilentProgress
from e2e.installation import Testbed
from e2e.kubectl import Kubectl, Object, wait_for
from e2e.messages import WEBHOOK, record

NAMESPACE = "e2e-backends"
IMAGE = "localhost/firewatch-testbed/contract:1"
_PYTHON = "/opt/venv/bin/python3"


@pytest.fixture(scope="module", params=["chosen", "given"])
def backend(request: pytest.FixtureRequest, testbed: Testbed) -> Iterator[Backend]:
    if request.param == "chosen":
        yield testbed.backend
        return
    with pytest.MonkeyPatch.context() as patch:
        # A cluster of kind has a context of another name, and is meant all the same.
        patch.setenv(FORCE, "1")
        patch.setenv(HOST_ADDRESS, testbed.cluster.host_address or "")
        yield GivenBackend(testbed.cluster.kubeconfig)


@pytest.fixture(scope="module")
def cluster(backend: Backend) -> Cluster:
    return backend.up(SilentProgress())


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    found = Kubectl(cluster)
    made: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    found.apply(made)
    yield found
    found.delete("namespace", NAMESPACE)


def pod(name: str, image: str, command: list[str] | None = None) -> Object:
    container: Object = {"name": "main", "image": image, "imagePullPolicy": "Never"}
    if command:
        container["command"] = command
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def phase(kubectl: Kubectl, name: str) -> str:
    found = kubectl.get("pod", name, NAMESPACE)
    assert found
    return str(found["status"]["phase"])


def test_up_finds_what_is_up(backend: Backend, cluster: Cluster) -> None:
    assert backend.up(SilentProgress()) == cluster
    status = backend.status()
    assert (status.state, status.kubeconfig) == ("up", cluster.kubeconfig)


def test_the_kubeconfig_is_an_administrators(cluster: Cluster, kubectl: Kubectl) -> None:
    config = pykube.KubeConfig.from_file(cluster.kubeconfig)
    assert config.current_context == cluster.context
    api = pykube.HTTPClient(config)
    assert cluster.version.startswith("v{}.{}".format(*api.version))
    assert [node.name for node in pykube.Node.objects(api)]
    assert kubectl.run("auth", "can-i", "*", "*", "--all-namespaces").strip() == "yes"


@pytest.mark.parametrize(
    "arguments",
    [("kubectl", "version", "--client"), ("helm", "version"), ("promtool", "--version")],
)
def test_the_tools_are_there(cluster: Cluster, arguments: tuple[str, ...]) -> None:
    program, *rest = arguments
    subprocess.run([cluster.tools / program, *rest], capture_output=True, check=True)


def test_an_archive_becomes_an_image_that_pods_run(
    backend: Backend, cluster: Cluster, kubectl: Kubectl
) -> None:
    program = binaries.ensure(["pause"], SilentProgress()) / "pause"
    archive = scratch_image(ScratchImage(IMAGE, {"/bin/pause": program}, ["/bin/pause"]))
    if cluster.backend == "given":
        with pytest.raises(ClusterError, match="registry"):
            backend.load_image(archive)
        return
    assert list(backend.load_image(archive)) == [IMAGE]
    kubectl.apply(pod("contract", IMAGE))
    wait_for("the pod to run", lambda: phase(kubectl, "contract") == "Running", seconds=90)


def test_the_audit_log_has_what_was_asked(cluster: Cluster, kubectl: Kubectl) -> None:
    if cluster.audit_log is None:
        assert cluster.backend == "given"
        return
    log: Path = cluster.audit_log
    seen = log.stat().st_size
    kubectl.get("configmap", "asked-for-by-the-contract", NAMESPACE)

    def is_there() -> bool:
        with log.open() as lines:
            lines.seek(seen)
            found = (json.loads(line) for line in lines if line.endswith("\n"))
            names = [each.get("objectRef", {}).get("name") for each in found]
        return "asked-for-by-the-contract" in names

    wait_for("the call in the audit log", is_there, seconds=30)


def test_this_machine_reaches_pods_and_they_reach_it(
    cluster: Cluster, kubectl: Kubectl, testbed: Testbed
) -> None:
    assert cluster.host_address
    image = testbed.images.example_app
    with record(cluster.host_address) as recorder:
        request = f"urllib.request.Request({recorder.webhook_url!r}, b'{{}}', method='POST')"
        code = f"import urllib.request; urllib.request.urlopen({request})"
        kubectl.apply(pod("caller", image, [_PYTHON, "-c", code]))
        wait_for("the pod's request", lambda: recorder.messages(WEBHOOK), seconds=90)
    server = pod("server", image, [_PYTHON, "-m", "http.server", "8000"])
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server", "namespace": NAMESPACE},
        "spec": {"type": "NodePort", "selector": {"app": "server"}, "ports": [{"port": 8000}]},
    }
    kubectl.apply(server, service)
    made = kubectl.get("service", "server", NAMESPACE)
    assert made
    url = f"http://{cluster.node_address}:{made['spec']['ports'][0]['nodePort']}/"

    def answers() -> bool:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)

    wait_for("the pod's answer", answers, seconds=90)


def test_a_given_cluster_is_not_taken_down(
    testbed: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FORCE, "1")
    given = GivenBackend(testbed.cluster.kubeconfig)
    given.down(SilentProgress())
    assert given.status().state == "up"

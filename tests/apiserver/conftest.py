"""A real etcd and kube-apiserver for the whole run, with our CRDs; no controllers, no nodes."""

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from firewatch.cluster.client import KubernetesCluster, connect
from firewatch.metrics import Metrics
from tests.apiserver.deployed import install_crds
from tests.apiserver.kubectl import Kubectl, KubectlError, kubectl_of
from tests.apiserver.restoring import store
from tests.apiserver.scene import quick_kubelet, ready, scene
from tests.apiserver.world import Recorder, World, make_world

ROOT = Path(__file__).parents[2]

__all__ = ["Kubectl", "KubectlError", "quick_kubelet", "ready", "scene", "store"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.apiserver)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Return an API server that runs for the session."""
    folder = tmp_path_factory.mktemp("control-plane")
    with ControlPlane.prepare(folder, ConsoleProgress()) as control:
        yield control


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """Return kubectl as the administrator."""
    return kubectl_of(control_plane.kubeconfig, tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="session")
def crds(kubectl: Kubectl) -> str:
    """Apply our CRDs as a user does and return what kubectl said, once they are served."""
    return install_crds(kubectl)


@pytest_asyncio.fixture(scope="session")
async def cluster(
    control_plane: ControlPlane, metrics: Metrics
) -> AsyncIterator[KubernetesCluster]:
    """Return the operator's own client, as the administrator."""
    async with connect(str(control_plane.kubeconfig), metrics) as connected:
        yield connected


@pytest.fixture(scope="session")
def metrics() -> Metrics:
    """Return the metrics that the client counts its writes in."""
    return Metrics()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Return numbers for names and addresses that must differ, also beside other workers."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return itertools.count(10_000 * int(worker))


@pytest.fixture
def namespaces(kubectl: Kubectl, numbers: Iterator[int]) -> Callable[[], str]:
    """Return a function that makes a namespace and returns its name."""

    def make() -> str:
        name = f"test-{next(numbers)}"
        kubectl("create", "namespace", name)
        return name

    return make


@pytest.fixture
def namespace(namespaces: Callable[[], str]) -> str:
    """Return the name of a new namespace."""
    return namespaces()


@pytest.fixture(scope="module")
def role(kubectl: Kubectl, crds: str) -> Iterator[None]:
    """Provide the ClusterRole that stacks bind."""
    text = kubectl(
        *("create", "clusterrole", "firewatch-prometheus", "--verb=get", "--resource=pods"),
        *("--dry-run=client", "-o", "json"),
    )
    kubectl("apply", "-f", "-", text=text)
    yield
    kubectl("delete", "clusterrole", "firewatch-prometheus")


@pytest_asyncio.fixture
async def world(
    cluster: KubernetesCluster, namespace: str, kubectl: Kubectl
) -> AsyncIterator[World]:
    """Return a new namespace with passes over its stacks.

    Whatever stacks there are go with it: an operator of the next test would look after them too.
    """
    async with aiohttp.ClientSession() as session:
        yield make_world(Recorder(cluster), session, namespace=namespace, kubectl=kubectl)
    kubectl("delete", "mstack,apol", "--all", "--all-namespaces", "--wait=false")

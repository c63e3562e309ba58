"""A control plane of a test's own, whose etcd can be put back to where it was."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from tests.apiserver.deployed import install_crds, wait_served
from tests.apiserver.kubectl import Kubectl, kubectl_of


@dataclass(frozen=True)
class Store:
    """A control plane whose etcd can be put back to where it was."""

    control_plane: ControlPlane
    kubectl: Kubectl
    data: Path

    @property
    def copy(self) -> Path:
        return self.data.with_name("etcd-copy")

    def save(self) -> None:
        """Copy etcd's data while nothing writes to them."""
        self.control_plane.stop()
        shutil.copytree(self.data, self.copy)
        self.control_plane.start()
        wait_served(self.kubectl)

    def restore(self) -> None:
        """Put the copy in place of what etcd has."""
        self.control_plane.stop()
        shutil.rmtree(self.data)
        shutil.move(self.copy, self.data)
        self.control_plane.start()
        wait_served(self.kubectl)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a control plane with our CRDs."""
    with ControlPlane.prepare(tmp_path, ConsoleProgress()) as control_plane:
        kubectl = kubectl_of(control_plane.kubeconfig, tmp_path)
        install_crds(kubectl)
        yield Store(control_plane, kubectl, tmp_path / "etcd")

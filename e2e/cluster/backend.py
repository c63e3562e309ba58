"""Chooses which backend this machine uses; what a backend is stands in `interface`."""

import os
import platform
from pathlib import Path

from e2e.cluster.given import KUBECONFIG, GivenBackend
from e2e.cluster.interface import (
    Backend,
    Cluster,
    ClusterError,
    ProcessState,
    Progress,
    Status,
    Step,
)
from e2e.cluster.local import LocalBackend

__all__ = [
    "Backend",
    "Cluster",
    "ClusterError",
    "ProcessState",
    "Progress",
    "Status",
    "Step",
    "choose",
]


def choose() -> Backend:
    """Return the given cluster's backend if there is one, else the local one."""
    if kubeconfig := os.environ.get(KUBECONFIG):
        return GivenBackend(Path(kubeconfig).expanduser().absolute())
    if platform.system() == "Linux" and os.geteuid() == 0:
        return LocalBackend()
    raise ClusterError(
        "There is no cluster to use. Either run as root on Linux, where a local cluster is built "
        f"from source, or set {KUBECONFIG} to the kubeconfig of a cluster whose context is named "
        "`firewatch-...`.",
    )

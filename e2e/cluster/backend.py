"""Chooses which backend this machine uses; what a backend is stands in `interface`."""

import os
import platform
from pathlib import Path

from e2e.cluster.docker import docker
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


BACKEND = "FIREWATCH_BACKEND"


def choose() -> Backend:
    """Return the given cluster's backend if there is one, else kind's in Docker, else the local.

    FIREWATCH_BACKEND set to `kind` or `local` asks for that one.
    """
    wanted = os.environ.get(BACKEND, "")
    if wanted not in ("", "given", "kind", "local"):
        raise ClusterError(f"{BACKEND} is {wanted!r}; it may be `given`, `kind` or `local`.")
    if wanted in ("", "given") and (kubeconfig := os.environ.get(KUBECONFIG)):
        return GivenBackend(Path(kubeconfig).expanduser().absolute())
    if wanted in ("", "kind") and docker().answers():
        return _kind()
    if wanted in ("", "local") and platform.system() == "Linux" and os.geteuid() == 0:
        return LocalBackend()
    raise ClusterError(
        f"There is no {wanted + ' ' if wanted else ''}cluster to use. Run as root on Linux, where a "
        "local cluster is built from source, or start Docker for one of kind, or set "
        f"{KUBECONFIG} to the kubeconfig of a cluster whose context is named `firewatch-...`.",
    )


def _kind() -> Backend:
    # Imported when it is used, since pytest-kind is for development only.
    from e2e.cluster.kind import KindBackend  # noqa: PLC0415

    return KindBackend(docker())

"""A cluster that somebody else runs: used as it is, and never brought up or down."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster import binaries
from e2e.cluster.interface import Cluster, ClusterError, Progress, Status

KUBECONFIG = "FIREWATCH_KUBECONFIG"
FORCE = "FIREWATCH_KUBECONFIG_FORCE"
AUDIT_LOG = "FIREWATCH_AUDIT_LOG"
HOST_ADDRESS = "FIREWATCH_HOST_ADDRESS"
_TOOLS = ("kubectl", "helm", "promtool")


class GivenBackend:
    """The cluster of the kubeconfig in the environment."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._context = _current_context(kubeconfig)
        if not self._context.startswith("firewatch-") and os.environ.get(FORCE) != "1":
            raise ClusterError(
                f"The current context of {kubeconfig} is {self._context!r}. Tests change and "
                "delete things, so only a context whose name begins with `firewatch-` is used; "
                f"set {FORCE}=1 if this cluster is really meant.",
            )

    def up(self, progress: Progress) -> Cluster:
        """Find the cluster; it must be up."""
        tools = binaries.ensure(_TOOLS, progress)
        audit_log = os.environ.get(AUDIT_LOG)
        with progress.step(f"Asking the cluster of {self._kubeconfig}"):
            version = self._kubectl(tools, "version", "--output=yaml")["serverVersion"]
            nodes = self._kubectl(tools, "get", "nodes", "--output=yaml")["items"]
        if not nodes:
            raise ClusterError(f"The cluster of {self._kubeconfig} has no nodes.")
        return Cluster(
            backend="given",
            version=version["gitVersion"],
            kubeconfig=self._kubeconfig,
            context=self._context,
            audit_log=Path(audit_log) if audit_log else None,
            tools=tools,
            node_address=_internal_address(nodes[0]),
            host_address=os.environ.get(HOST_ADDRESS),
            pulls=True,
        )

    def down(self, progress: Progress) -> None:
        """Leave the cluster alone."""
        with progress.step(f"Leaving the cluster of {self._kubeconfig} alone: it is not ours"):
            pass

    def status(self) -> Status:
        """Ask whether the cluster calls itself ready."""
        folder = binaries.binaries_folder()
        try:
            self._kubectl(folder, "get", "--raw=/readyz")
        except ClusterError as error:
            return Status("given", "down", str(error), self._kubeconfig)
        return Status("given", "up", f"context {self._context}", self._kubeconfig)

    def load_image(self, archive: Path) -> Sequence[str]:
        """Refuse: only whoever runs the cluster can reach its nodes."""
        raise ClusterError(
            f"{archive.name} cannot be loaded into a given cluster. Push it to a registry that "
            "the cluster pulls from.",
        )

    def _kubectl(self, tools: Path, *arguments: str) -> Any:
        built = tools / "kubectl"
        program = str(built) if built.exists() else "kubectl"
        command = [program, f"--kubeconfig={self._kubeconfig}", *arguments]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise ClusterError("There is no kubectl to ask the cluster with.") from error
        if result.returncode:
            raise ClusterError(f"kubectl {arguments[0]} failed: {result.stderr.strip()}")
        return yaml.safe_load(result.stdout)


def _current_context(kubeconfig: Path) -> str:
    try:
        content = yaml.safe_load(kubeconfig.read_text())
        return str(content["current-context"])
    except FileNotFoundError as error:
        raise ClusterError(f"{KUBECONFIG} names {kubeconfig}, which is not there.") from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ClusterError(f"{kubeconfig} is not a kubeconfig with a current context.") from error


def _internal_address(node: Any) -> str:
    addresses = {each["type"]: each["address"] for each in node["status"]["addresses"]}
    return str(addresses["InternalIP"])

"""A cluster of kind, in this machine's Docker; pytest-kind's `KindCluster` does the work.

**Not run by us yet**: it was written where there is no Docker. What is checked there is that
pytest-kind's real code takes these calls, and that the real kind takes the command lines and the
configuration (tests/unit/test_kind.py, tests/golden/test_kind_program.py).

pytest-kind would download old versions of kind and kubectl, so it is always given today's. It is
licensed under the GPL and belongs to the development group; nothing else may import it.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pykube
import yaml
from pytest_kind import KindCluster

from e2e.cluster import binaries
from e2e.cluster.controlplane import AUDIT_LOG_MEGABYTES
from e2e.cluster.docker import Docker
from e2e.cluster.files import write_atomically
from e2e.cluster.interface import Cluster, ClusterError, Progress, Status
from e2e.cluster.oci import archive_images
from e2e.cluster.places import cache_root
from e2e.cluster.processes import wait_until
from e2e.cluster.programs import program
from e2e.cluster.progress import SilentProgress

NAME = "firewatch"
NOT_RUN = "not run by us"
NODE_IMAGE = (
    "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5"
)
"""The default of the kind that is used: a node image belongs to a release of kind."""

_TOOLS = ("kubectl", "helm", "promtool")
_NETWORK = "kind"
_AUDIT_POLICY = Path(__file__).parent / "manifests" / "audit-policy.yaml"
_AUDIT_FOLDER = "/var/log/firewatch-audit"
_POLICY_IN_NODE = "/etc/firewatch-audit-policy.yaml"


class KindBackend:
    """The one kind cluster that is ours."""

    def __init__(self, docker: Docker, folder: Path | None = None) -> None:
        self._docker = docker
        self._folder = folder or cache_root() / "kind"
        self._kubeconfig = self._folder / "kubeconfig"

    def up(self, progress: Progress) -> Cluster:
        """Bring the cluster up, or find it up."""
        with progress.step(f"The kind backend: {NOT_RUN}"):
            kind, tools = program("kind", progress), binaries.ensure(_TOOLS, progress)
        with progress.step(f"Cluster {NAME} of kind"):
            self._recover_kubeconfig(kind)
            cluster = self._cluster(kind, tools / "kubectl")
            cluster.create(self._write_configuration())
            node = _ready_node(cluster.api)
        version = yaml.safe_load(cluster.kubectl("version", "--output=yaml"))["serverVersion"]
        return Cluster(
            backend="kind",
            version=str(version["gitVersion"]),
            kubeconfig=self._kubeconfig,
            context=f"kind-{NAME}",
            audit_log=self._folder / "audit" / "audit.log",
            tools=tools,
            node_address=_internal_address(node),
            host_address=self._docker.gateway(_NETWORK),
            pulls=True,
        )

    def down(self, progress: Progress) -> None:
        """Delete the cluster and its files."""
        with progress.step(f"Deleting cluster {NAME} of kind ({NOT_RUN})"):
            kind = program("kind", progress)
            self._cluster(kind, binaries.binaries_folder() / "kubectl").delete()
            shutil.rmtree(self._folder)

    def status(self) -> Status:
        """Ask the cluster for its version, if there is one."""
        if not self._kubeconfig.exists():
            return Status("kind", "down", f"no cluster {NAME} of kind ({NOT_RUN})", None)
        try:
            api = pykube.HTTPClient(pykube.KubeConfig.from_file(self._kubeconfig))
            major, minor = api.version
        except (OSError, KeyError, pykube.exceptions.KubernetesError) as error:
            return Status("kind", "partial", f"no answer: {error}", self._kubeconfig)
        detail = f"Kubernetes {major}.{minor}, context kind-{NAME} ({NOT_RUN})"
        return Status("kind", "up", detail, self._kubeconfig)

    def load_image(self, archive: Path) -> Sequence[str]:
        """Put an archive's images on the node; pytest-kind can do so with Docker's own only."""
        names = list(archive_images(archive))
        if not names:
            raise ClusterError(f"{archive} names no image.")
        kind = program("kind", SilentProgress())
        _run([str(kind), "load", "image-archive", str(archive), f"--name={NAME}"])
        return names

    def _cluster(self, kind: Path, kubectl: Path) -> KindCluster:
        self._folder.mkdir(parents=True, exist_ok=True)
        # It makes a folder `.pytest-kind` in the current one, whatever it is given.
        with contextlib.chdir(self._folder):
            return KindCluster(
                NAME,
                self._kubeconfig,
                image=NODE_IMAGE,
                kind_path=kind,
                kubectl_path=kubectl,
            )

    def _recover_kubeconfig(self, kind: Path) -> None:
        """Have kind write the kubeconfig of a cluster whose file is gone.

        pytest-kind makes an empty file first and would then read that.
        """
        if self._kubeconfig.exists() and self._kubeconfig.stat().st_size:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        if NAME in _run([str(kind), "get", "clusters"]).splitlines():
            _run(
                [
                    str(kind),
                    "export",
                    "kubeconfig",
                    f"--name={NAME}",
                    f"--kubeconfig={self._kubeconfig}",
                ]
            )

    def _write_configuration(self) -> Path:
        """Write kind's configuration: one node, with an audit log that this machine can read."""
        audit = self._folder / "audit"
        audit.mkdir(parents=True, exist_ok=True)
        path = self._folder / "kind.yaml"
        write_atomically(path, yaml.safe_dump(_configuration(audit), sort_keys=False))
        return path


def _configuration(audit: Path) -> dict[str, object]:
    """Describe the node; the API server's flags are added to kind's own, not put in their place."""
    flags = {
        "audit-policy-file": _POLICY_IN_NODE,
        "audit-log-path": f"{_AUDIT_FOLDER}/audit.log",
        "audit-log-maxsize": str(AUDIT_LOG_MEGABYTES),
    }
    volumes = [
        _volume("policy", _POLICY_IN_NODE, "File", read_only=True),
        _volume("log", _AUDIT_FOLDER, "DirectoryOrCreate", read_only=False),
    ]
    operations = [
        *(
            {"op": "add", "path": "/apiServer/extraArgs/-", "value": {"name": name, "value": value}}
            for name, value in flags.items()
        ),
        {"op": "add", "path": "/apiServer/extraVolumes", "value": volumes},
    ]
    patch = {"group": "kubeadm.k8s.io", "version": "v1beta4", "kind": "ClusterConfiguration"}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [
            {
                "role": "control-plane",
                "extraMounts": [
                    {"hostPath": str(_AUDIT_POLICY), "containerPath": _POLICY_IN_NODE},
                    {"hostPath": str(audit), "containerPath": _AUDIT_FOLDER},
                ],
            }
        ],
        "kubeadmConfigPatchesJSON6902": [{**patch, "patch": yaml.safe_dump(operations)}],
    }


def _volume(name: str, path: str, kind: str, *, read_only: bool) -> dict[str, object]:
    return {
        "name": f"audit-{name}",
        "hostPath": path,
        "mountPath": path,
        "readOnly": read_only,
        "pathType": kind,
    }


def _ready_node(api: pykube.HTTPClient) -> pykube.Node:
    """Wait for the node; kind returns before it is ready."""
    if not wait_until(lambda: any(map(_is_ready, pykube.Node.objects(api))), timeout=120):
        raise ClusterError(f"The node of cluster {NAME} of kind was not ready in 120s.")
    return next(iter(pykube.Node.objects(api)))


def _is_ready(node: pykube.Node) -> bool:
    conditions = node.obj.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _internal_address(node: pykube.Node) -> str:
    addresses = {each["type"]: each["address"] for each in node.obj["status"]["addresses"]}
    return str(addresses["InternalIP"])


def _run(command: Sequence[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(f"{' '.join(command)} failed: {result.stderr.strip()[-2000:]}")
    return result.stdout

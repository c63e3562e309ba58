"""The node: the container runtime, the kubelet and what else runs beside the API server."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.api import write_kubeconfig
from e2e.cluster.cgroups import PODS
from e2e.cluster.controlplane import CONTEXT, SERVICE_CIDR, ControlPlane
from e2e.cluster.debian import Programs
from e2e.cluster.files import write_atomically
from e2e.cluster.images import PAUSE_IMAGE
from e2e.cluster.interface import ClusterError
from e2e.cluster.network import DNS_IP, NODE_IP, POD_CIDR, cni_configuration
from e2e.cluster.places import Places
from e2e.cluster.processes import Command

NODE_NAME = "firewatch-node"
HPA_PERIOD = "FIREWATCH_HPA_SYNC_PERIOD"
"""Variable by which a benchmark has autoscalers looked at more often than every 15 s."""
_FIXED_FOLDERS = (
    *(Path("/var/log/pods"), Path("/var/log/containers")),
    *(Path("/var/lib/kubelet"), Path("/var/lib/cni")),
)
_SHIM_SOCKETS = (Path("/run/containerd/s"), Path("/run/containerd"))


@dataclass(frozen=True)
class Node:
    """Writes configurations and gives the commands that run a node."""

    places: Places
    programs: Programs
    binaries: Path
    control: ControlPlane

    def containerd(self) -> Command:
        """Return the container runtime's command."""
        network = self.places.node / "cni"
        cni = cni_configuration(self.places.run / "addresses")
        write_atomically(network / "10-firewatch.conflist", cni)
        path = self.places.node / "containerd.toml"
        write_atomically(path, self._containerd_configuration(network))
        arguments = [str(self.programs.path("containerd")), "--config", str(path)]
        return Command("containerd", arguments, self.programs.environment, [path])

    def kubelet(self) -> Command:
        """Return the kubelet's command."""
        path = self._write("kubelet.yaml", self._kubelet_configuration())
        write_atomically(self.places.node / "resolv.conf", _resolver_configuration())
        user = f"system:node:{NODE_NAME}"
        arguments = [
            *(str(self.binaries / "kubelet"), f"--config={path}"),
            f"--kubeconfig={self._kubeconfig('kubelet', user, 'system:nodes')}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_IP}",
            # Deprecated, but the only way to name the socket for metrics of single containers.
            f"--containerd={self.places.containerd_socket}",
            f"--root-dir={self.places.node / 'kubelet'}",
            f"--cert-dir={self.places.node / 'kubelet' / 'pki'}",
        ]
        return Command("kubelet", arguments, self.programs.environment, [path])

    def kube_proxy(self) -> Command:
        """Return the service proxy's command."""
        configuration = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {
                "kubeconfig": str(self._kubeconfig("kube-proxy", "system:kube-proxy")),
            },
            "hostnameOverride": NODE_NAME,
            "clusterCIDR": POD_CIDR,
            "bindAddress": NODE_IP,
            "healthzBindAddress": f"{NODE_IP}:10256",
            "metricsBindAddress": f"{NODE_IP}:10249",
            # Zero leaves the machine's settings alone.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
        path = self._write("kube-proxy.yaml", configuration)
        arguments = [str(self.binaries / "kube-proxy"), f"--config={path}"]
        return Command("kube-proxy", arguments, self.programs.environment, [path])

    def controller_manager(self) -> Command:
        """Return the controllers' command."""
        authority, keys = self.control.authority.pair, self.control.service_account_keys
        name = "kube-controller-manager"
        arguments = [
            *(str(self.binaries / name), *self._delegated(name)),
            f"--service-account-private-key-file={keys.key}",
            f"--root-ca-file={authority.certificate}",
            f"--cluster-signing-cert-file={authority.certificate}",
            f"--cluster-signing-key-file={authority.key}",
            "--use-service-account-credentials=true",
            "--allocate-node-cidrs=true",
            f"--cluster-cidr={POD_CIDR}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--flex-volume-plugin-dir={self.places.node / 'volume-plugins'}",
            # One node that is slow for a while is still the only one: be patient with it.
            "--node-monitor-grace-period=2m",
        ]
        if period := os.environ.get(HPA_PERIOD):
            arguments.append(f"--horizontal-pod-autoscaler-sync-period={period}")
        return Command(name, arguments, kept=True)

    def scheduler(self) -> Command:
        """Return the scheduler's command.

        It ends itself where its cache contradicts the API server, as may be after that was restarted.
        """
        name = "kube-scheduler"
        return Command(name, [str(self.binaries / name), *self._delegated(name)], kept=True)

    def _delegated(self, name: str) -> list[str]:
        """Return the flags by which a part reaches the API server and lets it judge callers."""
        kubeconfig = self._kubeconfig(name, f"system:{name}")
        return [
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--bind-address={NODE_IP}",
            "--leader-elect=false",
        ]

    def _kubeconfig(self, name: str, user: str, group: str = "") -> Path:
        path = self.places.node / f"{name}.kubeconfig"
        access = self.control.access(name, user, groups=[group] if group else [])
        write_kubeconfig(path, access, CONTEXT)
        return path

    def _write(self, name: str, configuration: Mapping[str, Any]) -> Path:
        path = self.places.node / name
        write_atomically(path, yaml.safe_dump(configuration, sort_keys=False))
        return path

    def _kubelet_configuration(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            **self._kubelet_server(),
            "clusterDNS": [DNS_IP],
            "clusterDomain": "cluster.local",
            "resolvConf": str(self.places.node / "resolv.conf"),
            "containerRuntimeEndpoint": f"unix://{self.places.containerd_socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{PODS.name}",
            "failCgroupV1": False,
            "failSwapOn": False,
            # For old service proxies; it would write into the machine's iptables.
            "makeIPTablesUtilChains": False,
            "volumePluginDir": str(self.places.node / "volume-plugins"),
            "maxPods": 200,
            "serializeImagePulls": False,
            # A developer's full disk is no reason to evict tests.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "0%",
                "nodefs.inodesFree": "0%",
                "imagefs.available": "0%",
            },
        }

    def _kubelet_server(self) -> dict[str, Any]:
        """Return how the kubelet serves logs, exec and metrics, and to whom."""
        serving = self.control.authority.issue(
            "kubelet-serving",
            f"system:node:{NODE_NAME}",
            groups=["system:nodes"],
            names=[NODE_NAME],
            addresses=[NODE_IP],
        )
        authority = str(self.control.authority.pair.certificate)
        return {
            "address": NODE_IP,
            "healthzBindAddress": NODE_IP,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": authority},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(serving.certificate),
            "tlsPrivateKeyFile": str(serving.key),
        }

    def _containerd_configuration(self, network: Path) -> str:
        plugins = self.programs.path("ptp").parent
        return _CONTAINERD.format(
            root=_quoted(self.places.node / "containerd"),
            containers=_quoted(self.places.run / "runc"),
            optional=_quoted(self.places.node / "optional"),
            state=_quoted(self.places.run / "containerd"),
            socket=_quoted(self.places.containerd_socket),
            pause=_quoted(PAUSE_IMAGE),
            runc=_quoted(self.programs.path("runc")),
            plugins=_quoted(plugins),
            network=_quoted(network),
        )


def clear_runtime_state(places: Places) -> None:
    """Forget what was true for processes that are gone, as a restart of a machine does."""
    unmount_below(places.run)
    for address in (places.run / "containerd").rglob("address"):
        # A shim's socket lies outside the state folder, by a hashed name.
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
    for folder in ("containerd", "runc", "addresses"):
        shutil.rmtree(places.run / folder, ignore_errors=True)


def claim_folders(places: Places) -> None:
    """Remember which of the folders whose places are fixed were not there before."""
    path = places.node / "brought-folders.json"
    if not path.exists():
        missing = [str(folder) for folder in _FIXED_FOLDERS if not folder.exists()]
        write_atomically(path, json.dumps(missing))


def release_folders(places: Places) -> None:
    """Remove the folders that this cluster brought."""
    path = places.node / "brought-folders.json"
    if path.exists():
        for folder in json.loads(path.read_text()):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in _SHIM_SOCKETS:
        with suppress(OSError):
            folder.rmdir()


def share_root_mount(places: Places) -> None:
    """Let mounts reach into containers that ask for it, as on every machine run by systemd."""
    if not _root_is_shared():
        write_atomically(places.node / "root-mount-was-private", "")
        subprocess.run(["mount", "--make-shared", "/"], check=True)


def unshare_root_mount(places: Places) -> None:
    """Put the root mount back as it was."""
    if (places.node / "root-mount-was-private").exists():
        subprocess.run(["mount", "--make-private", "/"], check=True)


def _root_is_shared() -> bool:
    lines = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    # Optional fields, of which this is one, stand between the sixth and a dash.
    return any(
        line[4] == "/" and any(part.startswith("shared:") for part in line) for line in lines
    )


def unmount_below(folder: Path) -> None:
    """Unmount everything mounted below a folder, the innermost first."""
    for mount in _mounts_below(folder):
        result = subprocess.run(["umount", mount], capture_output=True, check=False)
        if result.returncode:
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
    # Whoever removes the folder next must not reach through a mount into something else.
    if left := _mounts_below(folder):
        raise ClusterError(f"These are still mounted: {', '.join(left)}")


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in reversed(points) if point.startswith(f"{folder}/")]


def _resolver_configuration() -> str:
    """Return the machine's name servers, without those that only the machine itself can reach."""
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    reachable = [server for server in servers if not server.startswith(("127.", "::1"))]
    # Nothing listens on the node's address: outside names are then refused at once.
    return "".join(f"nameserver {server}\n" for server in reachable or [NODE_IP])


def _quoted(value: Path | str) -> str:
    """Return a TOML string, which for these values is written as in JSON."""
    return json.dumps(str(value))


# `restrict_oom_score_adj`: without CAP_SYS_RESOURCE nobody may lower the score, and every pod
# would die at its start.
_CONTAINERD = """\
version = 2
root = {root}
state = {state}
[grpc]
  address = {socket}
[plugins."io.containerd.internal.v1.opt"]
  path = {optional}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {pause}
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = {runc}
        Root = {containers}
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {plugins}
    conf_dir = {network}
"""

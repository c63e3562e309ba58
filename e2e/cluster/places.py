"""Where things are kept: everything lives below one folder, so that it can be removed whole."""

from dataclasses import dataclass
from pathlib import Path


def cache_root() -> Path:
    """Return the folder that holds all of Firewatch's built and downloaded files."""
    return Path.home() / ".cache" / "firewatch"


@dataclass(frozen=True)
class Places:
    """The folders of one local cluster."""

    root: Path

    @property
    def control(self) -> Path:
        """The control plane: etcd's data, certificates, kubeconfig, audit log."""
        return self.root / "control"

    @property
    def node(self) -> Path:
        """The node: the kubelet's and containerd's data."""
        return self.root / "node"

    @property
    def run(self) -> Path:
        """What is true only while processes live: records, sockets, runtime state."""
        return self.root / "run"

    @property
    def records(self) -> Path:
        """Who was started: one file per process."""
        return self.run / "processes"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.root / "logs"

    @property
    def volumes(self) -> Path:
        """One folder per PersistentVolume."""
        return self.root / "volumes"

    @property
    def containerd_socket(self) -> Path:
        """The container runtime's socket."""
        return self.run / "containerd.sock"


def local_cluster() -> Places:
    """Return the places of the one local cluster that a machine can have."""
    # Real paths, since the kernel reports mounts by them.
    return Places(cache_root().resolve() / "cluster")

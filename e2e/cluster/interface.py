"""What every cluster backend offers, so that nothing above knows which one runs."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ClusterError(Exception):
    """The cluster cannot be had; the message tells a person what to do."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster and where its parts are."""

    backend: str
    """Which backend runs it: `given`, `kind` or `local`."""
    version: str
    """The API server's version, such as `v1.36.3`."""
    kubeconfig: Path
    """Administrator access; the context below is its current one."""
    context: str
    audit_log: Path | None
    """One JSON event per API call, or None where the backend cannot give it."""
    tools: Path
    """A folder with kubectl, helm and promtool."""
    node_address: str
    """An address at which the host reaches the node's NodePorts."""
    host_address: str | None = None
    """An address of this machine that pods reach, or None where there is none."""
    pulls: bool = False
    """Whether the nodes get published images by themselves, so that none need be assembled."""


@dataclass(frozen=True)
class ProcessState:
    """One recorded process of a cluster."""

    name: str
    pid: int
    running: bool


@dataclass(frozen=True)
class Status:
    """What is there now, for people and for scripts."""

    backend: str
    state: str
    """`up`, `partial` (some of it runs) or `down`."""
    detail: str
    kubeconfig: Path | None
    processes: Sequence[ProcessState] = ()


class Step(Protocol):
    """One step under way."""

    def detail(self, text: str) -> None:
        """Tell what is being done inside the step."""


class Progress(Protocol):
    """How a backend tells a person that it still works."""

    def step(self, title: str) -> AbstractContextManager[Step]:
        """Open a step that ends, with its time taken, when the context does."""


class Backend(Protocol):
    """One way to have a cluster."""

    def up(self, progress: Progress) -> Cluster:
        """Bring the cluster up, or find it up; safe to repeat after any interruption."""

    def down(self, progress: Progress) -> None:
        """Remove the cluster and everything that it left on the machine."""

    def status(self) -> Status:
        """Look without changing anything."""

    def load_image(self, archive: Path) -> Sequence[str]:
        """Put the images of an OCI or Docker archive on the nodes; return their names."""

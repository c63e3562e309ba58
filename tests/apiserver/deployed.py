"""Firewatch's CRDs in an API server, and the operator's own process beside it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.kubectl import wait_for
from tests.apiserver.kubectl import Kubectl

ROOT = Path(__file__).parents[2]


def install_crds(kubectl: Kubectl) -> str:
    """Apply our CRDs as a user does and return what kubectl said, once they are served."""
    said = kubectl("apply", "-f", str(ROOT / "crds"))
    wait_served(kubectl)
    return said


def wait_served(kubectl: Kubectl, kinds: str = "mstack,apol,aresp,rpol") -> None:
    """Wait until the API server serves kinds, ours if none are named.

    ``kubectl wait`` fails on a definition that is so new that it has no conditions yet.
    """
    wait_for(f"{kinds} to be served", lambda: kubectl("get", kinds, "-A", "-o", "json"))


@dataclass(frozen=True)
class OperatorProcess:
    """The operator as it runs in its pod."""

    process: "subprocess.Popen[bytes]"
    log: Path
    receiver: int
    """Port of its alert receiver."""
    health: int
    """Port of its health and metrics."""

    def memory(self, what: str = "VmRSS") -> float:
        """Return its memory in MiB, at present or, as ``VmHWM``, at its highest so far."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) / 1024
        raise AssertionError(f"nothing is known of {what}")

    def said(self) -> str:
        """Return its log so far."""
        return self.log.read_text()

    def wait_working(self) -> None:
        """Wait until it has begun to work."""
        deadline = time.monotonic() + 120
        while "the operator works" not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def wait_ended(self) -> int:
        """Wait until it has ended by itself; return its exit status."""
        return self.process.wait(timeout=120)


@contextmanager
def operator_process(
    kubeconfig: Path, folder: Path, more: Mapping[str, str] | None = None
) -> Iterator[OperatorProcess]:
    """Start the operator, granted every namespace, with more settings, and end it in order."""
    health, receiver = _free_ports(2)
    settings = {
        "KUBECONFIG": str(kubeconfig),
        # Where its Lease is.
        "FIREWATCH_NAMESPACE": "default",
        "FIREWATCH_STACK_NAMESPACES": "*",
        "FIREWATCH_TARGET_NAMESPACES": "*",
        "FIREWATCH_SOURCE_NAMESPACES": "*",
        "FIREWATCH_TARGET_BREAKERS": "true",
        # What the tests before have done within the hour in their namespaces of the same API server.
        "FIREWATCH_CLUSTER_ACTIONS_PER_HOUR": "10000",
        "FIREWATCH_RECEIVER": f"127.0.0.1:{receiver}",
        "FIREWATCH_RECEIVER_PORT": str(receiver),
        "FIREWATCH_HEALTH_PORT": str(health),
        "PYTHONPATH": str(ROOT / "operator"),
        **(more or {}),
    }
    log = folder / "operator.log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "firewatch"]
        process = subprocess.Popen(command, env=os.environ | settings, stderr=file)
    try:
        yield OperatorProcess(process, log, receiver, health)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [int(bound.getsockname()[1]) for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports

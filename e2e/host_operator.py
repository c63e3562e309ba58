"""The operator run on this machine, outside the cluster, with exactly the rights of the chart."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.images import PROJECT
from e2e.installation import NAMESPACE, RELEASE, Testbed
from e2e.kubectl import wait_for

_RECEIVER_PORT = 19095
_HEALTH_PORT = 18080


@dataclass(frozen=True)
class HostOperator:
    """Starts operators that act as the chart's ServiceAccount; one at a time."""

    testbed: Testbed
    folder: Path
    namespace: str
    """Where it may run stacks and change workloads."""

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Stop the installed operator while this one acts: it would hold the Lease."""
        kubectl = self.testbed.kubectl
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_kubeconfig()
        deployment = ("deployment", RELEASE, "-n", NAMESPACE)
        replicas = kubectl.replicas(RELEASE, NAMESPACE)
        kubectl.run("scale", *deployment, "--replicas=0")
        selector = f"app.kubernetes.io/name={RELEASE}"
        wait_for("the operator's pods to end", lambda: not kubectl.list("pod", NAMESPACE, selector))
        try:
            yield
        finally:
            kubectl.run("scale", *deployment, f"--replicas={replicas}")
            kubectl.run("rollout", "status", *deployment, "--timeout=60s")

    def start(self, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """Start the operator."""
        settings = {
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "FIREWATCH_NAMESPACE": NAMESPACE,
            "FIREWATCH_STACK_NAMESPACES": self.namespace,
            "FIREWATCH_TARGET_NAMESPACES": self.namespace,
            "FIREWATCH_RECEIVER": f"{self.testbed.cluster.node_address}:{_RECEIVER_PORT}",
            "FIREWATCH_RECEIVER_PORT": str(_RECEIVER_PORT),
            "FIREWATCH_HEALTH_PORT": str(_HEALTH_PORT),
            # As of the installed one: a sweep has more episodes in an hour than anybody else.
            "FIREWATCH_NAMESPACE_ACTIONS_PER_HOUR": "10000",
            "FIREWATCH_CLUSTER_ACTIONS_PER_HOUR": "100000",
            "FIREWATCH_MAX_FAILURES": "100000",
            "FIREWATCH_TARGET_BREAKERS": "true",
            "PYTHONPATH": f"{PROJECT / 'operator'}:{PROJECT}",
        }
        with (self.folder / "operator.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "e2e.killable"],
                env={**os.environ, **settings, **(environment or {})},
                stderr=log,
            )

    @contextmanager
    def running(
        self, environment: Mapping[str, str] | None = None
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the operator for a while, then end it in order."""
        process = self.start(environment)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)

    def _write_kubeconfig(self) -> None:
        kubectl = self.testbed.kubectl
        token = kubectl.run("create", "token", RELEASE, "-n", NAMESPACE, "--duration=8h").strip()
        content = yaml.safe_load(kubectl.run("config", "view", "--raw", "--minify"))
        content["users"][0]["user"] = {"token": token}
        path = self.folder / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

"""The two operators that are measured beside each other, behind one interface."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench import rule_load
from e2e.audit import OPERATOR
from e2e.installation import NAMESPACE as OPERATOR_NAMESPACE
from e2e.installation import RELEASE, Testbed
from e2e.kubectl import Object, condition, wait_for
from e2e.station import STACK, Station
from firewatch.cluster.kinds import ALERT_POLICY, Kind

OURS = "bench-policies"
PEER = "bench-peer"
PEER_NAME = "prometheus-operator"
GATE = "StatusForConfigurationResources"
PROMETHEUS_RULE = Kind("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules")


@dataclass(frozen=True)
class Side:
    """One operator with its Prometheus, as far as the benchmark needs to know them."""

    name: str
    testbed: Testbed
    namespace: str
    kind: Kind
    user: str
    """As the audit log names it."""
    operator: tuple[str, str]
    """Namespace and name of the operator's Deployment."""
    selector: str
    """Selects the operator's pod."""
    prometheus_pod: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What this run of the operator differs in."""

    @property
    def status_writes(self) -> str:
        """Return the audit log's name of the status of its resources."""
        return f"{self.kind.plural}/status"

    def body(self, number: int, version: int = 0) -> Object:
        """Return the resource with the rules of one service."""
        return {
            "apiVersion": self.kind.api_version,
            "kind": self.kind.kind,
            "metadata": {"name": f"svc-{number}", "namespace": self.namespace},
            "spec": {"groups": rule_load.groups(number, version)},
        }

    def stop(self) -> None:
        """End the operator."""
        self._scale(0)
        wait_for(f"{self.name} to end", lambda: not self._pods(), seconds=120)

    def start(self) -> None:
        """Start the operator anew, so that memory and CPU are those of one run."""
        namespace, name = self.operator
        kubectl = self.testbed.kubectl
        for path, value in self.settings.items():
            patch = json.dumps([{"op": "replace", "path": path, "value": value}])
            kubectl.run("patch", "deployment", name, "-n", namespace, "--type=json", "-p", patch)
        self._scale(1)
        kubectl.run("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=120s")
        wait_for(f"Prometheus of {self.name}", self._has_prometheus, seconds=180)

    def _has_prometheus(self) -> bool:
        pod = self.testbed.kubectl.get("pod", self.prometheus_pod, self.namespace)
        return condition(pod, "Ready").get("status") == "True"

    def slow_down(self) -> None:
        """Have our Prometheus evaluate its rules once a minute, which is its own default.

        Fifty thousand rules at the stack's default of 15 s are more than two cores can evaluate.
        """
        patch = {"spec": {"metrics": {"evaluationInterval": "1m"}}}
        self.testbed.kubectl.run(
            "patch", "mstack", STACK, "-n", self.namespace, "--type=merge", "-p", json.dumps(patch)
        )

    def clear(self) -> None:
        """Delete all resources of the load."""
        # As one request: kubectl itself deletes five a second. The API server ends one that takes
        # longer than a minute, as ten thousand can, and keeps what it has done.
        collection = f"/apis/{self.kind.api_version}/namespaces/{self.namespace}/{self.kind.plural}"
        wait_for(
            "the API server to delete all of them",
            lambda: bool(self.testbed.kubectl.run("delete", "--raw", collection)),
            seconds=600,
        )

    def prometheus(self) -> str:
        """Return the address of the API of its Prometheus."""
        return f"http://{self._ip(self.namespace, self.prometheus_pod)}:9090/api/v1"

    def metrics(self) -> str:
        """Return the address of the operator's own metrics."""
        (pod,) = self._pods()
        return f"http://{pod['status']['podIP']}:8080/metrics"

    def _ip(self, namespace: str, name: str) -> str:
        pod = self.testbed.kubectl.get("pod", name, namespace)
        assert pod is not None
        return str(pod["status"]["podIP"])

    def _pods(self) -> list[Object]:
        return self.testbed.kubectl.list("pod", self.operator[0], self.selector)

    def _scale(self, replicas: int) -> None:
        namespace, name = self.operator
        self.testbed.kubectl.run(
            "scale", f"deployment/{name}", "-n", namespace, f"--replicas={replicas}"
        )


def our_side(testbed: Testbed) -> Side:
    """Set up a stack and return our side; Firewatch is installed."""
    station = Station(testbed, OURS)
    spec: Object = {"metrics": {"image": testbed.images.prometheus}}
    station.kubectl.apply(station.resource("MonitoringStack", STACK, spec))
    station.wait_ready("mstack", STACK, seconds=180)
    return Side(
        name="firewatch",
        testbed=testbed,
        namespace=OURS,
        kind=ALERT_POLICY,
        user=OPERATOR,
        operator=(OPERATOR_NAMESPACE, RELEASE),
        selector=f"app.kubernetes.io/name={RELEASE}",
        prometheus_pod=f"{STACK}-prometheus-0",
    )


def peer_side(testbed: Testbed, *, gate: bool) -> Side:
    """Return prometheus-operator, which is installed, with its status gate on or off."""
    arguments = f"--feature-gates={GATE}={'true' if gate else 'false'}"
    return Side(
        name=f"{PEER_NAME} ({'status gate' if gate else 'no status'})",
        testbed=testbed,
        namespace=PEER,
        kind=PROMETHEUS_RULE,
        user=f"system:serviceaccount:{PEER}:{PEER_NAME}",
        operator=(PEER, PEER_NAME),
        selector=f"app.kubernetes.io/name={PEER_NAME}",
        prometheus_pod="prometheus-bench-0",
        settings={"/spec/template/spec/containers/0/args/0": arguments},
    )

"""The application of examples/demo-breaker on a cluster: what fails in it, and how visitors fare."""

import json
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from e2e.images import PROJECT
from e2e.installation import Testbed
from e2e.kubectl import Kubectl, KubectlError, Object, wait_for

FOLDER = PROJECT / "examples" / "demo-breaker"
NAMESPACE = "freeagentics-breaker"
STACK, TARGET, LIGHT, VISITOR = "platform", "api", "api-lite", "visitor"
PODS = 4
BAD_RATIO = 0.5
"""Share of the requests that fail where something is bad."""
_IMAGE = "firewatch/example-app:0.1.0"
_VISITS = re.compile(
    r'^freeagentics_demo_visits_total\{outcome="(ok|failed)"\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True)
class Visits:
    """How many requests of the visitor went well so far, and how many did not."""

    ok: float
    failed: float

    def ratio_since(self, before: "Visits") -> float | None:
        """Return the share that has failed since then; None without any requests."""
        ok, failed = self.ok - before.ok, self.failed - before.failed
        return failed / (ok + failed) if ok + failed > 0 else None


@dataclass(frozen=True)
class Shop:
    """The application in its namespace."""

    testbed: Testbed
    namespace: str = NAMESPACE

    @property
    def kubectl(self) -> Kubectl:
        """Return kubectl for this cluster."""
        return self.testbed.kubectl

    def set_up(self) -> None:
        """Apply examples/demo-breaker with this cluster's images, and wait until it is all there."""
        for path in sorted(FOLDER.glob("*.yaml")):
            self.kubectl.apply(*map(self._here, yaml.safe_load_all(path.read_text())))
        for name in (TARGET, LIGHT, VISITOR):
            self.wait_rolled_out(name)
        for kind, name in (("mstack", STACK), ("apol", "runbook")):
            self.kubectl.run(
                *("wait", f"{kind}/{name}", "-n", self.namespace),
                *("--for=condition=Ready", "--timeout=180s"),
            )
        # From then on it can be told what a pod has answered within the window of the responses.
        wait_for("requests of every pod, a window ago", self._is_measured)

    def _here(self, thing: Object) -> Object:
        """Return an object of the example as it is in this namespace of this cluster."""
        images = self.testbed.images
        here: Object = json.loads(
            json.dumps(thing)
            .replace(f'"{NAMESPACE}"', f'"{self.namespace}"')
            .replace(_IMAGE, images.example_app)
        )
        if here["kind"] == "MonitoringStack":
            here["spec"]["metrics"]["image"] = images.prometheus
        return here

    def response(self, mechanism: str) -> Object:
        """Return the AutoResponse of a mechanism."""
        text = (FOLDER / "responses" / f"{mechanism}.yaml").read_text()
        return self._here(yaml.safe_load(text))

    def wait_rolled_out(self, name: str = TARGET) -> None:
        """Wait until all pods of a Deployment are of its present template and ready."""
        self.kubectl.run(
            *("rollout", "status", f"deployment/{name}", "-n", self.namespace, "--timeout=120s")
        )

    def _is_measured(self) -> bool:
        counted = f'freeagentics_requests_total{{namespace="{self.namespace}"}} offset 10s'
        query = f"count(sum by (pod) ({counted}))"
        found = self.query(query)
        return bool(found) and float(found[0]["value"][1]) >= PODS

    def query(self, expression: str) -> list[Any]:
        """Return the result of an instant query to the stack's Prometheus."""
        service = f"services/{STACK}-prometheus:9090/proxy"
        text = urllib.parse.urlencode({"query": expression})
        path = f"/api/v1/namespaces/{self.namespace}/{service}/api/v1/query?{text}"
        result: list[Any] = json.loads(self.kubectl.run("get", "--raw", path))["data"]["result"]
        return result

    # --- what goes wrong ---------------------------------------------------------------------

    def make_trouble(self, mechanism: str) -> list[str]:
        """Have happen what a mechanism is for; return the pods that somebody has to mend."""
        if mechanism == "rollback":
            self.roll_out_badly()
            return []
        bad = self.pods()[:1] if mechanism == "isolate" else self.pods()
        self.fail(BAD_RATIO, *bad)
        return bad

    def mend(self, pods: Sequence[str]) -> None:
        """Have pods fail no more; one that is gone meanwhile needs nothing."""
        for pod in pods:
            try:
                self.fail(0, pod)
            except KubectlError:
                if pod in self.pods():
                    raise

    def wait_calm(self) -> None:
        """Wait until no alert is active any more."""
        wait_for("the alert to resolve", lambda: not self.query("ALERTS"), seconds=90)

    def roll_out_badly(self) -> None:
        """Roll out a version of which every pod fails."""
        self._set_arguments(f"--error-ratio={BAD_RATIO}")

    def _set_arguments(self, *more: str) -> None:
        change = [
            {
                "op": "replace",
                "path": "/spec/template/spec/containers/0/args",
                "value": ["api", "--traffic-seconds=0", "--flag=/etc/flags/breaker", *more],
            }
        ]
        self.kubectl.run(
            *("patch", "deployment", TARGET, "-n", self.namespace),
            *("--type=json", "-p", json.dumps(change)),
        )

    def fail(self, ratio: float, *pods: str) -> None:
        """Have pods fail a share of their requests from now on; all pods of the API if none is named."""
        for pod in pods or self.pods():
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}:8000/proxy/faults"
            body = json.dumps({"errorRatio": ratio})
            self.kubectl.run("create", "--raw", path, "-f", "-", stdin=body)

    def pods(self) -> list[str]:
        """Return the names of the API's pods that are not about to go."""
        found = self.kubectl.list("pods", self.namespace, f"app.kubernetes.io/name={TARGET}")
        names = (each["metadata"] for each in found)
        return sorted(each["name"] for each in names if "deletionTimestamp" not in each)

    # --- what there is to see ----------------------------------------------------------------

    def visits(self) -> Visits:
        """Return how the visitor has fared so far, by its own count."""
        (pod,) = self.kubectl.list("pods", self.namespace, f"app.kubernetes.io/name={VISITOR}")
        name = pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}:8002/proxy/metrics"
        found = dict(_VISITS.findall(self.kubectl.run("get", "--raw", path)))
        return Visits(float(found.get("ok", 0)), float(found.get("failed", 0)))

    def status(self, response: str) -> Object:
        """Return the status of an AutoResponse."""
        found = self.kubectl.get("aresp", response, self.namespace)
        status: Object = (found or {}).get("status", {})
        return status

    def entries(self, response: str) -> list[Object]:
        """Return the history of an AutoResponse, oldest first."""
        return [*reversed(self.status(response).get("history", []))]

    def history(self, response: str) -> list[str]:
        """Return the events of an AutoResponse, oldest first."""
        return [each["event"] for each in self.entries(response)]

    def state(self) -> Object:
        """Return all that a circuit breaker may change: it must be the same afterwards."""
        deployment = self.kubectl.get("deployment", TARGET, self.namespace)
        service = self.kubectl.get("service", TARGET, self.namespace)
        flags = self.kubectl.get("configmap", "api-flags", self.namespace)
        assert deployment is not None
        assert service is not None
        assert flags is not None
        pods = self.kubectl.list("pods", self.namespace, "app.kubernetes.io/part-of=freeagentics")
        labels = [_lasting(pod) for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return {
            "spec": deployment["spec"],
            "selector": service["spec"]["selector"],
            "flags": flags["data"],
            "labels": sorted(labels),
        }


def _lasting(pod: Object) -> list[tuple[str, str]]:
    """Return a pod's labels without that of its ReplicaSet, which a rollout and its undoing change."""
    labels: dict[str, str] = pod["metadata"]["labels"]
    return sorted((name, value) for name, value in labels.items() if name != "pod-template-hash")

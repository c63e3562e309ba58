"""A namespace in which things can be made to happen: a signal, a target, a stack, a policy."""

import json
import urllib.parse
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from e2e.installation import Testbed, namespace
from e2e.kubectl import Kubectl, KubectlError, NeverError, Object, condition, wait_for

NAMESPACES = (
    *("e2e-stack", "e2e-alerting", "e2e-response", "e2e-faults", "e2e-gone", "e2e-kill"),
    *("e2e-messages", "e2e-exporters", "e2e-raw-scrapes", "e2e-pair", "e2e-web", "e2e-own"),
    *("e2e-standby", "e2e-notify", "e2e-breakers", "e2e-postgres", "e2e-synthetic"),
    "e2e-external",
)
"""Namespaces of the scenarios, all granted to the operator."""

ALERT = "LoadHigh"
STACK = "main"
OPT_IN = "monitoring.freeagentics.io/auto-response"
SERVING: Object = {
    "ports": [{"containerPort": 8000}],
    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8000}, "periodSeconds": 1},
}
"""What the application's container has besides where it is asked for something."""
_API = "monitoring.freeagentics.io/v1alpha1"


@dataclass(frozen=True)
class Station:
    """One namespace of the cluster under test."""

    testbed: Testbed
    namespace: str
    https: bool = False
    """Whether the stack's Prometheus serves HTTPS."""
    name: str = STACK
    """Name of the stack."""

    @property
    def kubectl(self) -> Kubectl:
        """Return kubectl for this cluster."""
        return self.testbed.kubectl

    # --- what is there -----------------------------------------------------------------------

    def set_up(self, *, node_exporter: bool = False, **metrics: Any) -> None:
        """Create the namespace with a signal, a target, a stack and a policy; wait until ready."""
        self.kubectl.apply(
            namespace(self.namespace),
            *self.applications(),
            self.stack(node_exporter=node_exporter, **metrics),
            self.policy(),
        )
        self.wait_ready("mstack", self.name, seconds=120)
        self.wait_ready("apol", "load")
        wait_for("the signal's metrics", lambda: self.query("freeagentics_demo_load"))

    def applications(self) -> list[Object]:
        """Return a target, and the application with the gauge that the policy watches."""
        image = self.testbed.images.example_app
        return [
            *application(self.namespace, "signal", 1, image),
            *application(self.namespace, "api", 1, image),
        ]

    def workload(
        self,
        name: str,
        kind: str = "Deployment",
        *,
        container: Object | None = None,
        **spec: Any,
    ) -> Object:
        """Return a target with one pod of the application, ready at once unless it is probed."""
        image, more = self.testbed.images.example_app, container or {}
        return _workload(self.namespace, name, kind, image=image, container=more, **spec)

    def stack(self, *, node_exporter: bool = False, **metrics: Any) -> Object:
        """Return a MonitoringStack that scrapes and evaluates every second."""
        images = self.testbed.images
        spec: Object = {
            "metrics": {
                "image": images.prometheus,
                "scrapeInterval": "1s",
                "evaluationInterval": "1s",
                "externalLabels": {"cluster": "e2e"},
                "scrapeJobs": [{"name": "signal", "targets": ["signal:8000"]}],
                **metrics,
            }
        }
        if node_exporter:
            # Not the default: the demo's stack may have that port of the node.
            spec["exporters"] = {"node": {"image": images.node_exporter, "port": 19100}}
        return self.resource("MonitoringStack", self.name, spec)

    def policy(self, name: str = "load", alert: str = ALERT, above: float = 5) -> Object:
        """Return an AlertPolicy that fires at once while the signal's gauge is above a value."""
        rule = {
            "alert": alert,
            "expr": f"freeagentics_demo_load > {above}",
            "labels": {"severity": "warning"},
        }
        group = {"name": "load", "interval": "1s", "rules": [rule]}
        return self.resource("AlertPolicy", name, {"groups": [group]})

    def response(self, name: str = "scale", **overrides: Any) -> Object:
        """Return an AutoResponse that doubles the target while the alert fires."""
        spec = {
            "trigger": {"alert": ALERT},
            "target": {"name": "api"},
            "actions": [{"scaleUp": {"by": "100%", "maxReplicas": 4}}],
            "recovery": {"hold": "2s"},
            "rails": {"cooldown": "0s", "actionsPerHour": 60},
            "mode": "enforce",
        }
        return self.resource("AutoResponse", name, spec | overrides)

    def resource(self, kind: str, name: str, spec: Object) -> Object:
        """Return a resource of ours in this namespace."""
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}

    # --- what happens ------------------------------------------------------------------------

    def signal(self, value: float) -> None:
        """Set the gauge that the policy watches."""
        path = f"/api/v1/namespaces/{self.namespace}/services/signal:8000/proxy/gauge"
        self.kubectl.run("replace", "--raw", path, "-f", "-", stdin=json.dumps({"value": value}))

    def wait_replicas(self, count: int, *, seconds: float = 30, target: str = "api") -> None:
        """Wait until the target is to have so many replicas."""
        wait_for(
            f"{count} replicas of {target}",
            lambda: self.kubectl.replicas(target, self.namespace) == count,
            seconds=seconds,
        )

    def wait_ready(self, kind: str, name: str, *, seconds: float = 60) -> None:
        """Wait for the condition Ready as a user would."""
        try:
            self.kubectl.run(
                *("wait", f"{kind}/{name}", "-n", self.namespace),
                *("--for=condition=Ready", f"--timeout={seconds:g}s"),
            )
        except KubectlError as error:
            found = self.kubectl.get(kind, name, self.namespace) or {}
            raise NeverError(f"{error}; its status: {found.get('status')}") from error

    def wait_reason(
        self, kind: str, name: str, type_: str, reason: str, *, seconds: float = 60
    ) -> Object:
        """Wait until a condition has a reason; return the condition."""

        def probe() -> Object | None:
            found = condition(self.kubectl.get(kind, name, self.namespace), type_)
            assert found.get("reason") == reason, found
            return found

        what = f"{kind} {name}: {type_} with reason {reason}"
        found = wait_for(what, probe, seconds=seconds)
        assert found is not None
        return found

    def wait_state(self, name: str, *states: str, seconds: float = 30) -> Object:
        """Wait until an AutoResponse is in one of the states; return it."""

        def probe() -> Object | None:
            found = self.kubectl.get("aresp", name, self.namespace)
            assert found is not None
            status = found.get("status", {})
            assert status.get("state") in states, status
            return found

        found = wait_for(f"AutoResponse {name} to be {' or '.join(states)}", probe, seconds=seconds)
        assert found is not None
        return found

    def history(self, name: str = "scale", *, since: datetime | None = None) -> list[str]:
        """Return the events in an AutoResponse's history, oldest first; it holds the last few."""
        found = self.kubectl.get("aresp", name, self.namespace) or {}
        entries = found.get("status", {}).get("history", [])
        return [
            entry["event"]
            for entry in reversed(entries)
            if since is None or datetime.fromisoformat(entry["time"]) >= since
        ]

    def query(self, expression: str) -> list[Object]:
        """Ask the stack's Prometheus."""
        found = self.prometheus(f"query?query={urllib.parse.quote(expression)}")
        result: list[Object] = found["result"]
        return result

    def prometheus(self, path: str) -> Any:
        """Ask the API of the stack's Prometheus through the API server."""
        name = f"{'https:' if self.https else ''}{self.name}-prometheus:9090"
        service = f"/api/v1/namespaces/{self.namespace}/services/{name}/proxy"
        answer = json.loads(self.kubectl.run("get", "--raw", f"{service}/api/v1/{path}"))
        return answer["data"]


def application(namespace: str, name: str, replicas: int, image: str) -> list[Object]:
    """Return a Deployment that may be changed, and its Service."""
    found = _workload(
        namespace, name, "Deployment", image=image, container=SERVING, replicas=replicas
    )
    return [found, _service(namespace, name)]


def _workload(
    namespace: str, name: str, kind: str, *, image: str, container: Object, **spec: Any
) -> Object:
    """Return a target of the application."""
    labels = {"app": name}
    pod = {
        "containers": [{"name": "app", "image": image, "args": ["api"], **container}],
        "terminationGracePeriodSeconds": 1,
    }
    metadata = {"name": name, "namespace": namespace, "labels": {OPT_IN: "enabled"}}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": template,
            **spec,
        },
    }


def _service(namespace: str, name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": 8000}]},
    }

"""Sets the stage: namespace, Firewatch, the resources of examples/demo with short durations."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.demo.load import Load
from e2e.demo.messages import build_alerting, build_secret
from e2e.demo.names import (
    BUILD,
    EXAMPLES,
    LOAD_POD,
    NAMESPACE,
    POLICY,
    RESPONSE,
    STACK,
    DemoError,
)
from e2e.installation import Images, Testbed
from e2e.kubectl import Kubectl, KubectlError, NeverError, Object, wait_for
from e2e.messages import Recorder

OVERLAY = EXAMPLES / "demo-quick" / "kustomization.yaml"
_READY = (
    (f"mstack/{STACK}", 180),
    (f"apol/{POLICY}", 60),
    ("deployment/api", 120),
    (f"aresp/{RESPONSE}", 60),
)
_APPLICATION = "firewatch/example-app"
"""The example application's image, as examples/demo names it."""


@dataclass(frozen=True)
class Stage:
    """The demo's namespace on a cluster."""

    testbed: Testbed
    recorder: Recorder
    alertmanager: str
    """Alertmanager's image."""

    @property
    def kubectl(self) -> Kubectl:
        """Return kubectl for this cluster."""
        return self.testbed.kubectl

    def clear(self, load: Load) -> None:
        """Put away what a former demo has left; the operator puts back what it had changed."""
        load.remove()
        try:
            wait_for("the load's pod to end", self._load_is_gone, seconds=60)
            if self.kubectl.get("crd", "autoresponses.monitoring.freeagentics.io"):
                self.kubectl.run(
                    *("delete", "aresp", RESPONSE, "-n", NAMESPACE),
                    *("--ignore-not-found", "--timeout=60s"),
                )
        except (KubectlError, NeverError) as error:
            raise DemoError(
                f"The former demo could not be put away: {error}",
                f"kubectl describe aresp {RESPONSE} -n {NAMESPACE}",
                "kubectl logs -n firewatch -l app.kubernetes.io/name=firewatch --prefix",
            ) from error

    def apply(self) -> None:
        """Apply examples/demo with the durations of examples/demo-quick and this cluster's images."""
        alerting = build_alerting(self.recorder, self.alertmanager)
        folder = _write_kustomization(self.testbed.images, alerting)
        rendered = self.kubectl.run(
            "kustomize", "--load-restrictor=LoadRestrictionsNone", str(folder)
        )
        self.kubectl.run("apply", "--validate=strict", "-f", "-", stdin=rendered)
        self.kubectl.apply(build_secret(self.recorder, NAMESPACE))

    def wait_until_ready(self) -> None:
        """Wait for the condition Ready of everything, as a user would."""
        for thing, seconds in _READY:
            kind, _, name = thing.partition("/")
            wanted = "Available" if kind == "deployment" else "Ready"
            try:
                self.kubectl.run(
                    *("wait", thing, "-n", NAMESPACE),
                    *(f"--for=condition={wanted}", f"--timeout={seconds}s"),
                )
            except KubectlError as error:
                raise DemoError(
                    f"{thing} is not {wanted} after {seconds} s. {self._reason(kind, name)}",
                    f"kubectl describe {kind} {name} -n {NAMESPACE}",
                    f"kubectl get pods,events -n {NAMESPACE}",
                    "kubectl logs -n firewatch -l app.kubernetes.io/name=firewatch --prefix",
                ) from error

    def _reason(self, kind: str, name: str) -> str:
        found = self.kubectl.get(kind, name, NAMESPACE) or {}
        conditions = found.get("status", {}).get("conditions", [])
        return "; ".join(
            f"{c['type']}={c['status']} ({c.get('reason', '')}: {c.get('message', '')})"
            for c in conditions
            if c["status"] != "True"
        )

    def _load_is_gone(self) -> bool:
        return self.kubectl.get("pod", LOAD_POD, NAMESPACE) is None


def _write_kustomization(images: Images, alerting: Object) -> Path:
    """Write a kustomization that puts what this cluster has over the overlay; return its folder.

    That is its images, and whom the stack tells: the stand-ins on this machine.
    """
    repository, _, tag = images.example_app.rpartition(":")
    content: Object = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(OVERLAY.parent, BUILD)],
        "images": [{"name": _APPLICATION, "newName": repository, "newTag": tag}],
        "patches": [
            {
                "target": {"kind": "MonitoringStack", "name": STACK},
                "patch": yaml.safe_dump(
                    [
                        _add("/spec/metrics/image", images.prometheus),
                        _add("/spec/exporters/node/image", images.node_exporter),
                        _add("/spec/alerting", alerting),
                    ]
                ),
            }
        ],
    }
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / "kustomization.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return BUILD


def _add(path: str, value: str | Object) -> Object:
    return {"op": "add", "path": path, "value": value}

"""The overload: a BestEffort pod that burns every core, for a limited time."""

from contextlib import suppress
from dataclasses import dataclass

from e2e.demo.api import Api
from e2e.demo.names import LOAD_POD, NAMESPACE
from e2e.demo.quiet import cores
from e2e.kubectl import Kubectl, Object

MAX_SECONDS = 240
"""The load ends by itself after this, should nobody be left to end it."""
_POD_SECONDS = 900
_PORT = 8000
_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods/{LOAD_POD}:{_PORT}/proxy/load"


@dataclass(frozen=True)
class Load:
    """Switches the load by request, as the example application offers."""

    api: Api
    kubectl: Kubectl

    def prepare(self, image: str) -> None:
        """Start the pod, which does nothing yet."""
        self.kubectl.apply(_pod(image))
        self.kubectl.run(
            *("wait", f"pod/{LOAD_POD}", "-n", NAMESPACE, "--for=condition=Ready"),
            "--timeout=90s",
        )

    def start(self) -> int:
        """Burn all cores of the pod's node; return how many."""
        pod = self.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{LOAD_POD}")
        threads = cores(self.api, pod["spec"]["nodeName"])
        self.api.post(_PATH, {"threads": threads, "seconds": MAX_SECONDS})
        return threads

    def stop(self) -> None:
        """End the load by request, and the pod with it."""
        with suppress(OSError):  # gone, or too starved to answer: deleting it ends it as well
            self.api.post(_PATH, {"threads": 0})
        self.remove()

    def remove(self) -> None:
        """Delete the pod, if it is there."""
        self.kubectl.run(
            *("delete", "pod", LOAD_POD, "-n", NAMESPACE),
            *("--ignore-not-found", "--grace-period=1", "--wait=false"),
        )


def _pod(image: str) -> Object:
    # No requests and no limits: the pod is BestEffort, with 2 cpu.shares. It takes every cycle that
    # nobody else wants, and none from those who do: the control plane, the operator, Prometheus.
    container: Object = {
        "name": "load",
        "image": image,
        "args": ["api", f"--port={_PORT}", "--traffic-seconds=0"],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": _PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec: Object = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": _POD_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    labels = {"app.kubernetes.io/name": LOAD_POD, "app.kubernetes.io/part-of": NAMESPACE}
    metadata: Object = {"name": LOAD_POD, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

"""What scales beside us: a HorizontalPodAutoscaler by prometheus-adapter, and KEDA.

Both on local images, with the manifests of their own releases where these have some. Each asks the very
Prometheus that our alerts come from, about the very gauge.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from e2e.cluster.binaries import run_go
from e2e.cluster.images import KEDA_ADAPTER_IMAGE, KEDA_IMAGE, PROMETHEUS_ADAPTER_IMAGE
from e2e.cluster.interface import Progress
from e2e.cluster.programs import KEDA
from e2e.installation import Testbed
from e2e.kubectl import Object, condition, wait_for

GAUGE = "freeagentics_demo_load"
THRESHOLD = 5
MOST = 4
ADAPTER = "prometheus-adapter"
_KEDA_NAMESPACE = "keda"
_KEDA_MODULE = f"github.com/kedacore/keda/v2@v{KEDA}"
_KEDA_PARTS = ("general", "service_account", "rbac", "manager", "metrics-server")
_KEDA_IMAGES = {
    "ghcr.io/kedacore/keda:latest": KEDA_IMAGE,
    "ghcr.io/kedacore/keda-metrics-apiserver:latest": KEDA_ADAPTER_IMAGE,
}
_HPA_ACCOUNT = {
    "kind": "ServiceAccount",
    "name": "horizontal-pod-autoscaler",
    "namespace": "kube-system",
}


def load_images(testbed: Testbed, progress: Progress) -> None:
    """Build what both need, which takes minutes the first time, and put it on the node."""
    for component in ("prometheus-adapter", "keda", "keda-metrics-apiserver"):
        testbed.image(component, progress)


@dataclass(frozen=True)
class Peers:
    """The two, for targets of one namespace whose Prometheus is at an address."""

    testbed: Testbed
    namespace: str
    prometheus: str

    def install(self, progress: Progress) -> None:
        """Install both, and wait until the API server can ask them."""
        kubectl = self.testbed.kubectl
        with progress.step("Installing prometheus-adapter and KEDA"):
            crds = _keda_folder() / "config" / "crd" / "bases"
            kubectl.run("apply", "--server-side", "--force-conflicts", "-f", str(crds))
            established = ("wait", "--for=condition=Established", "--timeout=60s", "-f", str(crds))
            # More than once: it fails on a definition that is so new that it has no conditions yet.
            wait_for("KEDA's kinds", partial(kubectl.run, *established))
            kubectl.apply(*_keda(), *self._adapter())
            for service in ("v1beta1.external.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"):
                wait_for(service, partial(self._is_available, service), seconds=300)

    def remove(self) -> None:
        """Remove both; what they scaled must be gone."""
        kubectl = self.testbed.kubectl
        crds = _keda_folder() / "config" / "crd" / "bases"
        kubectl.run("delete", "-f", str(crds), "--ignore-not-found")
        everything = yaml.safe_dump_all([*self._adapter(), *_keda()])
        kubectl.run("delete", "--ignore-not-found", "-f", "-", stdin=everything)

    def _is_available(self, service: str) -> bool:
        found = self.testbed.kubectl.get("apiservice", service)
        return condition(found, "Available").get("status") == "True"

    # --- what scales a target ------------------------------------------------------------------

    def autoscaler(self, name: str, target: str) -> Object:
        """Return a HorizontalPodAutoscaler that goes by the gauge."""
        described = {"apiVersion": "v1", "kind": "Service", "name": "signal"}
        wanted = {"type": "Value", "value": str(THRESHOLD)}
        metric = {
            "type": "Object",
            "object": {"describedObject": described, "metric": {"name": GAUGE}, "target": wanted},
        }
        return {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
                "minReplicas": 1,
                "maxReplicas": MOST,
                "metrics": [metric],
            },
        }

    def scaled_object(self, name: str, target: str, polling: int) -> Object:
        """Return a ScaledObject that goes by the gauge."""
        asked = {
            "serverAddress": self.prometheus,
            "query": GAUGE,
            "threshold": str(THRESHOLD),
        }
        return {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "scaleTargetRef": {"name": target},
                "pollingInterval": polling,
                "minReplicaCount": 1,
                "maxReplicaCount": MOST,
                "triggers": [{"type": "prometheus", "metricType": "Value", "metadata": asked}],
            },
        }

    def is_active(self, autoscaler: str) -> bool:
        """Tell whether an autoscaler has read its metric."""
        found = self.testbed.kubectl.get("hpa", autoscaler, self.namespace)
        return condition(found, "ScalingActive").get("status") == "True"

    def _adapter(self) -> list[Object]:
        """Return prometheus-adapter with the one metric; its defaults are left alone."""
        rule = {
            "seriesQuery": f'{GAUGE}{{namespace!="",service!=""}}',
            "resources": {
                "overrides": {
                    "namespace": {"resource": "namespace"},
                    "service": {"resource": "service"},
                }
            },
            "metricsQuery": "<<.Series>>{<<.LabelMatchers>>}",
        }
        where = {"name": ADAPTER, "namespace": self.namespace}
        return [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": where},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": where,
                "data": {"config.yaml": yaml.safe_dump({"rules": [rule]})},
            },
            *_adapter_rights(self.namespace),
            self._adapter_deployment(),
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": where,
                "spec": {
                    "selector": {"app": ADAPTER},
                    "ports": [{"port": 443, "targetPort": 6443}],
                },
            },
            _adapter_api(where),
        ]

    def _adapter_deployment(self) -> Object:
        labels = {"app": ADAPTER}
        container = {
            "name": ADAPTER,
            "image": PROMETHEUS_ADAPTER_IMAGE,
            "args": [
                "--secure-port=6443",
                "--cert-dir=/tmp/cert",
                f"--prometheus-url={self.prometheus}/",
                # As its own chart has it.
                "--metrics-relist-interval=1m",
                "--config=/etc/adapter/config.yaml",
            ],
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/adapter"},
                {"name": "tmp", "mountPath": "/tmp"},
            ],
        }
        pod = {
            "serviceAccountName": ADAPTER,
            "containers": [container],
            "volumes": [
                {"name": "config", "configMap": {"name": ADAPTER}},
                {"name": "tmp", "emptyDir": {}},
            ],
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": ADAPTER, "namespace": self.namespace},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }


def _adapter_api(service: Object) -> Object:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta2.custom.metrics.k8s.io"},
        "spec": {
            "group": "custom.metrics.k8s.io",
            "version": "v1beta2",
            "groupPriorityMinimum": 100,
            "versionPriority": 200,
            "insecureSkipTLSVerify": True,
            "service": service,
        },
    }


def _adapter_rights(namespace: str) -> Iterator[Object]:
    account = {"kind": "ServiceAccount", "name": ADAPTER, "namespace": namespace}
    reads = {"apiGroups": [""], "resources": ["namespaces", "pods", "services", "nodes"]}
    metrics = {"apiGroups": ["custom.metrics.k8s.io"], "resources": ["*"], "verbs": ["*"]}
    roles = {
        f"{ADAPTER}-reads": [{**reads, "verbs": ["get", "list", "watch"]}],
        f"{ADAPTER}-metrics": [metrics],
    }
    for name, rules in roles.items():
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules,
        }
    yield _binding("ClusterRole", f"{ADAPTER}-reads", account)
    yield _binding("ClusterRole", f"{ADAPTER}-metrics", _HPA_ACCOUNT)
    yield _binding("ClusterRole", "system:auth-delegator", account)
    reader = "extension-apiserver-authentication-reader"
    yield _binding("Role", reader, account, namespace="kube-system")


def _binding(kind: str, role: str, subject: Object, namespace: str = "") -> Object:
    name = f"{ADAPTER}-{role.replace(':', '-')}"
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [subject],
    }


def _keda_folder() -> Path:
    return Path(json.loads(run_go(["mod", "download", "-json", _KEDA_MODULE], Path("/")))["Dir"])


def _keda() -> list[Object]:
    """Return KEDA as its release has it, without its webhooks, on local images."""
    found: list[Object] = []
    for part in _KEDA_PARTS:
        for file in sorted((_keda_folder() / "config" / part).glob("*.yaml")):
            if file.name != "kustomization.yaml":
                found += filter(None, yaml.safe_load_all(file.read_text(encoding="utf-8")))
    namespaces = [each for each in found if each["kind"] == "Namespace"]
    others = [each for each in found if each["kind"] != "Namespace"]
    return [*namespaces, *map(_on_local_images, others)]


def _on_local_images(live: Object) -> Object:
    if live["kind"] != "Deployment":
        return live
    pod = live["spec"]["template"]["spec"]
    containers = [
        {**each, "image": _KEDA_IMAGES[each["image"]], "imagePullPolicy": "IfNotPresent"}
        for each in pod["containers"]
    ]
    template = {**live["spec"]["template"], "spec": {**pod, "containers": containers}}
    return {**live, "spec": {**live["spec"], "template": template}}

"""prometheus-operator on the cluster under test: its own CRDs and rights, on local images."""

import json
from pathlib import Path

import yaml

from bench.sides import PEER, PEER_NAME
from e2e.cluster.binaries import PROMETHEUS, run_go
from e2e.cluster.images import PREFIX, PROMETHEUS_IMAGE
from e2e.cluster.interface import Progress
from e2e.cluster.oci import ScratchImage, scratch_image
from e2e.cluster.programs import PROMETHEUS_OPERATOR, program
from e2e.installation import Testbed, namespace
from e2e.kubectl import Object

PROMETHEUS_NAME = "bench"
_MODULE = "github.com/prometheus-operator/prometheus-operator"
_IMAGES = {
    name: f"{PREFIX}/{name}:{PROMETHEUS_OPERATOR}"
    for name in (PEER_NAME, "prometheus-config-reloader")
}


def install_peer(testbed: Testbed, progress: Progress) -> None:
    """Install prometheus-operator, not started yet, with a Prometheus that takes all rules."""
    for name, image in _IMAGES.items():
        binary = program(name, progress)
        archive = scratch_image(ScratchImage(image, {f"/bin/{name}": binary}, [f"/bin/{name}"]))
        testbed.backend.load_image(archive)
    with progress.step("Installing prometheus-operator"):
        example = _module_folder() / "example"
        crds = example / "prometheus-operator-crd"
        kubectl = testbed.kubectl
        kubectl.run("apply", "--server-side", "--force-conflicts", "-f", str(crds))
        kubectl.run("wait", "--for=condition=Established", "--timeout=60s", "-f", str(crds))
        role = example / "rbac" / PEER_NAME / f"{PEER_NAME}-cluster-role.yaml"
        kubectl.apply(namespace(PEER), yaml.safe_load(role.read_text(encoding="utf-8")))
        kubectl.apply(_account(), _binding(), _deployment(), _prometheus())


def remove_peer(testbed: Testbed) -> None:
    """Remove it with its CRDs."""
    kubectl = testbed.kubectl
    # Nobody is left to take off what the operator has put on its resource.
    kubectl.patch("prometheus", PROMETHEUS_NAME, PEER, {"metadata": {"finalizers": None}})
    kubectl.delete("namespace", PEER)
    for kind in ("clusterrolebinding", "clusterrole"):
        kubectl.delete(kind, PEER_NAME)
    crds = _module_folder() / "example" / "prometheus-operator-crd"
    kubectl.run("delete", "-f", str(crds), "--ignore-not-found")


def _module_folder() -> Path:
    listed = run_go(["mod", "download", "-json", f"{_MODULE}@v{PROMETHEUS_OPERATOR}"], Path("/"))
    return Path(json.loads(listed)["Dir"])


def _meta(name: str = PEER_NAME) -> Object:
    return {"name": name, "namespace": PEER}


def _account() -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta()}


def _binding() -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": PEER_NAME},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": PEER_NAME,
        },
        "subjects": [{"kind": "ServiceAccount", **_meta()}],
    }


def _deployment() -> Object:
    """Return the Deployment of its own example, without CPU limit: that would slow it down."""
    labels = {"app.kubernetes.io/name": PEER_NAME}
    container = {
        "name": PEER_NAME,
        "image": _IMAGES[PEER_NAME],
        "args": [
            "--feature-gates=StatusForConfigurationResources=false",
            f"--prometheus-config-reloader={_IMAGES['prometheus-config-reloader']}",
            f"--namespaces={PEER}",
            "--disable-unmanaged-prometheus-configuration=true",
        ],
        "env": [{"name": "GOGC", "value": "30"}],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(),
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": PEER_NAME,
                    "containers": [container],
                    "securityContext": {"runAsNonRoot": True, "runAsUser": 65534},
                },
            },
        },
    }


def _prometheus() -> Object:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": _meta(PROMETHEUS_NAME),
        "spec": {
            "image": PROMETHEUS_IMAGE,
            "version": f"v{PROMETHEUS}",
            "replicas": 1,
            "ruleSelector": {},
            "scrapeInterval": "15s",
            "evaluationInterval": "15s",
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "fsGroup": 65534},
        },
    }

"""Files of others, read from their Go modules as tests run; nothing of theirs is kept here."""

import json
from pathlib import Path

import yaml

from e2e.cluster.binaries import run_go
from tests.apiserver.deployed import wait_served
from tests.apiserver.kubectl import Kubectl

KEDA = ("github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml")
ROLLOUTS = ("github.com/argoproj/argo-rollouts@v1.8.3", "manifests/crds/rollout-crd.yaml")


GATEWAY_API = (
    "sigs.k8s.io/gateway-api@v1.6.3",
    "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
)
ISTIO = ("istio.io/api@v1.32.0", "kubernetes/customresourcedefinitions.gen.yaml")


def module_folder(module: str) -> Path:
    """Return the folder with the source of a Go module."""
    return Path(json.loads(run_go(["mod", "download", "-json", module], Path("/")))["Dir"])


def install_crd(kubectl: Kubectl, source: tuple[str, str], name: str = "") -> None:
    """Install the CustomResourceDefinition in a file of a module, and wait until it is served.

    ``name`` says which one, where there are several.
    """
    module, path = source
    definitions = yaml.safe_load_all((module_folder(module) / path).read_text())
    (found,) = (each for each in definitions if name in ("", each["metadata"]["name"]))
    kubectl("apply", "--server-side", "-f", "-", text=json.dumps(found))
    wait_served(kubectl, found["metadata"]["name"])

"""The installation by kustomize is the chart's rendering, and ends in the same objects."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.programs import program
from e2e.cluster.progress import ConsoleProgress
from tests.golden.rendering import ROOT, Helm, Object, of_kind, staying

CONFIG = ROOT / "config"
OVERLAY = ROOT / "examples" / "kustomize"
VALUES = (
    *("--set", "image.repository=registry.example/firewatch/operator,image.tag=0.1.0"),
    *("--set", "stacks.namespaces={shop},targets.namespaces={shop}"),
)
Identity = tuple[str, str, str]
HELMS_OWN = ("helm.sh/chart", "helm.sh/resource-policy", "app.kubernetes.io/managed-by")


def without_helm(objects: list[Object]) -> list[Object]:
    """Return the objects that stay, without what only Helm needs on them."""
    return [strip(each) for each in staying(objects)]


def strip(node: Any) -> Any:
    """Leave Helm's own labels and annotations out, wherever they stand."""
    if isinstance(node, dict):
        stripped = {key: strip(value) for key, value in node.items() if key not in HELMS_OWN}
        return {key: value for key, value in stripped.items() if key != "annotations" or value}
    return [strip(each) for each in node] if isinstance(node, list) else node


def write(objects: list[Object]) -> str:
    head = "# Generated from the chart by `make golden`; do not edit.\n"
    return head + yaml.safe_dump_all(objects, sort_keys=False, width=100, explicit_start=True)


def kustomize(folder: Path) -> list[Object]:
    """Return what `kubectl apply -k` would apply."""
    result = subprocess.run(
        [program("kubectl", ConsoleProgress()), "kustomize", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


def by_identity(objects: list[Object]) -> dict[Identity, Object]:
    found = {
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each
        for each in objects
    }
    assert len(found) == len(objects)
    return found


def test_the_operator_is_the_charts_rendering(
    helm: Helm, check_golden: Callable[[Path, str], None]
) -> None:
    rendered = without_helm(helm.objects("--set", "crds.install=false"))
    check_golden(CONFIG / "operator.yaml", write(rendered))


@pytest.mark.parametrize("scope", ["stacks", "targets"])
def test_a_grant_is_that_of_the_chart_for_any_namespace(
    helm: Helm, check_golden: Callable[[Path, str], None], scope: str
) -> None:
    (binding,) = of_kind(
        without_helm(helm.objects("--set", f"{scope}.namespaces={{shop}}")), "RoleBinding"
    )
    del binding["metadata"]["namespace"]
    check_golden(CONFIG / "grants" / scope / "role-binding.yaml", write([binding]))


def test_it_ends_in_the_same_objects_as_the_chart(helm: Helm) -> None:
    ours = by_identity(kustomize(OVERLAY))
    del ours["Namespace", "", "firewatch"]
    theirs = by_identity(without_helm(helm.objects(*VALUES)))
    assert sort_variables(ours) == sort_variables(theirs)


def sort_variables(objects: dict[Identity, Object]) -> dict[Identity, Object]:
    """Put the operator's variables in order, since kustomize puts those of a patch first."""
    for each in of_kind(list(objects.values()), "Deployment"):
        for container in each["spec"]["template"]["spec"]["containers"]:
            container["env"].sort(key=lambda variable: variable["name"])
    return objects

"""The installation by kustomize is the chart's rendering, and ends in the same objects."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.programs import program
from e2e.cluster.progress import ConsoleProgress
from tests.golden.rendering import ROOT, Helm, Object, of_kind, parse, staying

CONFIG = ROOT / "config"
OVERLAY = ROOT / "examples" / "kustomize"
VALUES = (
    *("--set", "image.repository=registry.example/firewatch/operator,image.tag=0.1.0"),
    *("--set", "stacks.namespaces={shop,platform},targets.namespaces={shop}"),
    *("--set", "clusterStacks.namespaces={platform}"),
)
Identity = tuple[str, str, str]
GRANTS = {
    "stacks": "stacks.namespaces={shop}",
    "targets": "targets.namespaces={shop}",
    "restarts": "targets.namespaces={shop},targets.restart=true",
    "breakers": "targets.namespaces={shop},targets.circuitBreaker=true",
    "sources": "sources.namespaces={shop}",
}
"""Values by which the chart grants something in a namespace, by what it grants."""
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
    return parse(result.stdout)


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


@pytest.mark.parametrize("scope", GRANTS)
def test_a_grant_is_that_of_the_chart_for_any_namespace(
    helm: Helm, check_golden: Callable[[Path, str], None], scope: str
) -> None:
    # Beside it there is what the operator may do in its own namespace, which is no grant.
    bindings = of_kind(without_helm(helm.objects("--set", GRANTS[scope])), "RoleBinding")
    (binding,) = (each for each in bindings if each["roleRef"]["name"] == f"firewatch-{scope}")
    del binding["metadata"]["namespace"]
    check_golden(CONFIG / "grants" / scope / "role-binding.yaml", write([binding]))


def test_there_is_a_grant_for_all_that_the_chart_grants() -> None:
    folders = {path.name for path in (CONFIG / "grants").iterdir()}
    assert folders == {*GRANTS, "cluster-stacks"}


def test_the_grant_to_read_the_cluster_is_that_of_the_chart_for_any_namespace(
    helm: Helm, check_golden: Callable[[Path, str], None]
) -> None:
    settings = "stacks.namespaces={shop},clusterStacks.namespaces={shop}"
    bindings = []
    for binding in of_kind(without_helm(helm.objects("--set", settings)), "ClusterRoleBinding"):
        (subject,) = binding["subjects"]
        if subject["namespace"] == "shop":
            del subject["namespace"]
            bindings.append(binding)
    path = CONFIG / "grants" / "cluster-stacks" / "cluster-role-bindings.yaml"
    check_golden(path, write(bindings))


def test_two_namespaces_may_read_the_cluster(tmp_path: Path) -> None:
    """Each by bindings of its own, in the way that the example tells."""
    example = (OVERLAY / "platform" / "kustomization.yaml").read_text()
    above = os.path.relpath(ROOT, tmp_path / "any")
    text = example.replace("../../..", above)
    other = text.replace("platform", "infra") + "nameSuffix: -infra\n"
    for name, written in (("platform", text), ("infra", other)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kustomization.yaml").write_text(written)
    operator = os.path.relpath(CONFIG, tmp_path)
    resources = {"resources": [operator, "platform", "infra"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(resources))
    found = {
        (each["roleRef"]["name"], subject["name"], subject["namespace"])
        for each in by_identity(kustomize(tmp_path)).values()
        if each["kind"] == "ClusterRoleBinding"
        for subject in each["subjects"]
        if subject["namespace"] != "firewatch"
    }
    assert found == {
        (role, account, namespace)
        for role, account in (
            ("firewatch-prometheus-nodes", "firewatch-prometheus"),
            ("firewatch-kube-state-metrics", "firewatch-kube-state-metrics"),
        )
        for namespace in ("platform", "infra")
    }


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

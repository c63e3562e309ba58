"""Who may do everything in one namespace changes nothing in another, neither alone nor by the operator.

The operator of this test may do everything everywhere, so that nothing but itself holds it back.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from e2e.kubectl import wait_for
from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import GROUP, Object
from firewatch.api.responses import OPT_IN_LABEL
from tests.apiserver.deployed import install_crds, operator_process
from tests.apiserver.everything import NOBODY, objects, ours, resources, statuses
from tests.apiserver.kubectl import Kubectl, KubectlError, kubectl_of

TENANT, NEIGHBOUR = "tenant", "neighbour"
AS_TENANT = ("--as=tenant", "-n", TENANT)
ROLE: Object = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "everything", "namespace": TENANT},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
}


def deployment(namespace: str) -> Object:
    labels = {"app": "api"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "api", "image": "registry.example/api"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": namespace, "labels": {OPT_IN_LABEL: "enabled"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }


def response(namespace: str) -> Object:
    spec = {
        "stackRef": {"name": "main"},
        "trigger": {"alert": "Up"},
        "target": {"name": "api"},
        "actions": [{"scaleUp": {"by": 1, "maxReplicas": 9}}],
        "mode": "enforce",
    }
    return ours("AutoResponse", "scale", namespace, spec)


def policy(where: str, **reference: str) -> Object:
    groups = [{"name": "g", "rules": [{"alert": "Up", "expr": "vector(1)"}]}]
    spec = {"stackRef": {"name": "main", **reference}, "groups": groups}
    return ours("AlertPolicy", f"by-{'-'.join([*reference, 'name'])}", where, spec)


def home(namespace: str) -> list[Object]:
    """Return what stands in both namespaces, under the same names."""
    stack = ours("MonitoringStack", "main", namespace, {"metrics": {}, "alerting": NOBODY})
    return [deployment(namespace), stack, policy(namespace), response(namespace)]


def attempts() -> list[Object]:
    """Return what a tenant may write that names the neighbour, and one of everything."""
    elsewhere = {"metadata": {"namespace": NEIGHBOUR, "name": "main-prometheus"}}
    jobs = [{"name": "them", "podSelector": {}, "port": "1", "namespaces": [NEIGHBOUR]}]
    found = [
        policy(TENANT, namespace=NEIGHBOUR),
        ours("MonitoringStack", "reader", TENANT, {"metrics": {"scrapeJobs": jobs}}),
        ours(
            "MonitoringStack",
            "mover",
            TENANT,
            {"metrics": {}, "overrides": {"prometheus": elsewhere}},
        ),
        *resources(),
    ]
    for each in found:
        each["metadata"]["namespace"] = TENANT
    return found


def standing(kubectl: Kubectl) -> dict[str, Object]:
    """Return what there is in the neighbour's namespace, but for what is said about it."""
    found = {}
    for each in objects(kubectl, NEIGHBOUR):
        if each["kind"] == "Event":
            continue
        for name in ("resourceVersion", "managedFields"):
            each["metadata"].pop(name, None)
        each.pop("status", None)
        found[f"{each['kind']}/{each['metadata']['name']}"] = each
    return found


def apply(kubectl: Kubectl, found: list[Object], *flags: str) -> None:
    kubectl("apply", *flags, "-f", "-", text=yaml.safe_dump_all(found))


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[Kubectl]:
    """Return kubectl where two namespaces have the same, and an operator looks after both."""
    with ControlPlane.prepare(tmp_path, ConsoleProgress()) as control_plane:
        found = kubectl_of(control_plane.kubeconfig, tmp_path)
        install_crds(found)
        for name in (TENANT, NEIGHBOUR):
            found("create", "namespace", name)
        apply(found, [ROLE])
        binding = ("create", "rolebinding", "everything", "--role=everything", "--user=tenant")
        found("-n", TENANT, *binding)
        with operator_process(control_plane.kubeconfig, tmp_path):
            apply(found, home(NEIGHBOUR))
            wait_for("the neighbour's statuses", lambda: statuses(found))
            yield found


def test_a_tenant_changes_nothing_of_a_neighbour(kubectl: Kubectl) -> None:
    before = wait_for("the neighbour to stand", lambda: settled(kubectl))
    apply(kubectl, home(TENANT), *AS_TENANT)
    for each in attempts():
        kubectl("apply", *AS_TENANT, "-f", "-", text=json.dumps(each))
    wait_for("the tenant's statuses", lambda: statuses(kubectl), seconds=120)
    assert "main-prometheus" in kubectl("get", "statefulsets", *AS_TENANT)
    assert standing(kubectl) == before
    kubectl("delete", *AS_TENANT, "--all", "mstack,apol,aresp,rpol")
    assert standing(kubectl) == before


def settled(kubectl: Kubectl) -> dict[str, Object]:
    """Return what there is once everything is made, and two looks find the same."""
    found = standing(kubectl)
    assert {"StatefulSet/main-prometheus", "StatefulSet/main-alertmanager"} <= found.keys()
    rules = [each for each in found.values() if "vector(1)" in str(each.get("data"))]
    assert rules
    assert found == standing(kubectl)
    return found


def test_a_tenant_has_no_verb_on_a_kind_of_a_neighbour(kubectl: Kubectl) -> None:
    mine = ("auth", "can-i", "--list", "--no-headers")
    nobody = kubectl(*mine, "-n", NEIGHBOUR, "--as=nobody-at-all")
    assert kubectl(*mine, "-n", NEIGHBOUR, "--as=tenant") == nobody
    assert kubectl(*mine, *AS_TENANT) != nobody
    for custom in CUSTOM_KINDS:
        asked = ("auth", "can-i", "patch", f"{custom.plural}.{GROUP}", "--as=tenant", "-n")
        assert kubectl(*asked, TENANT).strip() == "yes"
        with pytest.raises(KubectlError, match="no"):
            kubectl(*asked, NEIGHBOUR)
    for each in home(NEIGHBOUR):
        with pytest.raises(KubectlError, match="forbidden"):
            apply(kubectl, [each], "--as=tenant")

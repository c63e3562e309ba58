"""Who may write a MonitoringStack: people who may create what it is made of, and nobody's clean-up.

The policy is that of the installation by kustomize, which a golden test holds equal to the chart's.
"""

import json
from collections.abc import Iterator

import pytest

from firewatch.api.resource import API_VERSION, Object
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import MONITORING_STACK
from tests.apiserver.conftest import ROOT, Kubectl, KubectlError
from tests.apiserver.installed import installed, policies

KINDS = ("statefulsets", "daemonsets", "deployments")
POLICY = "firewatch-stack-authors"


def stack(namespace: str, replicas: int = 1, **metadata: object) -> str:
    body: Object = {
        "apiVersion": API_VERSION,
        "kind": "MonitoringStack",
        "metadata": {"name": "main", "namespace": namespace, **metadata},
        "spec": {"metrics": {"replicas": replicas}},
    }
    return json.dumps(body)


@pytest.fixture(scope="module", autouse=True)
def policy(kubectl: Kubectl, crds: str) -> Iterator[None]:
    kubectl("create", "clusterrole", "stacks", "--verb=*", "--resource=monitoringstacks")
    text = (ROOT / "config" / "operator.yaml").read_text()
    kubectl("create", "clusterrolebinding", "probe", "--clusterrole=stacks", "--user=probe")

    def refused() -> str:
        text = stack("default")
        return kubectl("create", "--dry-run=server", "--as=probe", "-f", "-", text=text)

    with installed(kubectl, policies(text, POLICY), refused):
        yield
    kubectl("delete", "clusterrole/stacks", "clusterrolebinding/probe")


def author(kubectl: Kubectl, namespace: str, *kinds: str) -> str:
    """Return the name of somebody who may write stacks and create these kinds."""
    name = f"author-of-{namespace}"
    here = ("--namespace", namespace)
    kubectl(*here, "create", "rolebinding", "stacks", "--clusterrole=stacks", f"--user={name}")
    if kinds:
        resources = ",".join(f"{kind}.apps" for kind in kinds)
        kubectl(*here, "create", "role", "pods", "--verb=create", f"--resource={resources}")
        kubectl(*here, "create", "rolebinding", "pods", "--role=pods", f"--user={name}")
    return f"--as={name}"


def test_who_may_create_all_that_a_stack_is_made_of_may_write_one(
    kubectl: Kubectl, namespace: str
) -> None:
    somebody = author(kubectl, namespace, *KINDS)
    kubectl("apply", somebody, "-f", "-", text=stack(namespace))
    kubectl("apply", somebody, "-f", "-", text=stack(namespace, 2))


@pytest.mark.parametrize("missing", KINDS)
def test_who_may_not_is_told_what_is_missing_and_what_to_do(
    kubectl: Kubectl, namespace: str, missing: str
) -> None:
    somebody = author(kubectl, namespace, *({*KINDS} - {missing}))
    with pytest.raises(KubectlError) as refusal:
        kubectl("apply", somebody, "-f", "-", text=stack(namespace))
    assert (
        f"a MonitoringStack creates pods, and author-of-{namespace} may not create {missing} in"
        f" namespace {namespace}; have somebody apply it who may create statefulsets, daemonsets,"
        " deployments there, or be given a role that may, as the ClusterRole edit"
    ) in str(refusal.value)


def test_rights_in_another_namespace_do_not_count(kubectl: Kubectl, namespace: str) -> None:
    somebody = author(kubectl, namespace)
    kubectl("create", "namespace", f"{namespace}-else")
    here = ("--namespace", f"{namespace}-else")
    kubectl(*here, "create", "rolebinding", "e", "--clusterrole=edit", f"--user={somebody[5:]}")
    with pytest.raises(KubectlError, match="may not create statefulsets"):
        kubectl("apply", somebody, "-f", "-", text=stack(namespace))


def test_what_changes_no_pods_is_left_to_whoever_may_write_the_stack(
    kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "-f", "-", text=stack(namespace))
    somebody = author(kubectl, namespace)
    here = ("--namespace", namespace, somebody)
    kubectl(*here, "label", "mstack/main", "team=sre")
    kubectl(*here, "annotate", "mstack/main", "example.org/owner=sre")
    kubectl(*here, "patch", "mstack/main", "--type=merge", "-p", '{"spec":{"paused":false}}')
    with pytest.raises(KubectlError, match="may not create"):
        kubectl(*here, "patch", "mstack/main", "--type=merge", "-p", '{"spec":{"paused":true}}')


def test_whoever_writes_the_status_need_not_create_anything(
    kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "-f", "-", text=stack(namespace))
    here = ("--namespace", namespace)
    role = ("role", "status", "--verb=get,patch", "--resource=monitoringstacks/status")
    kubectl(*here, "create", *role)
    kubectl(*here, "create", "rolebinding", "status", "--role=status", "--user=reporter")
    patch = '{"status":{"observedGeneration":1}}'
    status = ("mstack/main", "--subresource=status", "--type=merge", "-p", patch)
    kubectl(*here, "--as=reporter", "patch", *status)
    assert kubectl(*here, "get", "mstack/main", "-o", "jsonpath={.status}") == patch[10:-1]


async def test_nothing_holds_up_a_deletion_in_the_foreground(
    cluster: KubernetesCluster, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "-f", "-", text=stack(namespace, finalizers=["example.org/held"]))
    collector = author(kubectl, namespace)
    here = ("--namespace", namespace, collector)
    kubectl(*here, "delete", "mstack/main", "--cascade=foreground", "--wait=false")
    live = await cluster.get(MONITORING_STACK, namespace, "main")
    assert "foregroundDeletion" in live["metadata"]["finalizers"]
    kubectl(*here, "patch", "mstack/main", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    with pytest.raises(NotFoundError):
        await cluster.get(MONITORING_STACK, namespace, "main")

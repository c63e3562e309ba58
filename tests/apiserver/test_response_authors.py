"""Who may write an AutoResponse, and who may approve what it asks for.

The policy is that of the installation by kustomize, which a golden test holds equal to the chart's.
"""

import json
from collections.abc import Iterator

import pytest

from firewatch.api.resource import API_VERSION, Object
from firewatch.api.responses import APPROVED, REJECTED, RESET
from tests.apiserver.conftest import ROOT, Kubectl, KubectlError
from tests.apiserver.installed import installed, policies

POLICY = "firewatch-response-authors"
SCALE = ("--verb=patch", "--resource=deployments.apps/scale")
SCALERS = ("--verb=patch", "--resource=horizontalpodautoscalers.autoscaling")


def response(namespace: str, target: str = "api", kind: str = "Deployment") -> str:
    body: Object = {
        "apiVersion": API_VERSION,
        "kind": "AutoResponse",
        "metadata": {"name": "scale", "namespace": namespace},
        "spec": {
            "trigger": {"alert": "A"},
            "target": {"kind": kind, "name": target},
            "actions": [{"scaleUp": {"by": 1, "maxReplicas": 9}}],
        },
    }
    return json.dumps(body)


@pytest.fixture(scope="module", autouse=True)
def policy(kubectl: Kubectl, crds: str) -> Iterator[None]:
    verbs = "--verb=get,list,create,update,patch,delete"
    kubectl("create", "clusterrole", "responses", verbs, "--resource=autoresponses")
    text = (ROOT / "config" / "operator.yaml").read_text()
    kubectl("create", "clusterrolebinding", "probe", "--clusterrole=responses", "--user=probe")

    def refused() -> str:
        text = response("default")
        return kubectl("create", "--dry-run=server", "--as=probe", "-f", "-", text=text)

    with installed(kubectl, policies(text, POLICY), refused):
        yield
    kubectl("delete", "clusterrole/responses", "clusterrolebinding/probe")


def author(kubectl: Kubectl, namespace: str, *rights: tuple[str, ...]) -> str:
    """Return the name of somebody who may write AutoResponses and has further rights."""
    name = f"author-of-{namespace}"
    here = ("--namespace", namespace)
    bind = ("create", "rolebinding", f"--user={name}")
    kubectl(*here, *bind, "responses", "--clusterrole=responses")
    for number, right in enumerate(rights):
        kubectl(*here, "create", "role", f"r{number}", *right)
        kubectl(*here, *bind, f"r{number}", f"--role=r{number}")
    return f"--as={name}"


def test_who_may_scale_may_have_it_done(kubectl: Kubectl, namespace: str) -> None:
    somebody = author(kubectl, namespace, SCALE, SCALERS)
    kubectl("apply", somebody, "-f", "-", text=response(namespace))
    kubectl("apply", somebody, "-f", "-", text=response(namespace, "web"))


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        ((SCALERS,), "may not patch deployments/scale of api"),
        ((SCALE,), "may not patch horizontalpodautoscalers"),
        (((*SCALE, "--resource-name=web"), SCALERS), "may not patch deployments/scale of api"),
    ],
)
def test_who_may_not_is_told_what_is_missing(
    kubectl: Kubectl, namespace: str, rights: tuple[tuple[str, ...], ...], missing: str
) -> None:
    somebody = author(kubectl, namespace, *rights)
    with pytest.raises(KubectlError, match=missing):
        kubectl("apply", somebody, "-f", "-", text=response(namespace))


def test_rights_on_one_kind_are_none_on_another(kubectl: Kubectl, namespace: str) -> None:
    somebody = author(kubectl, namespace, SCALE, SCALERS)
    with pytest.raises(KubectlError, match="may not patch statefulsets/scale of api"):
        kubectl("apply", somebody, "-f", "-", text=response(namespace, kind="StatefulSet"))
    kubectl("apply", somebody, "-f", "-", text=response(namespace))
    with pytest.raises(KubectlError, match="may not patch rollouts/scale of api"):
        kubectl("apply", somebody, "-f", "-", text=response(namespace, kind="Rollout"))


def restarting(namespace: str, kind: str = "Deployment") -> str:
    body = json.loads(response(namespace, kind=kind))
    body["spec"]["actions"] = [{"restart": {}}]
    return json.dumps(body)


def test_who_may_patch_a_workload_may_have_it_restarted(kubectl: Kubectl, namespace: str) -> None:
    patch = ("--verb=patch", "--resource=deployments.apps", "--resource-name=api")
    somebody = author(kubectl, namespace, patch)
    kubectl("apply", somebody, "-f", "-", text=restarting(namespace))
    with pytest.raises(KubectlError, match="may not patch deployments/scale of api"):
        kubectl("apply", somebody, "-f", "-", text=response(namespace))
    with pytest.raises(KubectlError, match="may not patch statefulsets api"):
        kubectl("apply", somebody, "-f", "-", text=restarting(namespace, "StatefulSet"))


def test_who_may_only_scale_a_workload_may_not_have_it_restarted(
    kubectl: Kubectl, namespace: str
) -> None:
    somebody = author(kubectl, namespace, SCALE, SCALERS)
    with pytest.raises(
        KubectlError, match=r"restarts its target, and .* may not patch deployments api"
    ):
        kubectl("apply", somebody, "-f", "-", text=restarting(namespace))


def breaking(namespace: str) -> str:
    body = json.loads(response(namespace))
    body["spec"]["actions"] = [{"circuitBreaker": {}}]
    return json.dumps(body)


def test_who_may_patch_all_that_a_circuit_breaker_changes_may_have_it_opened(
    kubectl: Kubectl, namespace: str
) -> None:
    target = ("--verb=patch", "--resource=deployments.apps", "--resource-name=api")
    around = ("--verb=patch", "--resource=services,pods,configmaps")
    somebody = author(kubectl, namespace, target, around)
    kubectl("apply", somebody, "-f", "-", text=breaking(namespace))
    with pytest.raises(KubectlError, match="may not patch deployments/scale of api"):
        kubectl("apply", somebody, "-f", "-", text=response(namespace))


@pytest.mark.parametrize("lacking", ["services", "pods", "configmaps", "deployments.apps"])
def test_who_may_not_patch_one_of_them_may_not(
    kubectl: Kubectl, namespace: str, lacking: str
) -> None:
    resources = {"services", "pods", "configmaps", "deployments.apps"} - {lacking}
    rights = ("--verb=patch", f"--resource={','.join(sorted(resources))}")
    somebody = author(kubectl, namespace, rights)
    with pytest.raises(KubectlError, match="a circuit breaker changes its target, Services, pods"):
        kubectl("apply", somebody, "-f", "-", text=breaking(namespace))


CREDENTIALS = {"name": "keys", "key": "token"}
SERVER = {"url": "https://elsewhere.example", "authorization": {"credentials": CREDENTIALS}}
HOOK = {"url": "https://elsewhere.example", "bearerToken": CREDENTIALS}


@pytest.mark.parametrize(
    ("who", "change"),
    [
        ("spec.source", {"source": {"prometheus": SERVER}}),
        ("notify", {"actions": [{"notify": {"webhook": HOOK}}], "target": None}),
        ("notify", {"actions": [{"notify": {"slack": {"apiUrl": CREDENTIALS}}}], "target": None}),
    ],
)
def test_who_may_not_read_secrets_cannot_have_them_sent_somewhere(
    kubectl: Kubectl, namespace: str, who: str, change: Object
) -> None:
    somebody = author(kubectl, namespace, SCALE, SCALERS)
    body = json.loads(response(namespace))
    spec = {**body["spec"], **change}
    body["spec"] = {name: value for name, value in spec.items() if value is not None}
    with pytest.raises(KubectlError, match=f"{who} has what stands.* may not get secrets in"):
        kubectl("apply", somebody, "-f", "-", text=json.dumps(body))
    here = ("--namespace", namespace)
    kubectl(*here, "create", "role", "read", "--verb=get", "--resource=secrets")
    kubectl(
        *here, "create", "rolebinding", "read", "--role=read", somebody.replace("--as", "--user")
    )
    kubectl("apply", somebody, "-f", "-", text=json.dumps(body))


def test_who_tells_by_a_receiver_of_the_stack_needs_no_right_to_scale_or_to_read_secrets(
    kubectl: Kubectl, namespace: str
) -> None:
    somebody = author(kubectl, namespace)
    body = json.loads(response(namespace))
    body["spec"] = {"trigger": {"alert": "A"}, "actions": [{"notify": {"receiver": "team"}}]}
    kubectl("apply", somebody, "-f", "-", text=json.dumps(body))
    body["spec"] = json.loads(response(namespace))["spec"]
    with pytest.raises(KubectlError, match="may not patch deployments/scale of api"):
        kubectl("apply", somebody, "-f", "-", text=json.dumps(body))


@pytest.mark.parametrize("annotation", [APPROVED, REJECTED, RESET])
def test_approving_takes_a_right_of_its_own(
    kubectl: Kubectl, namespace: str, annotation: str
) -> None:
    kubectl("apply", "-f", "-", text=response(namespace))
    here = ("--namespace", namespace)
    annotate = ("annotate", "aresp/scale", "--overwrite")
    writer = author(kubectl, namespace, SCALE, SCALERS)
    kubectl(*here, *annotate, writer, "team=sre")
    with pytest.raises(KubectlError, match="the verb approve on AutoResponse scale"):
        kubectl(*here, *annotate, writer, f"{annotation}=0123456789ab")
    kubectl(
        *(*here, "create", "role", "approve", "--verb=get,patch,approve"),
        "--resource=autoresponses.monitoring.freeagentics.io",
    )
    kubectl(*here, "create", "rolebinding", "approve", "--role=approve", "--user=boss")
    kubectl(*here, *annotate, "--as=boss", f"{annotation}=0123456789ab")
    kubectl(*here, *annotate, writer, "team=sre2")
    with pytest.raises(KubectlError, match="the verb approve on AutoResponse scale"):
        kubectl(*here, *annotate, writer, f"{annotation}-")


def test_nobody_approves_by_creating(kubectl: Kubectl, namespace: str) -> None:
    somebody = author(kubectl, namespace, SCALE, SCALERS)
    body = json.loads(response(namespace))
    body["metadata"]["annotations"] = {APPROVED: "0123456789ab"}
    with pytest.raises(KubectlError, match="the verb approve on AutoResponse"):
        kubectl("create", somebody, "-f", "-", text=json.dumps(body))

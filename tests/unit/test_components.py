"""Rows of a stack's status: what is missing, in words that do not change by themselves."""

from typing import Any

import pytest

from firewatch.api.resource import ConditionStatus, Object
from firewatch.reconcile.components import (
    available,
    daemon_set,
    endpoints,
    explain_claim,
    explain_pods,
    explain_refusal,
    image_version,
    pending_claims,
    replicated,
    row,
)


def live(generation: int = 2, replicas: int = 1, **status: Any) -> Object:
    return {
        "metadata": {"name": "x", "generation": generation},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 2, **status},
    }


def pod(name: str = "p-0", **status: Any) -> Object:
    return {"metadata": {"name": name}, "status": status}


def container(**fields: Any) -> Object:
    return pod(containerStatuses=[{"name": "c", "image": "i:1", "ready": False, **fields}])


def test_a_stateful_set_is_available_when_every_pod_is_ready_and_up_to_date() -> None:
    good = {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1}
    assert replicated(live(**good)).available
    assert not replicated(live(**(good | {"readyReplicas": 0}))).available
    assert not replicated(live(**(good | {"updatedReplicas": 0}))).available
    assert not replicated(live(3, **good)).available
    assert not replicated(live()).available


def test_a_daemon_set_is_available_when_every_node_has_its_pod() -> None:
    good = {
        "desiredNumberScheduled": 2,
        "currentNumberScheduled": 2,
        "numberReady": 2,
        "updatedNumberScheduled": 2,
    }
    assert daemon_set(live(**good)).available
    assert not daemon_set(live(**(good | {"numberReady": 1}))).available
    assert not daemon_set(live(**(good | {"updatedNumberScheduled": 1}))).available
    assert not daemon_set(live(3, **good)).available


def test_rows_and_summary() -> None:
    ready = replicated(live(replicas=1, readyReplicas=1, updatedReplicas=1))
    waiting = replicated(live())
    rows = [row("prometheus", ready, "ignored"), row("node-exporter", waiting, "pods missing")]
    assert (rows[0].pods, rows[0].message) == ("1/1", "")
    assert (rows[1].pods, rows[1].message) == ("0/1", "pods missing")
    assert available(rows[:1]).status is ConditionStatus.TRUE
    found = available(rows)
    assert (found.reason, found.message) == ("PodsNotReady", "node-exporter: pods missing")


def refusal(message: str, at: str = "2026-01-01T00:00:00Z") -> Object:
    return {"reason": "FailedCreate", "message": message, "lastTimestamp": at}


POD_SECURITY = (
    'violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true, hostPID=true),'
    ' hostPath volumes (volume "root")'
)


def test_pod_security_is_named_with_the_label_to_set() -> None:
    problem = explain_refusal(
        [refusal(f'Error creating: pods "x-node-exporter-vd4ld" is forbidden: {POD_SECURITY}')]
    )
    assert problem.startswith(f"the pods are refused: {POD_SECURITY}; let the namespace allow them")
    assert "pod-security.kubernetes.io/enforce=privileged" in problem
    summary = available([row("node-exporter", daemon_set(live(desiredNumberScheduled=1)), problem)])
    assert summary.reason == "PodsRefused"


def test_each_attempt_is_explained_in_the_same_words() -> None:
    """Every attempt has a pod name of its own; the status must not change with it."""
    attempts = [
        f'Error creating: pods "x-node-exporter-vd4ld" is forbidden: {POD_SECURITY}',
        f'Error creating: pods "x-node-exporter-2df5r" is forbidden: {POD_SECURITY}',
        '(combined from similar events): Error creating: pods "x-46g9t" is forbidden: '
        + POD_SECURITY,
    ]
    assert len({explain_refusal([refusal(text)]) for text in attempts}) == 1


def test_other_refusals_are_passed_on_and_the_latest_counts() -> None:
    events = [
        refusal("exceeded quota: q", at="2026-01-01T00:00:05Z"),
        refusal(f'pods "a" is forbidden: {POD_SECURITY}'),
    ]
    assert explain_refusal(events) == (
        "the pods are refused: exceeded quota: q; raise the quota, or let the stack ask for less"
    )
    assert explain_refusal([{"reason": "SuccessfulCreate", "message": "x"}]) == ""


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (
            container(state={"waiting": {"reason": "ErrImagePull", "message": "at 10:32"}}),
            "pod p-0: the image i:1 cannot be pulled",
        ),
        (
            container(state={"waiting": {"reason": "ImagePullBackOff"}}),
            "pod p-0: the image i:1 cannot be pulled",
        ),
        (
            container(state={"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=3),
            "pod p-0 ends again and again; see kubectl logs p-0 --previous",
        ),
        (
            container(state={"running": {}}, restartCount=4),
            "pod p-0 ends again and again; see kubectl logs p-0 --previous",
        ),
        (
            container(
                state={
                    "waiting": {
                        "reason": "CreateContainerError",
                        "message": 'container 34f: path "/" is not a shared or slave mount',
                    }
                }
            ),
            "pod p-0: the root of its node is not a shared mount; run mount --make-shared / there",
        ),
        (
            container(state={"waiting": {"reason": "CreateContainerError", "message": "34f"}}),
            "pod p-0: CreateContainerError",
        ),
        (
            container(state={"waiting": {"reason": "ContainerCreating"}}),
            "waiting for the pods to be ready",
        ),
        (
            pod(
                conditions=[
                    {"type": "PodScheduled", "status": "False", "message": "0/1 nodes available"}
                ]
            ),
            "pod p-0 cannot be scheduled: 0/1 nodes available",
        ),
        (pod(containerStatuses=[{"name": "c", "ready": True}]), "waiting for the pods to be ready"),
        (pod(), "waiting for the pods to be ready"),
    ],
)
def test_what_keeps_a_pod_from_being_ready(found: Object, problem: str) -> None:
    assert explain_pods([found]) == problem


def failed(message: str) -> Object:
    return {"reason": "FailedCreate", "message": message, "lastTimestamp": "2026-01-01T00:00:00Z"}


def test_a_quota_is_told_without_what_it_has_given_out() -> None:
    """What is used changes with every pod of the namespace, and a message that changes is a write."""
    said = [
        explain_refusal(
            [
                failed(
                    "create Pod main-prometheus-0 in StatefulSet main-prometheus failed error: pods"
                    ' "main-prometheus-0" is forbidden: exceeded quota: small, requested: pods=1,'
                    f" used: pods={used}, limited: pods=4"
                )
            ]
        )
        for used in (3, 4)
    ]
    expected = (
        "the pods are refused: exceeded quota: small, requested: pods=1, limited: pods=4; raise the"
        " quota, or let the stack ask for less"
    )
    assert said == [expected, expected]


def test_a_claim_that_a_quota_refuses_is_told() -> None:
    message = (
        "create Claim data-main-prometheus-0 for Pod main-prometheus-0 in StatefulSet main-prometheus"
        ' failed error: persistentvolumeclaims "data-main-prometheus-0" is forbidden: exceeded quota:'
        " disk, requested: requests.storage=50Gi, used: requests.storage=0, limited:"
        " requests.storage=10Gi"
    )
    assert explain_refusal([failed(message)]).startswith(
        "the pods are refused: exceeded quota: disk, requested: requests.storage=50Gi, limited:"
    )


def test_an_unknown_storage_class_is_told_in_the_provisioners_words() -> None:
    claim: Object = {
        "metadata": {"name": "data-p-0"},
        "spec": {"storageClassName": "nosuch"},
        "status": {"phase": "Pending"},
    }
    bound: Object = {"metadata": {"name": "data-p-1"}, "spec": {}, "status": {"phase": "Bound"}}
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": name}}
        for name in ("data-p-0", "data-p-1")
    ]
    waiting = {"metadata": {"name": "p-0"}, "spec": {"volumes": volumes}}
    assert pending_claims([waiting], [claim, bound]) == [claim]
    assert pending_claims([], [claim]) == []
    event = {
        "reason": "ProvisioningFailed",
        "message": 'storageclass.storage.k8s.io "nosuch" not found',
    }
    assert explain_claim(claim, [event]) == (
        'claim data-p-0 gets no volume: storageclass.storage.k8s.io "nosuch" not found; create'
        " StorageClass nosuch or correct storageClassName"
    )
    assert explain_claim(claim, []) == ""


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("prom/prometheus:v3.13.2", "3.13.2"),
        ("registry.example:5000/prometheus", ""),
        ("registry.example:5000/a/b:1.2@sha256:0123", "1.2"),
        ("a/b@sha256:0123", ""),
        ("a/b:vanilla", "vanilla"),
    ],
)
def test_the_version_of_an_image_is_its_tag(image: str, version: str) -> None:
    template = {"spec": {"containers": [{"image": image}]}}
    assert image_version({"spec": {"template": template}}) == version


def test_endpoints_are_those_of_services_with_an_address() -> None:
    def service(name: str, **spec: Any) -> Object:
        labels = {"app.kubernetes.io/name": "prometheus"}
        metadata = {"name": name, "namespace": "shop", "labels": labels}
        ports = [{"name": "http", "port": 9090}]
        return {"kind": "Service", "metadata": metadata, "spec": {"ports": ports, **spec}}

    objects = [service("pods", clusterIP="None"), service("main"), {"kind": "ConfigMap"}]
    assert endpoints(objects) == {"prometheus": "http://main.shop.svc:9090"}


NO_PORT = (
    "0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, 2 node(s)"
    " didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/3 nodes are available"
)
ENDED = {"terminated": {"message": 'msg="listen tcp :9100: bind: address already in use"'}}
PORT_TAKEN = (
    "port 9100 is taken on node n1 by another program; set exporters.node.port to a port that is free"
    " on every node, or remove the other program"
)


def node_pod(**status: Any) -> Object:
    """Return a pod of a DaemonSet on the network of node n1, to which no scheduler has bound it."""
    field = {"key": "metadata.name", "operator": "In", "values": ["n1"]}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    ports = [{"containerPort": 9100, "hostPort": 9100}]
    spec = {"affinity": {"nodeAffinity": required}, "containers": [{"ports": ports}]}
    return {"metadata": {"name": "x"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [{"type": "PodScheduled", "status": "False", "message": NO_PORT}]},
        {"phase": "Failed", "reason": "NodePorts", "message": "Pod was rejected"},
        {"containerStatuses": [{"name": "c", "ready": False, "state": ENDED}]},
        {
            "containerStatuses": [
                {
                    "name": "c",
                    "ready": False,
                    "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": ENDED,
                }
            ]
        },
    ],
    ids=["another pod has it", "kubelet refuses", "just ended", "ended before"],
)
def test_a_port_of_a_node_that_is_taken_is_named_with_the_field_to_set(status: Object) -> None:
    assert explain_pods([node_pod(**status)]) == PORT_TAKEN


def test_what_a_container_said_last_is_not_shown() -> None:
    ended = {"terminated": {"message": "dsn=postgres://user:password@db"}}
    found = container(restartCount=2, lastState=ended)
    assert explain_pods([found]) == "pod p-0 ends again and again; see kubectl logs p-0 --previous"


def test_a_secret_that_is_missing_is_named() -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "login" not found'}
    found = container(state={"waiting": waiting})
    expected = 'pod p-0 waits: secret "login" not found; create it in this namespace'
    assert explain_pods([found]) == expected

"""The operator's process with a receiver that really listens, and what it takes to post to it.

There are no nodes: an imagined pod stands for the stack's Prometheus, so that its token is a real one
that the API server reviews. Nobody answers at its address, so that what was pushed counts.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from e2e.audit import AuditLog, Call
from e2e.cluster.controlplane import CONTEXT, ControlPlane
from e2e.cluster.interface import Cluster
from e2e.kubectl import wait_for
from firewatch.api.resource import API_VERSION, Object
from firewatch.api.responses import OPT_IN_LABEL
from firewatch.settings import PROMETHEUS_ROLE, RECEIVER_AUDIENCE, STACK_LABEL
from tests.apiserver.deployed import OperatorProcess, install_crds, operator_process
from tests.apiserver.kubectl import Kubectl, kubectl_of

NAMESPACE = "posting"
STACK = "main"
ALERT = "Storm"
WEBHOOK_TOKEN = "a-webhook-token-that-nobody-guesses"
ADMINISTRATOR = "firewatch-admin"
"""As whom the operator acts here; nobody else scales anything."""
_AT_ONCE = 50


@dataclass(frozen=True)
class Site:
    """One namespace in which targets are raised when an alert is posted."""

    control_plane: ControlPlane
    kubectl: Kubectl
    operator: OperatorProcess
    token: str
    """Of the stack's Prometheus."""
    targets: tuple[str, ...]

    @property
    def url(self) -> str:
        """Return the address of the receiver."""
        return f"http://127.0.0.1:{self.operator.receiver}"

    def audit(self) -> AuditLog:
        """Return the audit log from now on."""
        cluster = Cluster(
            backend="apiserver",
            version="",
            kubeconfig=self.control_plane.kubeconfig,
            context=CONTEXT,
            audit_log=self.control_plane.audit_log,
            tools=Path(),
            node_address="127.0.0.1",
        )
        return AuditLog(cluster)

    def replicas(self) -> dict[str, int]:
        """Return how many replicas each target is to have."""
        items = self._items("deployments")
        return {each["metadata"]["name"]: each["spec"]["replicas"] for each in items}

    def responses(self) -> dict[str, Object]:
        """Return the status of each AutoResponse."""
        return {
            each["metadata"]["name"]: each.get("status", {})
            for each in self._items("autoresponses")
        }

    def _items(self, plural: str) -> list[Object]:
        text = self.kubectl("-n", NAMESPACE, "get", plural, "-o", "json")
        items: list[Object] = json.loads(text)["items"]
        return items


def scalings(audit: AuditLog) -> list[Call]:
    """Return the changes of targets that the API server has made."""
    calls = audit.calls(ADMINISTRATOR)
    found = [call for call in calls if call.resource == "deployments/scale" and call.is_write]
    return [call for call in found if call.code == 200]


@contextmanager
def posting_site(
    folder: Path, control_plane: ControlPlane, *, targets: int, rails: dict[str, str]
) -> Iterator[Site]:
    """Start the operator beside targets whose AutoResponses have been taken up."""
    kubectl = kubectl_of(control_plane.kubeconfig, folder)
    install_crds(kubectl)
    kubectl("create", "namespace", NAMESPACE)
    names = tuple(f"target-{number}" for number in range(targets))
    settings = {"FIREWATCH_SOURCE_NAMESPACES": NAMESPACE, **rails}
    with operator_process(control_plane.kubeconfig, folder, settings) as operator:
        operator.wait_working()
        _apply(kubectl, _object(API_VERSION, "MonitoringStack", STACK, {"metrics": {}}), _secret())
        token = _prometheus_token(kubectl)
        _apply(kubectl, *map(_deployment, names))
        _apply(kubectl, *map(_response, names))
        site = Site(control_plane, kubectl, operator, token, names)
        wait_for("every AutoResponse to be looked at", partial(_are_taken_up, site))
        yield site


def _are_taken_up(site: Site) -> bool:
    found = site.responses()
    return len(found) == len(site.targets) and all(
        status.get("observedGeneration") for status in found.values()
    )


def _apply(kubectl: Kubectl, *objects: Object) -> None:
    for start in range(0, len(objects), _AT_ONCE):
        items = objects[start : start + _AT_ONCE]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        kubectl("apply", "-f", "-", text=text)


def _prometheus_token(kubectl: Kubectl) -> str:
    """Return a token like that of the stack's Prometheus, once the operator has made its account."""
    here = ("-n", NAMESPACE)
    account = ("get", "serviceaccount", PROMETHEUS_ROLE, "-o", "name")
    wait_for("the account of Prometheus", lambda: kubectl(*here, *account))
    pod = {
        "serviceAccountName": PROMETHEUS_ROLE,
        "automountServiceAccountToken": False,
        "containers": [{"name": "prometheus", "image": "x"}],
    }
    name = f"{STACK}-prometheus-0"
    _apply(kubectl, _object("v1", "Pod", name, pod, labels={STACK_LABEL: STACK}))
    uid = kubectl(*here, "get", "pod", name, "-o", "jsonpath={.metadata.uid}")
    return kubectl(
        *(*here, "create", "token", PROMETHEUS_ROLE, f"--audience={RECEIVER_AUDIENCE}"),
        *("--duration=8h", "--bound-object-kind=Pod"),
        *(f"--bound-object-name={name}", f"--bound-object-uid={uid}"),
    ).strip()


def _object(
    api_version: str, kind: str, name: str, spec: Any, *, labels: dict[str, str] | None = None
) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels or {}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _secret() -> Object:
    metadata = {"name": "webhook", "namespace": NAMESPACE}
    data = {"token": WEBHOOK_TOKEN}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def _deployment(name: str) -> Object:
    labels = {"app": name}
    pod = {"containers": [{"name": "c", "image": "example.org/none:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    return _object("apps/v1", "Deployment", name, spec, labels={OPT_IN_LABEL: "enabled"})


def _response(name: str) -> Object:
    """Return the AutoResponse that raises a target."""
    spec: Object = {
        "stackRef": {"name": STACK},
        "trigger": {"alert": ALERT, "labels": {"target": name}},
        "target": {"name": name},
        "actions": [{"scaleUp": {"by": 2, "maxReplicas": 10}}],
        "mode": "enforce",
    }
    return _object(API_VERSION, "AutoResponse", name, spec)


def by_webhook(site: Site, name: str) -> None:
    """Have a target's AutoResponse go by a webhook, and wait until it does."""
    body = _response(name)
    del body["spec"]["stackRef"]
    body["spec"]["source"] = {
        "prometheus": {"url": "http://127.0.0.1:9"},
        "webhookToken": {"name": "webhook", "key": "token"},
    }
    _apply(site.kubectl, body)

    def is_seen() -> bool:
        conditions = site.responses()[name].get("conditions", [])
        found = {each["type"]: each["message"] for each in conditions}
        return "http://127.0.0.1:9" in found.get("Accepted", "")

    wait_for("the webhook to be taken up", is_seen)


def pushed(target: str, number: int = 0, **times: str) -> Object:
    """Return an alert about a target as Prometheus pushes it; each number is another one."""
    labels = {"alertname": ALERT, "target": target, "instance": str(number)}
    return {"labels": labels, "annotations": {"summary": f"{target} has a storm"}, **times}


def hooked(target: str, status: str = "firing") -> Object:
    """Return a message of Alertmanager's webhook about a target."""
    alert = {**pushed(target), "status": status}
    return {"version": "4", "status": status, "alerts": [alert]}

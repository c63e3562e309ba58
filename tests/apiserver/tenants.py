"""Two namespaces, people with all rights in the first of them, and an operator that looks after both.

The operator may do everything everywhere, so that nothing but itself holds it back. It has a user of
its own, so that the audit log tells its writes from those of others.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import yaml

from e2e.audit import AuditLog
from e2e.cluster.api import Access
from e2e.cluster.controlplane import CONTEXT, ControlPlane
from e2e.cluster.interface import Cluster
from e2e.cluster.progress import ConsoleProgress
from e2e.kubectl import wait_for
from firewatch.api.resource import Object
from tests.apiserver.deployed import ROOT, OperatorProcess, install_crds, operator_process
from tests.apiserver.everything import objects
from tests.apiserver.kubectl import Kubectl, kubectl_of

TENANT, NEIGHBOUR = "tenant", "neighbour"
OWNER, ADMIN = "tenant", "namespace-admin"
"""Somebody whose Role has every verb on everything, and somebody with the ClusterRole ``admin``."""
AS_OWNER = (f"--as={OWNER}", "-n", TENANT)
_OPERATOR = "the-operator"
_RBAC = "rbac.authorization.k8s.io"
_USER_ROLES = frozenset({"firewatch-edit", "firewatch-view", "firewatch-approve"})
_EVERYTHING: Object = {
    "apiVersion": f"{_RBAC}/v1",
    "kind": "Role",
    "metadata": {"name": "everything", "namespace": TENANT},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
}
_STEADY = 3
"""How often the same must be seen in a row."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Town:
    """The two namespaces and whoever is there."""

    control_plane: ControlPlane
    kubectl: Kubectl
    operator: OperatorProcess

    @property
    def administrator(self) -> Access:
        """Return the access of somebody who may impersonate everybody."""
        return self.control_plane.access("admin", "firewatch-admin", groups=["system:masters"])

    def apply(self, *found: Object, user: str = "") -> None:
        """Apply objects, as somebody if a user is named."""
        flags = [f"--as={user}"] if user else []
        self.kubectl("apply", *flags, "-f", "-", text=yaml.safe_dump_all(found))

    def audit(self) -> "Writes":
        """Return who changes what from now on."""
        cluster = Cluster(
            backend="apiserver",
            version="",
            kubeconfig=self.control_plane.kubeconfig,
            context=CONTEXT,
            audit_log=self.control_plane.audit_log,
            tools=Path(),
            node_address="127.0.0.1",
        )
        return Writes(AuditLog(cluster))


@dataclass(frozen=True)
class Writes:
    """What has been changed since this was made, by the audit log."""

    log: AuditLog

    def of_operator(self, namespace: str) -> set[tuple[str, str]]:
        """Return what the operator has changed in a namespace: resource and name."""
        return {
            (call.resource, call.name)
            for call in self.log.calls(_OPERATOR)
            if call.is_write and call.code < 400 and call.namespace == namespace
        }

    def of_people(self, namespace: str) -> list[str]:
        """Return what anybody who was impersonated was allowed in a namespace, reading included."""
        return [
            f"{event['verb']} {event['requestURI']}"
            for event in self.log.events()
            if event["stage"] == "ResponseComplete"
            and "impersonatedUser" in event
            and event.get("objectRef", {}).get("namespace") == namespace
            and event["responseStatus"]["code"] < 400
        ]


@contextmanager
def town(folder: Path) -> Iterator[Town]:
    """Prepare both namespaces, and start the operator."""
    with ControlPlane.prepare(folder, ConsoleProgress()) as control_plane:
        kubectl = kubectl_of(control_plane.kubeconfig, folder)
        install_crds(kubectl)
        for name in (TENANT, NEIGHBOUR):
            kubectl("create", "namespace", name)
        _grant(kubectl)
        kubeconfig = control_plane.user_kubeconfig(_OPERATOR, groups=["system:masters"])
        with operator_process(kubeconfig, folder) as operator:
            operator.wait_working()
            yield Town(control_plane, kubectl, operator)


def _grant(kubectl: Kubectl) -> None:
    """Give both people their rights in the tenant's namespace, and wait until they have them."""
    installation = yaml.safe_load_all((ROOT / "config" / "operator.yaml").read_text())
    roles = [
        each
        for each in installation
        if each["kind"] == "ClusterRole" and each["metadata"]["name"] in _USER_ROLES
    ]
    assert len(roles) == len(_USER_ROLES)
    kubectl("apply", "-f", "-", text=yaml.safe_dump_all([_EVERYTHING, *roles]))
    _aggregate(kubectl)
    bind = ("-n", TENANT, "create", "rolebinding")
    kubectl(*bind, "everything", "--role=everything", f"--user={OWNER}")
    kubectl(*bind, "admin", "--clusterrole=admin", f"--user={ADMIN}")
    for user in (OWNER, ADMIN):
        asked = ("auth", "can-i", "delete", "autoresponses", "-n", TENANT, f"--as={user}")
        wait_for(f"the rights of {user}", partial(kubectl, *asked))


def _aggregate(kubectl: Kubectl) -> None:
    """Fill in what is aggregated, as the controller manager does, which does not run here."""
    items = json.loads(kubectl("get", "clusterroles", "-o", "json"))["items"]
    roles = {each["metadata"]["name"]: each for each in items}
    for name in ("view", "edit", "admin"):  # each is part of the next
        wanted = [
            each["matchLabels"] for each in roles[name]["aggregationRule"]["clusterRoleSelectors"]
        ]
        rules = [
            rule
            for each in items
            if any(one.items() <= each["metadata"].get("labels", {}).items() for one in wanted)
            for rule in each.get("rules") or []
        ]
        roles[name]["rules"] = rules
        kubectl("patch", "clusterrole", name, "--type=merge", "-p", json.dumps({"rules": rules}))


def standing(kubectl: Kubectl, namespace: str = NEIGHBOUR) -> dict[str, Object]:
    """Return what there is in a namespace, but for what is said about it."""
    found = {}
    for each in objects(kubectl, namespace):
        if each["kind"] == "Event":
            continue
        for name in ("resourceVersion", "managedFields"):
            each["metadata"].pop(name, None)
        each.pop("status", None)
        found[f"{each['kind']}/{each['metadata']['name']}"] = each
    return found


def verdicts(kubectl: Kubectl, namespace: str = NEIGHBOUR) -> dict[str, Object]:
    """Return what is said about our resources of a namespace, without the words.

    Fails while nothing is said about one of them, or about an earlier form of it, or what is said will
    change by itself.
    """
    items = json.loads(kubectl("get", "mstack,apol,aresp,rpol", "-n", namespace, "-o", "json"))
    found = {}
    for each in items["items"]:
        status = each["status"]
        assert status["observedGeneration"] == each["metadata"]["generation"], each
        conditions = {c["type"]: [c["status"], c["reason"]] for c in status["conditions"]}
        assert ["Unknown", "Reloading"] not in conditions.values(), each
        name = f"{each['kind']}/{each['metadata']['name']}"
        found[name] = {"conditions": conditions, "stack": status.get("stack")}
    return found


def steady(what: str, look: Callable[[], Value], *, seconds: float = 60) -> Value:
    """Return what is seen, once it is the same several times in a row."""
    seen: list[Value] = []

    def probe() -> bool:
        seen.append(look())
        last = seen[-_STEADY:]
        return len(last) == _STEADY and all(each == last[0] for each in last)

    wait_for(what, probe, seconds=seconds)
    return seen[-1]

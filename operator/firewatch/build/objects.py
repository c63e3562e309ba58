"""Small constructors of Kubernetes objects. Every call returns new dicts: nothing is shared."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from firewatch.api.resource import API_VERSION, Object
from firewatch.api.stack import MONITORING_STACK, MonitoringStackSpec
from firewatch.api.workload import Resources, Storage
from firewatch.build import names
from firewatch.build.quantities import canonical_quantities, canonical_quantity

NOBODY = 65534


@dataclass(frozen=True)
class Stack:
    """A MonitoringStack as the builders need it."""

    namespace: str
    name: str
    uid: str
    spec: MonitoringStackSpec

    def labels(self, application: str, component: str) -> dict[str, str]:
        """Return the labels of an object of this stack."""
        return names.labels(self.name, application, component)


def owner_reference(stack: Stack, *, controller: bool) -> Object:
    """Return the reference by which an object goes when its stack goes."""
    reference: Object = {
        "apiVersion": API_VERSION,
        "kind": MONITORING_STACK.kind,
        "name": stack.name,
        "uid": stack.uid,
    }
    if controller:
        reference |= {"controller": True, "blockOwnerDeletion": True}
    return reference


@dataclass(frozen=True)
class Part:
    """One object of a stack: what it is called and what it belongs to."""

    stack: Stack
    name: str
    application: str
    component: str

    def meta(self) -> Object:
        """Return the object's ``metadata``."""
        return {
            "name": self.name,
            "namespace": self.stack.namespace,
            "labels": self.labels(),
            "ownerReferences": [owner_reference(self.stack, controller=True)],
        }

    def labels(self) -> dict[str, str]:
        """Return the labels of the object and, for a workload, of its pods."""
        return self.stack.labels(self.application, self.component)

    def selector(self) -> dict[str, str]:
        """Return the labels that select the workload's pods."""
        return names.selector(self.stack.name, self.application)


def config_map(part: Part, data: Mapping[str, str]) -> Object:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": part.meta(), "data": {**data}}


def secret(part: Part, data: Mapping[str, bytes]) -> Object:
    """Return a Secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": part.meta(),
        "type": "Opaque",
        "data": {name: b64encode(data[name]).decode() for name in sorted(data)},
    }


def service(part: Part, *, port: int, headless: bool = False, https: bool = False) -> Object:
    """Return a Service with one named port, ``http`` or ``https``."""
    name = "https" if https else "http"
    shown: Object = {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
    if https:
        shown["appProtocol"] = "https"
    spec: Object = {"type": "ClusterIP", "selector": part.selector(), "ports": [shown]}
    if headless:
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True}
    return {"apiVersion": "v1", "kind": "Service", "metadata": part.meta(), "spec": spec}


def disruption_budget(part: Part) -> Object:
    """Return the budget that lets a drain take one pod of several at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": part.meta(),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": part.selector()}},
    }


def volume_claim(part: Part, storage: Storage) -> Object:
    """Return the template of a StatefulSet's claim, ``data``."""
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": canonical_quantity(storage.size)}},
    }
    if storage.storage_class_name:
        spec["storageClassName"] = storage.storage_class_name
    return {"metadata": {"name": "data", "labels": part.labels()}, "spec": spec}


def shared_meta(
    name: str, namespace: str, owners: Iterable[Stack], *, application: str = names.PROMETHEUS
) -> Object:
    """Return the ``metadata`` of an object that several stacks share, sorted by their uids."""
    return {
        "name": name,
        "namespace": namespace,
        "labels": names.shared_labels(application),
        "ownerReferences": [
            owner_reference(stack, controller=False)
            for stack in sorted(owners, key=lambda stack: stack.uid)
        ],
    }


def pod_security() -> Object:
    """Return the hardened security context of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": NOBODY,
        "runAsGroup": NOBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Object:
    """Return the hardened security context of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources(wanted: Resources, *, default: Mapping[str, str]) -> Object:
    """Return a container's ``resources``; the default requests stand only if nothing is given.

    Mixed with a user's limits, a default request could exceed them and be refused.
    """
    requests = wanted.requests
    if not (wanted.requests or wanted.limits):
        requests = {**default}
    found = {
        "requests": canonical_quantities(requests),
        "limits": canonical_quantities(wanted.limits),
    }
    return {key: value for key, value in found.items() if value}


def http_probe(
    path: str, *, period: int, failures: int, timeout: int = 3, https: bool = False
) -> Object:
    """Return a probe of the port ``http`` or ``https``; kubelet checks no certificate."""
    get = (
        {"path": path, "port": "https", "scheme": "HTTPS"}
        if https
        else {"path": path, "port": "http"}
    )
    return {
        "httpGet": get,
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }

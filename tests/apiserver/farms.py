"""Kinds that nobody but these tests has, with a scale: one keeps its replicas in a place of its own."""

import json
from dataclasses import dataclass
from typing import Any

from firewatch.api.resource import Object
from firewatch.api.responses import OPT_IN_LABEL
from firewatch.cluster.kinds import Kind
from firewatch.settings import EXTRA_KINDS
from tests.apiserver.deployed import wait_served
from tests.apiserver.kubectl import Kubectl

GROUP, VERSION = "test.firewatch.example", "v1beta1"


@dataclass(frozen=True)
class Scalable:
    """A kind with a scale, and where its numbers stand."""

    kind: Kind
    wanted: tuple[str, ...]
    """Path of the replicas in the spec."""
    running: tuple[str, ...]
    """Path of the replicas in the status."""

    @property
    def entry(self) -> Object:
        """Return it as the chart's ``targets.extraKinds`` has it."""
        kind = self.kind
        return {
            "group": kind.group,
            "version": kind.version,
            "kind": kind.kind,
            "resource": kind.plural,
        }

    def definition(self, *, scale: bool = True) -> Object:
        """Return its CustomResourceDefinition."""
        kind, free = self.kind, {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        paths = {
            "specReplicasPath": ".".join(("", "spec", *self.wanted)),
            "statusReplicasPath": ".".join(("", "status", *self.running)),
        }
        names = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{kind.plural}.{kind.group}"},
            "spec": {
                "group": kind.group,
                "scope": "Namespaced",
                "names": names,
                "versions": [
                    {
                        "name": kind.version,
                        "served": True,
                        "storage": True,
                        "subresources": {"status": {}, **({"scale": paths} if scale else {})},
                        "schema": {"openAPIV3Schema": free},
                    }
                ],
            },
        }

    def spec(self, count: int) -> Object:
        """Return the spec of one with so many replicas."""
        return _nested(self.wanted, count)

    def count(self, live: Object) -> int:
        """Return the replicas that one should have."""
        found: Any = live["spec"]
        for name in self.wanted:
            found = found[name]
        return int(found)

    def manifest(self, namespace: str, count: int = 2, name: str = "api") -> Object:
        """Return one that may be changed."""
        labels = {OPT_IN_LABEL: "enabled"}
        return {
            "apiVersion": self.kind.api_version,
            "kind": self.kind.kind,
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {**self.spec(count), "crop": "wheat"},
        }


def _nested(path: tuple[str, ...], value: Any) -> Object:
    for name in reversed(path):
        value = {name: value}
    found: Object = value
    return found


FARM = Scalable(
    Kind(f"{GROUP}/{VERSION}", "Farm", "farms"), ("workers", "count"), ("workers", "running")
)
POOL = Scalable(Kind(f"{GROUP}/{VERSION}", "Pool", "pools"), ("replicas",), ("replicas",))
ROCK = Scalable(Kind(f"{GROUP}/{VERSION}", "Rock", "rocks"), ("replicas",), ("replicas",))
"""One without a scale."""
SETTINGS = {EXTRA_KINDS: json.dumps([each.entry for each in (FARM, POOL, ROCK)])}


def install(kubectl: Kubectl) -> None:
    """Install the definitions, and wait until they are served."""
    definitions = [each.definition(scale=each is not ROCK) for each in (FARM, POOL, ROCK)]
    body = {"apiVersion": "v1", "kind": "List", "items": definitions}
    kubectl("apply", "-f", "-", text=json.dumps(body))
    wait_served(kubectl, ",".join(each["metadata"]["name"] for each in definitions))

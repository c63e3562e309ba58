"""Resources in which every field of every kind stands somewhere, and what has become of them."""

import json

from firewatch.api.resource import API_VERSION, Object
from tests.apiserver.examples import ROOT, objects_of
from tests.apiserver.kubectl import Kubectl

FILES = sorted([*(ROOT / "tests/golden/stack").glob("*.yaml"), *(ROOT / "examples").glob("*.yaml")])
NOBODY: Object = {"receivers": [{"name": "nobody"}], "route": {"receiver": "nobody"}}
"""The block ``alerting`` of a stack that tells nobody."""


def ours(kind: str, name: str, namespace: str, spec: Object) -> Object:
    """Return a resource of one of our kinds."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def resources() -> list[Object]:
    """Return our resources of the golden tests and of the examples."""
    found = [
        each
        for path in FILES
        for each in objects_of(path.read_text())
        if each["apiVersion"] == API_VERSION
    ]
    for each in found:
        each["metadata"].pop("uid", None)  # only the API server may set it
    return found


def objects(kubectl: Kubectl, namespace: str = "") -> list[Object]:
    """Return all objects of a namespace, or everything that the API server has."""
    scope = ("-n", namespace) if namespace else ("-A",)
    namespaced = ("--namespaced",) if namespace else ()
    kinds = kubectl("api-resources", "--verbs=list", "-o", "name", *namespaced).split()
    found: list[Object] = json.loads(kubectl("get", ",".join(kinds), *scope, "-o", "json"))["items"]
    return found


def statuses(kubectl: Kubectl) -> list[Object]:
    """Return the statuses of our resources; fails while one is not of its present generation."""
    found = json.loads(kubectl("get", "mstack,apol,aresp,rpol", "-A", "-o", "json"))["items"]
    for each in found:
        assert each["status"]["observedGeneration"] == each["metadata"]["generation"], each
    return [each["status"] for each in found]

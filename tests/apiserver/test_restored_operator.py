"""The operator's whole process lives through an etcd that is restored under it, its watches included.

What counts here is whether it still hears: a watch that goes on from a version which the restored etcd
has yet to reach is accepted by the API server, and silent.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.kubectl import wait_for
from firewatch.api.resource import API_VERSION, Object
from tests.apiserver.deployed import OperatorProcess, operator_process
from tests.apiserver.restoring import Store

MANY = 400
"""Objects that are made, so that the restored etcd is far behind: every one counts a version."""


def policy(name: str, expression: str = "up") -> Object:
    """Return an AlertPolicy; without a stack its status says so."""
    groups = [{"name": "g", "rules": [{"alert": "A", "expr": expression}]}]
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": API_VERSION,
        "kind": "AlertPolicy",
        "metadata": metadata,
        "spec": {"groups": groups},
    }


def response(name: str) -> Object:
    """Return an AutoResponse, whose status says that there is no stack."""
    metadata = {"name": name, "namespace": "default"}
    spec = {
        "trigger": {"alert": "A"},
        "target": {"name": "api"},
        "actions": [{"scaleUp": {"by": 1, "maxReplicas": 2}}],
    }
    return {"apiVersion": API_VERSION, "kind": "AutoResponse", "metadata": metadata, "spec": spec}


def apply(store: Store, *objects: Object) -> None:
    body = {"apiVersion": "v1", "kind": "List", "items": [*objects]}
    store.kubectl("apply", "-f", "-", text=json.dumps(body))


def wait_seen(store: Store, thing: str) -> None:
    """Wait until the operator has said something about a resource as it is now."""

    def seen() -> bool:
        found = json.loads(store.kubectl("get", thing, "-o", "json"))
        return bool(found["status"]["observedGeneration"] == found["metadata"]["generation"])

    wait_for(f"the operator to see {thing}", seen, seconds=60)


@pytest.fixture
def operator(store: Store, tmp_path: Path) -> Iterator[OperatorProcess]:
    """Run the operator beside an etcd of which there is a copy from before."""
    apply(store, policy("old"), response("old"))
    store.save()
    with operator_process(store.control_plane.kubeconfig, tmp_path) as process:
        process.wait_working()
        yield process


def test_what_changes_after_etcd_was_restored_is_heard(
    store: Store, operator: OperatorProcess
) -> None:
    wait_seen(store, "apol/old")
    wait_seen(store, "aresp/old")
    configmaps = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"many-{n}"}}
        for n in range(MANY)
    ]
    store.kubectl(
        *("create", "-f", "-"),
        text=json.dumps({"apiVersion": "v1", "kind": "List", "items": configmaps}),
    )
    # The watches have heard of a version that the copy knows nothing of.
    apply(store, policy("late"), response("late"))
    wait_seen(store, "apol/late")
    wait_seen(store, "aresp/late")

    store.restore()
    # The Lease has run out meanwhile, and the next term looks at everything, which the watches do not
    # prove. The copy has no statuses: once they are there, that is over.
    wait_seen(store, "apol/old")
    wait_seen(store, "aresp/old")
    apply(store, policy("old", "up == 0"), response("new"))
    wait_seen(store, "apol/old")
    wait_seen(store, "aresp/new")
    assert operator.process.poll() is None, operator.said()
    for plural in ("alertpolicies", "autoresponses"):
        path = f"/apis/{API_VERSION}/{plural}"
        assert f"etcd has been restored; {path} is watched anew" in operator.said()

"""kopf's watches against a real API server: what they hear."""

import json
import queue
from collections.abc import Iterator

import pytest

from e2e.cluster.controlplane import ControlPlane
from firewatch.api.resource import Key, Object
from firewatch.handlers import Watcher
from firewatch.settings import parse_settings
from tests.apiserver.kubectl import Kubectl

pytestmark = pytest.mark.usefixtures("crds")

Keys = queue.Queue[Key]


@pytest.fixture
def woken(
    control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Keys]:
    """Return the keys that are woken while the watches run."""
    environment = {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "FIREWATCH_STACK_NAMESPACES": namespace,
    }
    # kopf reads the variable itself.
    monkeypatch.setenv("KUBECONFIG", environment["KUBECONFIG"])
    keys: Keys = queue.Queue()
    watcher = Watcher(
        parse_settings(environment), wake=keys.put, wake_all=lambda *_: None, ended=lambda: None
    )
    watcher.start()
    yield keys
    watcher.stop()
    watcher.join(timeout=30)
    assert watcher.failure is None


def hear(keys: Keys, key: Key) -> None:
    """Wait until a key is woken."""
    while keys.get(timeout=60) != key:
        pass


def policy(namespace: str, expression: str, **labels: str) -> Object:
    rules = [{"alert": "A", "expr": expression}]
    return {
        "apiVersion": "monitoring.freeagentics.io/v1alpha1",
        "kind": "AlertPolicy",
        "metadata": {"name": "a", "namespace": namespace, "labels": labels},
        "spec": {"groups": [{"name": "g", "rules": rules}]},
    }


def test_changes_of_spec_and_labels_are_heard_and_those_of_the_status_are_not(
    kubectl: Kubectl, namespace: str, woken: Keys
) -> None:
    key = Key("AlertPolicy", namespace, "a")

    def apply(live: Object) -> None:
        kubectl("apply", "-f", "-", text=json.dumps(live))

    apply(policy(namespace, "up"))
    hear(woken, key)
    for change in (policy(namespace, "up == 0"), policy(namespace, "up == 0", team="x")):
        apply(change)
        hear(woken, key)
    status = json.dumps({"status": {"stack": "main"}})
    where = ("-n", namespace)
    kubectl(*where, "patch", "apol/a", "--subresource=status", "--type=merge", "-p", status)
    kubectl(*where, "create", "configmap", "own")
    labels = ("app.kubernetes.io/managed-by=firewatch", "monitoring.freeagentics.io/stack=main")
    kubectl(*where, "label", "configmap", "own", *labels)
    assert woken.get(timeout=60) == Key("MonitoringStack", namespace, "main")
    kubectl(*where, "delete", "apol/a")
    hear(woken, key)

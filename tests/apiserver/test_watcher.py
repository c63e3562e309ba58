"""kopf's watches against a real API server: what they hear."""

import gc
import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from firewatch import handlers
from firewatch.api.resource import Key, Object
from firewatch.handlers import Watcher
from firewatch.settings import parse_settings
from tests.apiserver.kubectl import Kubectl
from tests.apiserver.relay import Relay, relaying

pytestmark = [
    pytest.mark.usefixtures("crds"),
    # kopf leaves connections that were cut to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Keys = queue.Queue[Key]


@contextmanager
def watching(kubeconfig: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    """Yield the keys that are woken while the watches run."""
    environment = {"KUBECONFIG": str(kubeconfig), "FIREWATCH_STACK_NAMESPACES": namespace}
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
    gc.collect()  # here, where what it finds is expected


@pytest.fixture
def woken(
    control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Keys]:
    """Return the keys that are woken while the watches run."""
    with watching(control_plane.kubeconfig, namespace, monkeypatch) as keys:
        yield keys


@pytest.fixture
def wire(control_plane: ControlPlane) -> Iterator[Relay]:
    """Return a wire to the API server that can be cut."""
    port = urlsplit(control_plane.server).port
    assert port
    with relaying(port) as relay:
        yield relay


@pytest.fixture
def woken_by_wire(
    control_plane: ControlPlane,
    wire: Relay,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Keys]:
    """Return the keys that are woken while the watches run over the wire."""
    content = yaml.safe_load(control_plane.kubeconfig.read_text())
    content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{wire.port}"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(content))
    with watching(kubeconfig, namespace, monkeypatch) as keys:
        yield keys


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


def test_watches_that_are_cut_every_second_hear_every_change(
    kubectl: Kubectl, namespace: str, wire: Relay, woken_by_wire: Keys
) -> None:
    key, over, cuts = Key("AlertPolicy", namespace, "a"), threading.Event(), []

    def cut() -> None:
        while not over.wait(1):
            cuts.append(wire.cut())

    scissors = threading.Thread(target=cut)
    scissors.start()
    try:
        number = 0
        while sum(map(bool, cuts)) < 3:
            number += 1
            kubectl("apply", "-f", "-", text=json.dumps(policy(namespace, f"up == {number}")))
            hear(woken_by_wire, key)
    finally:
        over.set()
        scissors.join(timeout=10)


def test_a_watch_that_says_nothing_any_more_is_begun_anew(
    kubectl: Kubectl,
    namespace: str,
    wire: Relay,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """The API server tells watches every minute that nothing happened; here they wait 3 s for it."""
    settings = handlers._settings()
    settings.watching.inactivity_timeout = 3
    monkeypatch.setattr(handlers, "_settings", lambda: settings)
    keys: Keys = request.getfixturevalue("woken_by_wire")
    key = Key("AlertPolicy", namespace, "a")
    kubectl("apply", "-f", "-", text=json.dumps(policy(namespace, "up")))
    hear(keys, key)
    assert wire.silence()
    kubectl("apply", "-f", "-", text=json.dumps(policy(namespace, "up == 0")))
    hear(keys, key)
    wire.cut()  # kopf leaves silent connections open when it stops

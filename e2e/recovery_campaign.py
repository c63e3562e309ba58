"""What is lost in the midst of an episode: volumes of Prometheus and Alertmanager, and the record.

Nothing is put back on the strength of what is gone, every target is exact or named, and the stack is
Ready again. That etcd is restored is tried in tests/apiserver, which has an etcd of its own.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from e2e.cluster.progress import ConsoleProgress
from e2e.conftest import VALUES
from e2e.installation import Testbed, install, namespace
from e2e.kubectl import Object, condition, wait_for
from e2e.station import NAMESPACES, STACK, Station

NAMESPACE = "e2e-recovery"
SIZE: dict[str, Any] = {"storage": {"size": "1Gi"}}
ALERTING: dict[str, Any] = {
    **SIZE,
    "receivers": [{"name": "nobody"}],
    "route": {"receiver": "nobody"},
}
FINALIZER = "monitoring.freeagentics.io/restore"


@pytest.fixture(scope="module")
def granted(testbed: Testbed) -> Iterator[Testbed]:
    """Grant the campaign's namespace as well."""
    names = (*NAMESPACES, NAMESPACE)
    install(testbed, replace(VALUES, stacks=names, targets=names), ConsoleProgress())
    yield testbed
    testbed.kubectl.delete("namespace", NAMESPACE)
    install(testbed, VALUES, ConsoleProgress())


@pytest.fixture
def station(granted: Testbed) -> Iterator[Station]:
    """Return a stack whose servers have volumes, in the middle of an episode."""
    found = Station(granted, NAMESPACE)
    stack = found.stack(**SIZE)
    image = granted.image("alertmanager", ConsoleProgress())
    stack["spec"]["alerting"] = {"image": image, **ALERTING}
    found.kubectl.apply(namespace(NAMESPACE), *found.applications(), stack, found.policy())
    found.wait_ready("mstack", STACK, seconds=180)
    found.wait_ready("apol", "load")
    wait_for("the signal's metrics", lambda: found.query("freeagentics_demo_load"))
    # The alert goes on for longer than a response may take to help.
    rails = {"cooldown": "0s", "actionsPerHour": 60, "verifyWithin": "0s"}
    found.kubectl.apply(found.response(rails=rails))
    found.wait_ready("aresp", "scale")
    found.signal(6)
    found.wait_replicas(2)
    found.wait_state("scale", "Active")
    yield found
    found.signal(0)
    found.kubectl.delete("aresp", "scale", NAMESPACE)
    found.kubectl.run("scale", "deployment/api", "-n", NAMESPACE, "--replicas=1")


def lose_volume(station: Station, component: str) -> None:
    """Delete the claim and the pod of a server; return once both were made anew and it is ready."""
    pod, kubectl = f"{STACK}-{component}-0", station.kubectl
    claim = f"data-{pod}"
    before = uid_of(kubectl.get("pvc", claim, NAMESPACE))
    kubectl.delete("pvc", claim, NAMESPACE, wait=False)
    kubectl.delete("pod", pod, NAMESPACE)
    # The StatefulSet may have been quicker than the claim's deletion; then its pod waits for ever.
    wait_for(f"{claim} to go", lambda: uid_of(kubectl.get("pvc", claim, NAMESPACE)) != before)
    if kubectl.get("pvc", claim, NAMESPACE) is None:
        kubectl.delete("pod", pod, NAMESPACE)
    wait_for(f"{pod} with a new volume", lambda: is_ready(station, pod, claim), seconds=180)


def is_ready(station: Station, pod: str, claim: str) -> bool:
    """Tell whether a pod is ready on a claim that has a volume."""
    found = station.kubectl.get("pvc", claim, NAMESPACE) or {}
    is_bound = found.get("status", {}).get("phase") == "Bound"
    ready = condition(station.kubectl.get("pod", pod, NAMESPACE), "Ready")
    return is_bound and ready.get("status") == "True"


def uid_of(found: Object | None) -> str:
    """Return the uid of an object; empty if it is not there."""
    return str(found["metadata"]["uid"]) if found else ""


def test_volumes_that_are_lost_change_nothing_on_the_target(station: Station) -> None:
    """A Prometheus that has forgotten its alerts has not resolved them."""
    for component in ("prometheus", "alertmanager"):
        lose_volume(station, component)
    station.wait_ready("mstack", STACK, seconds=180)
    station.wait_ready("apol", "load")
    wait_for("the alert anew", lambda: station.query('ALERTS{alertname="LoadHigh"}'))
    station.wait_state("scale", "Active")
    assert station.kubectl.replicas("api", NAMESPACE) == 2
    assert station.history() == ["ScaledUp"], "it was neither restored nor raised again"
    station.signal(0)
    station.wait_replicas(1)
    station.wait_state("scale", "Idle")
    assert station.history() == ["ScaledUp", "Restored"]


def test_an_alert_that_ended_while_the_volume_was_lost_is_given_back(station: Station) -> None:
    """What a new Prometheus finds is what counts, once it can tell."""
    station.signal(0)
    lose_volume(station, "prometheus")
    station.wait_replicas(1, seconds=60)
    station.wait_state("scale", "Idle")
    assert station.history() == ["ScaledUp", "Restored"]


def reapply(station: Station) -> None:
    """Apply target and AutoResponse anew from what they are, without status, as a backup tool does."""
    kubectl = station.kubectl
    target = kubectl.get("deployment", "api", NAMESPACE)
    response = kubectl.get("aresp", "scale", NAMESPACE)
    assert target is not None
    assert response is not None
    assert response["metadata"]["finalizers"] == [FINALIZER]
    kubectl.delete("deployment", "api", NAMESPACE)
    kubectl.delete("aresp", "scale", NAMESPACE, wait=False)
    wait_for("the AutoResponse to go", lambda: not kubectl.get("aresp", "scale", NAMESPACE))
    for live in (target, response):
        kept = ("name", "namespace", "labels", "finalizers")
        metadata = {key: live["metadata"][key] for key in kept if key in live["metadata"]}
        fields = ("apiVersion", "kind", "spec")
        kubectl.apply({**{key: live[key] for key in fields}, "metadata": metadata})


def test_resources_that_are_applied_without_their_status_are_named(station: Station) -> None:
    """Nobody knows what the target had, so it is left, and the AutoResponse lets go."""
    reapply(station)
    station.wait_reason("aresp", "scale", "TargetReady", "LedgerLost")
    live = station.wait_state("scale", "Refused")
    assert "set the replicas that it should have" in live["status"]["message"]
    assert "LedgerLost" in station.history()

    def lets_go() -> bool:
        found = station.kubectl.get("aresp", "scale", NAMESPACE)
        assert found is not None
        return not found["metadata"].get("finalizers")

    wait_for("the finalizer to go", lets_go)
    assert station.kubectl.replicas("api", NAMESPACE) == 2
    station.signal(0)
    station.wait_state("scale", "Idle", seconds=60)
    assert station.kubectl.replicas("api", NAMESPACE) == 2, "nobody knows what it had"

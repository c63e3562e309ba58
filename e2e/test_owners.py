"""Targets that somebody else keeps at their replicas, with the controllers that really do so."""

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.kubectl import Object, wait_for
from e2e.station import Station

NAME = "shop"
HPA = "horizontalpodautoscaler"


@pytest.fixture
def station(response_station: Station) -> Iterator[Station]:
    """Clean up after each test what it has made beside the station's own."""
    yield response_station
    response_station.signal(0)
    kubectl, namespace = response_station.kubectl, response_station.namespace
    kubectl.delete("aresp", "scale", namespace)
    for kind in (HPA, "deployment", "statefulset"):
        kubectl.delete(kind, NAME, namespace)


def start(station: Station, kind: str) -> None:
    target = {"kind": kind, "name": NAME}
    actions = [{"scaleUp": {"by": 2, "maxReplicas": 6}}]
    station.kubectl.apply(station.response(target=target, actions=actions))
    station.wait_ready("aresp", "scale")


def field(station: Station, kind: str, *path: str) -> Any:
    found: Any = station.kubectl.get(kind, NAME, station.namespace)
    for part in path:
        found = found[part]
    return found


def test_llmkube_485_nobody_fights_with_a_horizontal_pod_autoscaler(station: Station) -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    # It never gets this metric, so all that it does itself is to keep to its minimum and maximum.
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME, "namespace": station.namespace},
        "spec": {
            "scaleTargetRef": reference,
            "minReplicas": 1,
            "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": resource}],
        },
    }
    station.kubectl.apply(station.workload(NAME), autoscaler)
    start(station, "Deployment")
    before = field(station, HPA, "spec")
    generation = field(station, "deployment", "metadata", "generation")
    station.signal(6)
    station.wait_state("scale", "Active")
    assert field(station, HPA, "spec", "minReplicas") == 3
    station.wait_replicas(3, target=NAME)
    # Its controller looks every 15 seconds; this is its first look at what was done.
    wait_for(
        "the autoscaler to see three replicas",
        lambda: field(station, HPA, "status", "currentReplicas") == 3,
    )
    station.signal(0)
    station.wait_state("scale", "Idle")
    assert field(station, HPA, "spec") == before
    assert station.history() == ["ScaledUp", "Restored"]
    assert field(station, "deployment", "metadata", "generation") == generation + 1, "flipped"


def test_a_stateful_set_goes_up_and_back(station: Station) -> None:
    spec: Object = {"serviceName": NAME, "podManagementPolicy": "Parallel"}
    station.kubectl.apply(station.workload(NAME, "StatefulSet", **spec))
    start(station, "StatefulSet")
    station.signal(6)
    station.wait_state("scale", "Active")
    assert field(station, "statefulset", "spec", "replicas") == 3
    wait_for("its pods", lambda: field(station, "statefulset", "status", "readyReplicas") == 3)
    station.signal(0)
    station.wait_state("scale", "Idle")
    assert field(station, "statefulset", "spec", "replicas") == 1
    assert station.history() == ["ScaledUp", "Restored"]


def pods(station: Station) -> set[str]:
    found = station.kubectl.list("pod", station.namespace, f"app={NAME}")
    return {pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"]}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_the_pods_of_a_target_are_renewed_once(station: Station, kind: str) -> None:
    spec: Object = {"serviceName": NAME} if kind == "StatefulSet" else {}
    station.kubectl.apply(station.workload(NAME, kind, **spec))
    rollout = ("rollout", "status", f"{kind.lower()}/{NAME}", "-n", station.namespace)
    station.kubectl.run(*rollout, "--timeout=60s")
    before = pods(station)
    target = {"kind": kind, "name": NAME}
    station.kubectl.apply(station.response(target=target, actions=[{"restart": {}}]))
    station.wait_ready("aresp", "scale")
    generation = field(station, kind.lower(), "metadata", "generation")
    station.signal(6)
    found = station.wait_state("scale", "Active")
    annotations = field(station, kind.lower(), "spec", "template", "metadata", "annotations")
    assert [*annotations.values()] == [found["status"]["restart"]["at"]]
    station.kubectl.run(*rollout, "--timeout=60s")
    wait_for("other pods", lambda: pods(station) and not pods(station) & before)
    station.signal(0)
    station.wait_state("scale", "Idle")
    assert station.history() == ["Restarted"]
    assert field(station, kind.lower(), "metadata", "generation") == generation + 1

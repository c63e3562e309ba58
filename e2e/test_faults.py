"""Faults in the middle of an episode: hold, say why, and put back exactly in the end."""

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.kubectl import wait_for
from e2e.station import ALERT, STACK, Station


@pytest.fixture
def station(fault_station: Station) -> Iterator[Station]:
    """Give each test an episode that is under way."""
    fault_station.kubectl.apply(fault_station.response())
    fault_station.wait_ready("aresp", "scale")
    fault_station.signal(6)
    fault_station.wait_replicas(2)
    fault_station.wait_state("scale", "Active")
    yield fault_station
    fault_station.signal(0)
    fault_station.kubectl.delete("aresp", "scale", fault_station.namespace)
    fault_station.wait_replicas(1)
    wait_for("no alert", lambda: not fault_station.query(f'ALERTS{{alertname="{ALERT}"}}'))


def source(station: Station) -> dict[str, str]:
    found = station.kubectl.get("aresp", "scale", station.namespace) or {}
    conditions = {c["type"]: c for c in found["status"]["conditions"]}
    return dict(conditions["AlertSourceHealthy"])


def test_prometheus_down_holds_and_its_return_lets_go(station: Station) -> None:
    station.signal(0)
    pod = ("pod", f"{STACK}-prometheus-0", station.namespace)
    # A pod that cannot start: the stack's image is broken, and the pod made anew.
    good = station.testbed.images.prometheus
    patch = {"spec": {"metrics": {"image": "localhost/firewatch-testbed/none:1"}}}
    station.kubectl.patch("mstack", STACK, station.namespace, patch)
    station.kubectl.delete(*pod)
    wait_for(
        "the source to be down",
        lambda: source(station)["reason"] == "SourceUnreachable",
        seconds=40,
    )
    assert station.kubectl.replicas("api", station.namespace) == 2
    patch = {"spec": {"metrics": {"image": good}}}
    station.kubectl.patch("mstack", STACK, station.namespace, patch)
    station.kubectl.delete(*pod)
    station.wait_ready("mstack", STACK, seconds=120)
    station.wait_replicas(1, seconds=60)
    assert station.history() == ["ScaledUp", "Restored"]


def test_a_rule_that_is_deleted_holds_until_it_is_back(station: Station) -> None:
    station.kubectl.delete("apol", "load", station.namespace)
    wait_for("the rule to be missed", lambda: source(station)["reason"] == "RuleGone", seconds=40)
    assert station.kubectl.replicas("api", station.namespace) == 2
    station.signal(0)
    station.kubectl.apply(station.policy())
    station.wait_replicas(1, seconds=60)
    assert station.history() == ["ScaledUp", "Restored"]


def test_no_data_holds(station: Station) -> None:
    station.kubectl.run("scale", "deployment/signal", "-n", station.namespace, "--replicas=0")
    wait_for("the data to be missed", lambda: source(station)["reason"] == "NoData", seconds=60)
    assert station.kubectl.replicas("api", station.namespace) == 2
    station.kubectl.run("scale", "deployment/signal", "-n", station.namespace, "--replicas=1")
    station.wait_replicas(1, seconds=60)


def test_a_target_that_is_deleted_closes_the_episode(station: Station) -> None:
    found = station.kubectl.get("deployment", "api", station.namespace)
    assert found is not None
    station.kubectl.delete("deployment", "api", station.namespace)
    wait_for("the episode to close", lambda: "TargetGone" in station.history())
    station.signal(0)
    metadata = {k: found["metadata"][k] for k in ("name", "namespace", "labels")}
    spec = {**found["spec"], "replicas": 1}
    station.kubectl.apply({**found, "metadata": metadata, "spec": spec, "status": {}})
    station.wait_state("scale", "Idle")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target": {"name": "nobody"}}, "TargetNotFound"),
        ({"actions": [{"scaleUp": {"by": 1, "maxReplicas": 1}}]}, "MaximumReached"),
    ],
)
def test_a_response_that_cannot_act_says_why(
    fault_station: Station, change: dict[str, Any], reason: str
) -> None:
    fault_station.kubectl.apply(fault_station.response("odd", **change))
    fault_station.wait_reason("aresp", "odd", "TargetReady", reason)
    fault_station.kubectl.delete("aresp", "odd", fault_station.namespace)


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ({"spec": {"paused": True}}, "TargetPaused"),
        ({"spec": {"replicas": 0}}, "ScaledToZero"),
        (
            {"metadata": {"labels": {"monitoring.freeagentics.io/auto-response": None}}},
            "NotOptedIn",
        ),
    ],
)
def test_a_target_that_may_not_be_changed_is_refused(
    fault_station: Station, patch: dict[str, Any], reason: str
) -> None:
    namespace = fault_station.namespace
    found = fault_station.kubectl.get("deployment", "signal", namespace)
    assert found is not None
    metadata = {"name": "odd", "namespace": namespace, "labels": found["metadata"]["labels"]}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
    selector = {"matchLabels": {"app": "odd"}}
    template = {**found["spec"]["template"], "metadata": {"labels": {"app": "odd"}}}
    spec = {"replicas": 1, "selector": selector, "template": template}
    fault_station.kubectl.apply({**target, "spec": spec})
    fault_station.kubectl.patch("deployment", "odd", namespace, patch)
    fault_station.kubectl.apply(fault_station.response("odd", target={"name": "odd"}))
    fault_station.wait_reason("aresp", "odd", "TargetReady", reason)
    fault_station.kubectl.delete("aresp", "odd", namespace)
    fault_station.kubectl.delete("deployment", "odd", namespace)

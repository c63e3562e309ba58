"""NetworkPolicies: whoever has to reach a pod is let in, and nobody else is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import yaml

from firewatch.api.network import NetworkPeer, NetworkPolicies
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.stack import build_stack
from tests.golden import building

Object = dict[str, Any]
CASE, HERE = "closed", "platform"
MESH, BROWSERS = ("alertmanager", 9094), ("rum", 8080)
PAGES = {("prometheus", 9090), ("alertmanager", 9093), ("grafana", 3000)}
"""What people look at, and the operator asks."""
PUSHGATEWAY = ("pushgateway", 9091)
NOT_SCRAPED = {MESH, ("kube-state-metrics", 8081)}
"""The last is for kubelet's probes, which come from the node and are always let in."""
INGRESS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}


@dataclass(frozen=True)
class Pod:
    """Somebody, as a network plugin sees them."""

    labels: dict[str, str]
    namespace: str = HERE


def of_stack(application: str, stack: str = CASE) -> Pod:
    return Pod(names.labels(stack, application, "x"))


PROMETHEUS = of_stack(names.PROMETHEUS)


@cache
def policies(*, lets_ingress_in: bool = False) -> Sequence[Object]:
    stack = building.stack(CASE)
    peers = [NetworkPeer.model_validate(INGRESS)] if lets_ingress_in else []
    wanted = {"network_policies": NetworkPolicies(allow_from=peers)}
    changed = replace(stack, spec=stack.spec.model_copy(update=wanted))
    built = build_stack(changed, building.SURROUNDINGS)
    return [each["spec"] for each in built if each["kind"] == "NetworkPolicy"]


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Tell whether labels fit a selector."""
    assert selector.keys() <= {"matchLabels"}
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def is_meant(peer: Object, pod: Pod) -> bool:
    namespaces = peer.get("namespaceSelector")
    named = {"kubernetes.io/metadata.name": pod.namespace}
    fits = pod.namespace == HERE if namespaces is None else selects(namespaces, named)
    return fits and selects(peer.get("podSelector", {}), pod.labels)


def reaches(
    pod: Pod,
    application: str,
    port: int,
    *,
    protocol: str = "TCP",
    lets_ingress_in: bool = False,
) -> bool:
    """Tell whether a pod is let in to a port of an application of the stack, as Kubernetes has it."""
    labels = of_stack(application).labels
    chosen = [
        policy
        for policy in policies(lets_ingress_in=lets_ingress_in)
        if selects(policy["podSelector"], labels)
    ]
    assert any("Ingress" in policy["policyTypes"] for policy in chosen), "closed unless opened"
    return any(
        {"protocol": protocol, "port": port} in rule["ports"]
        and ("from" not in rule or any(is_meant(peer, pod) for peer in rule["from"]))
        for policy in chosen
        for rule in policy.get("ingress", [])
    )


def ports() -> Iterator[tuple[str, int]]:
    """Yield every application of the stack with every port at which its pods listen."""
    for item in building.stack_objects(CASE):
        if item["kind"] in {"StatefulSet", "Deployment"}:
            (container, *_) = item["spec"]["template"]["spec"]["containers"]
            for port in container["ports"]:
                yield item["metadata"]["labels"][names.NAME_LABEL], port["containerPort"]


def test_there_is_every_program() -> None:
    applications = {application for application, _ in ports()}
    text = building.configuration(building.stack_objects(CASE))
    assert len(applications) == 10
    assert len(yaml.safe_load(text)["scrape_configs"]) >= len(applications)


@pytest.mark.parametrize("place", sorted(ports()), ids=str)
def test_who_reaches_a_port(place: tuple[str, int]) -> None:
    is_public = place == BROWSERS
    is_open_here = is_public or place == PUSHGATEWAY
    assert reaches(PROMETHEUS, *place) == (place not in NOT_SCRAPED), "or it could not be scraped"
    assert reaches(Pod({}, "firewatch"), *place) == (is_public or place in PAGES)
    assert reaches(Pod({}, "ingress"), *place) == is_public
    assert reaches(Pod({"app": "shop"}), *place) == is_open_here
    assert reaches(of_stack(names.PROMETHEUS, "another"), *place) == is_open_here


@pytest.mark.parametrize("place", sorted(ports()), ids=str)
def test_whom_one_lets_in_reaches_what_people_use(place: tuple[str, int]) -> None:
    used = {*PAGES, PUSHGATEWAY, BROWSERS}
    assert reaches(Pod({}, "ingress"), *place, lets_ingress_in=True) == (place in used)


def test_grafana_asks_the_servers() -> None:
    grafana = of_stack(names.GRAFANA)
    reached = {place for place in ports() if reaches(grafana, *place)}
    assert reached == {("prometheus", 9090), ("alertmanager", 9093), PUSHGATEWAY, BROWSERS}


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_alertmanagers_reach_each_other(protocol: str) -> None:
    assert reaches(of_stack(names.ALERTMANAGER), *MESH, protocol=protocol)
    assert not reaches(PROMETHEUS, *MESH, protocol=protocol)


def test_what_needs_nobody_reaches_nobody() -> None:
    closed = {
        policy["podSelector"]["matchLabels"][names.NAME_LABEL]
        for policy in policies()
        if "Egress" in policy["policyTypes"]
    }
    assert closed == {names.PUSHGATEWAY, names.RUM}
    assert not any("egress" in policy for policy in policies())


def test_there_are_none_unless_they_are_asked_for() -> None:
    spec = MonitoringStackSpec.model_validate({"metrics": {}})
    built = build_stack(Stack("a", "b", "u", spec), building.SURROUNDINGS)
    assert "NetworkPolicy" not in {each["kind"] for each in built}

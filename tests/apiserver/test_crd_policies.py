"""AlertPolicies before a real API server: their defaults, and what is refused."""

from typing import Any

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster
from tests.apiserver.specs import check_defaults, check_refused

pytestmark = pytest.mark.usefixtures("crds")
KIND = "AlertPolicy"

RULE = {"alert": "A", "expr": "up == 0"}
POLICY: Object = {"groups": [{"name": "g", "rules": [RULE]}]}


def rule(**fields: Any) -> Object:
    return {"groups": [{"name": "g", "rules": [{"expr": "up == 0", **fields}]}]}


def threshold(**fields: Any) -> Object:
    return {"thresholds": [fields]}


def slo(**fields: Any) -> Object:
    return {"slos": [{"name": "a", "objective": 99.9, **fields}]}


GAUGE = {"metric": 'up{job="a"}'}


DEFAULTED: list[Object] = [
    POLICY,
    rule(record="a:b"),
    {"thresholds": [{"signal": "cpu", "above": 80}]},
    slo(gauge=GAUGE),
    slo(latency={"histogram": "a_seconds", "below": "500ms"}),
]


@pytest.mark.parametrize("spec", DEFAULTED)
async def test_the_api_server_fills_in_the_models_defaults(
    cluster: KubernetesCluster, spec: Object
) -> None:
    await check_defaults(cluster, KIND, spec)


BAD: list[tuple[Any, str]] = [
    ({}, "set groups, thresholds, slos, routes or inhibit"),
    ({"groups": [], "thresholds": []}, "set groups, thresholds, slos, routes or inhibit"),
    (rule(alert="A", record="b"), "set exactly one of alert and record"),
    (rule(), "set exactly one of alert and record"),
    (rule(record="a:b", annotations={"a": "b"}), "a recording rule has no for"),
    ({"groups": [{"name": "g", "rules": [{"alert": "A"}]}]}, "rules[0].expr"),
    (rule(alert="A", keepFiringFor="5m"), "keepFiringFor"),
    (rule(alert="A", **{"for": "soon"}), "spec.groups[0].rules[0].for"),
    (rule(alert="A", **{"for": 300}), "spec.groups[0].rules[0].for"),
    (rule(alert="A", labels={"a b": "c"}), "spec.groups[0].rules[0].labels"),
    ({"groups": [*POLICY["groups"], *POLICY["groups"]]}, "spec.groups[1]"),
    ({"thresholds": [{"signal": "cpu", "above": 101}]}, "spec.thresholds[0].above"),
    (slo(), "set exactly one of events, latency and gauge"),
    (slo(gauge=GAUGE, events={"total": "a", "bad": "b"}), "set exactly one of events"),
    (slo(gauge=GAUGE, minRate=1), "minRate: a gauge has no events"),
    (slo(gauge=GAUGE, by=["job", "window"]), "by: slo, slo_policy, window"),
    (slo(gauge=GAUGE, labels={"severity": "info"}), "labels: slo, slo_policy, window"),
    (slo(gauge=GAUGE, objective=100), "spec.slos[0].objective"),
    (slo(gauge=GAUGE, window="3d"), "spec.slos[0].window"),
    (slo(gauge={"metric": "up[5m]"}), "spec.slos[0].gauge.metric"),
    ({"slos": [*slo(gauge=GAUGE)["slos"], *slo(gauge=GAUGE)["slos"]]}, "spec.slos[1]"),
    (threshold(signal="heat", above=1), "spec.thresholds[0].signal"),
    (threshold(signal="memory"), "above is needed"),
    (threshold(signal="disk"), "below is needed for the signal disk"),
    (threshold(signal="disk", below=15, above=85), "above: the signal disk takes"),
    (threshold(signal="cpu", above=1, below=1), "below: only the signal disk"),
    (threshold(signal="memory", above=1, window="5m"), "window: the signals memory"),
    (threshold(signal="cpu", above=1, fileSystems={}), "fileSystems: only the"),
    (threshold(signal="cpu", above=1, requests={}), "requests: only the signal"),
    (threshold(signal="errorRate", above=1, outcomes={}), "outcomes: only the"),
    (
        threshold(signal="errorRate", above=1, requests={"metric": "a-b"}),
        "spec.thresholds[0].requests.metric",
    ),
]


@pytest.mark.parametrize(("spec", "named"), BAD)
async def test_a_bad_policy_is_refused_and_the_field_named(
    cluster: KubernetesCluster, spec: Any, named: str
) -> None:
    await check_refused(cluster, KIND, spec, named)

"""What scales a target, and how its minimum is written and put back."""

from typing import Any

import pytest

from firewatch.api.ledger import Ledger, LedgerAutoscaler, LedgerTarget
from firewatch.api.resource import Object
from firewatch.cluster.kinds import DEPLOYMENT, ROLLOUT
from firewatch.respond.actuator import level_write
from firewatch.respond.autoscalers import find_autoscaler
from firewatch.respond.situation import Autoscaler, Target


def scaler(kind: str, spec: Object, **metadata: Any) -> Object:
    return {"kind": kind, "metadata": {"name": "s", "uid": "u", **metadata}, "spec": spec}


def hpa(name: str = "api", kind: str = "Deployment", group: str = "apps/v1", **spec: Any) -> Object:
    reference = {"apiVersion": group, "kind": kind, "name": name}
    return scaler(
        "HorizontalPodAutoscaler", {"scaleTargetRef": reference, "maxReplicas": 9, **spec}
    )


def keda(spec: Object | None = None, **metadata: Any) -> Object:
    return scaler("ScaledObject", {"scaleTargetRef": {"name": "api"}, **(spec or {})}, **metadata)


def test_nothing_scales_it() -> None:
    others = [hpa("web"), hpa(kind="StatefulSet"), hpa(group="argoproj.io/v1alpha1")]
    assert find_autoscaler(DEPLOYMENT, "api", others, []) is None


def test_an_autoscaler_is_found_by_group_kind_and_name() -> None:
    found = find_autoscaler(DEPLOYMENT, "api", [hpa("web"), hpa(minReplicas=3)], [])
    assert isinstance(found, Autoscaler)
    assert (found.kind, found.minimum, found.is_set, found.maximum) == (
        "HorizontalPodAutoscaler",
        3,
        True,
        9,
    )
    rollout = hpa(kind="Rollout", group="argoproj.io/v1alpha1")
    assert isinstance(find_autoscaler(ROLLOUT, "api", [rollout], []), Autoscaler)


def test_keda_comes_before_the_autoscaler_that_it_has_made() -> None:
    found = find_autoscaler(DEPLOYMENT, "api", [hpa(minReplicas=1)], [keda()])
    assert isinstance(found, Autoscaler)
    assert (found.kind, found.minimum, found.is_set, found.maximum) == (
        "ScaledObject",
        0,
        False,
        100,
    )


@pytest.mark.parametrize(
    ("name", "value", "paused"),
    [
        ("autoscaling.keda.sh/paused", "true", True),
        ("autoscaling.keda.sh/paused", "false", False),
        ("autoscaling.keda.sh/paused-replicas", "0", True),
        ("another", "true", False),
    ],
)
def test_a_paused_scaled_object(name: str, value: str, paused: bool) -> None:
    found = find_autoscaler(DEPLOYMENT, "api", [], [keda(annotations={name: value})])
    assert isinstance(found, Autoscaler)
    assert found.paused is paused


def test_two_that_scale_the_same_are_named() -> None:
    found = find_autoscaler(DEPLOYMENT, "api", [hpa(), hpa()], [])
    assert isinstance(found, str)
    assert "HorizontalPodAutoscaler s" in found


def ledger(*, was_set: bool) -> Ledger:
    return Ledger(
        schema_version=2,
        target=LedgerTarget(kind="Deployment", name="api", uid="t"),
        autoscaler=LedgerAutoscaler(kind="ScaledObject", name="s", uid="u", was_set=was_set),
        baseline=0,
        written=3,
        intended=3,
        changed_at="2026-01-01T00:00:00Z",
    )


def target(spec: Object) -> Target:
    found = find_autoscaler(DEPLOYMENT, "api", [], [keda(spec)])
    assert isinstance(found, Autoscaler)
    return Target("Deployment", "api", "t", 2, False, True, "x", autoscaler=found)


def test_a_minimum_is_added_on_condition_that_it_is_still_missing() -> None:
    write = level_write(target({}), "shop", 3, ledger(was_set=False))
    assert (write.kind.kind, write.name, write.subresource) == ("ScaledObject", "s", "")
    assert write.body == [
        {"op": "test", "path": "/metadata/uid", "value": "u"},
        {"op": "test", "path": "/spec/minReplicaCount", "value": None},
        {"op": "add", "path": "/spec/minReplicaCount", "value": 3},
    ]


@pytest.mark.parametrize(
    ("was_set", "change"),
    [
        (False, {"op": "remove", "path": "/spec/minReplicaCount"}),
        (True, {"op": "add", "path": "/spec/minReplicaCount", "value": 0}),
    ],
)
def test_it_goes_back_to_what_stood_there(was_set: bool, change: Object) -> None:
    write = level_write(target({"minReplicaCount": 3}), "shop", 0, ledger(was_set=was_set))
    assert write.body[1:] == [
        {"op": "test", "path": "/spec/minReplicaCount", "value": 3},
        change,
    ]

"""Whether the pods of a target may be renewed now, from what its controller says."""

from typing import Any

import pytest

from firewatch.api.resource import Object
from firewatch.api.restart import RESTARTED_AT
from firewatch.cluster.kinds import DEPLOYMENT, ROLLOUT, STATEFUL_SET, Kind
from firewatch.respond.renewal import find_renewal

CLONE_SET = Kind("apps.kruise.io/v1alpha1", "CloneSet", "clonesets")


def workload(
    status: Object | None = None,
    *,
    replicas: int = 4,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Object:
    """Return a target of which all is well but what is said."""
    metadata: Object = {"labels": {"app": "api", "tier": "web"}}
    if annotations is not None:
        metadata["annotations"] = annotations
    well = {
        "observedGeneration": 3,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
    }
    return {
        "metadata": {"name": "api", "generation": 3},
        "spec": {"replicas": replicas, "template": {"metadata": metadata}, **spec},
        "status": well | (status or {}),
    }


def budget(allowed: int, selector: Object | None) -> Object:
    spec = {} if selector is None else {"selector": selector}
    status = {"disruptionsAllowed": allowed}
    return {"metadata": {"name": "pdb"}, "spec": spec, "status": status}


def reason(kind: Kind, live: Object, *budgets: Object) -> str:
    obstacle = find_renewal(kind, live, budgets).obstacle
    return obstacle[0] if obstacle else ""


@pytest.mark.parametrize(
    ("kind", "live", "expected"),
    [
        (DEPLOYMENT, workload(), ""),
        (STATEFUL_SET, workload({"currentRevision": "a", "updateRevision": "a"}), ""),
        (ROLLOUT, workload(), "NotRestartable"),
        (CLONE_SET, {"metadata": {"name": "api"}, "spec": {}}, "NotRestartable"),
        (DEPLOYMENT, workload(strategy={"type": "Recreate"}), "AllAtOnce"),
        (STATEFUL_SET, workload(updateStrategy={"type": "OnDelete"}), "OnDelete"),
        (STATEFUL_SET, workload(updateStrategy={"rollingUpdate": {"partition": 2}}), "Partitioned"),
        (DEPLOYMENT, workload({"observedGeneration": 2}), "RolloutInProgress"),
        (DEPLOYMENT, workload({"updatedReplicas": 3}), "RolloutInProgress"),
        (DEPLOYMENT, workload({"replicas": 5}), "RolloutInProgress"),
        (
            STATEFUL_SET,
            workload({"currentRevision": "a", "updateRevision": "b"}),
            "RolloutInProgress",
        ),
        # A quarter of four may be down anyway, and no more.
        (DEPLOYMENT, workload({"readyReplicas": 3}), ""),
        (DEPLOYMENT, workload({"readyReplicas": 2}), "TooFewReady"),
        (
            DEPLOYMENT,
            workload({"readyReplicas": 2}, strategy={"rollingUpdate": {"maxUnavailable": 2}}),
            "",
        ),
        (STATEFUL_SET, workload({"readyReplicas": 3}), "TooFewReady"),
        (DEPLOYMENT, workload({"readyReplicas": 0}, replicas=1), "TooFewReady"),
    ],
)
def test_a_restart_meets_no_rollout_and_takes_no_more_than_the_strategy_does(
    kind: Kind, live: Object, expected: str
) -> None:
    assert reason(kind, live) == expected


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({"matchLabels": {"app": "api"}}, True),
        ({"matchLabels": {"app": "web"}}, False),
        ({}, True),
        (None, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_a_budget_that_is_used_up_is_respected(selector: Object | None, *, selects: bool) -> None:
    expected = "BudgetExhausted" if selects else ""
    assert reason(STATEFUL_SET, workload(), budget(0, selector)) == expected
    assert reason(STATEFUL_SET, workload(), budget(1, selector)) == ""


def test_a_deployment_that_takes_none_down_needs_no_budget() -> None:
    live = workload(strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}})
    assert reason(DEPLOYMENT, live, budget(0, {})) == ""


def test_a_deployment_that_may_start_none_in_advance_takes_one_down() -> None:
    rolling = {"maxUnavailable": "25%", "maxSurge": 0}
    live = workload(replicas=2, strategy={"rollingUpdate": rolling})
    assert reason(DEPLOYMENT, live, budget(0, {})) == "BudgetExhausted"
    assert reason(DEPLOYMENT, live, budget(1, {})) == ""


def test_what_stands_in_the_template_is_known() -> None:
    found = find_renewal(DEPLOYMENT, workload(annotations={RESTARTED_AT: "x"}), ())
    assert (found.restarted_at, found.is_annotated, found.generation) == ("x", True, 3)
    found = find_renewal(DEPLOYMENT, workload(), ())
    assert (found.restarted_at, found.is_annotated, found.is_rolled_out) == ("", False, True)

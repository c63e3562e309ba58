"""Which stack takes a policy, among stacks of several namespaces."""

from collections.abc import Mapping
from typing import Any

import pytest

from firewatch.api.conditions import Finding
from firewatch.api.resource import Object
from firewatch.reconcile.policies import Homeless, Policies, Share, share_out
from firewatch.reconcile.takers import Taker, parse_taker, resolve_taker


def stack(namespace: str, name: str = "main", **policies: Any) -> Taker:
    metadata = {"namespace": namespace, "name": name, "uid": name, "generation": 1}
    spec = {"policies": policies} if policies else {}
    return parse_taker({"metadata": metadata, "spec": spec})


def policy(reference: Mapping[str, str] | None = None, *, runs_in: str = "") -> Object:
    metadata = {"namespace": "shop", "name": "p", "uid": "u", "labels": {"team": "a"}}
    spec = {"stackRef": reference} if reference else {}
    return {"metadata": metadata, "spec": spec, "status": {"stack": runs_in} if runs_in else {}}


IN_OPS = {"name": "main", "namespace": "ops"}
OWN = stack("shop")
CENTRAL = stack("ops", namespaces=["shop", "bank"])
ALL = stack("all", namespaces=["*"])
TEAM_B = stack("b", namespaces=["*"], selector={"matchLabels": {"team": "b"}})
TEAM_A = stack("a", namespaces=["*"], selector={"matchLabels": {"team": "a"}})
DEAF = stack("deaf")


@pytest.mark.parametrize(
    ("takers", "reference", "found"),
    [
        ([OWN, CENTRAL, ALL], {}, "shop"),
        ([CENTRAL], {}, "NoStack"),
        ([CENTRAL, ALL], {}, "NoStack"),
        ([ALL, DEAF], {"name": "main", "namespace": "all"}, "all"),
        ([TEAM_A, TEAM_B], {"name": "main", "namespace": "a"}, "a"),
        ([OWN, stack("shop", "second")], {}, "AmbiguousStack"),
        ([DEAF, TEAM_B], {}, "NoStack"),
        ([OWN, CENTRAL], {"name": "main", "namespace": "ops"}, "ops"),
        ([OWN, CENTRAL], {"name": "main"}, "shop"),
        ([CENTRAL], {"name": "main"}, "StackNotFound"),
        ([DEAF], {"name": "main", "namespace": "deaf"}, "StackNotFound"),
        ([TEAM_B], {"name": "main", "namespace": "b"}, "StackNotFound"),
    ],
)
def test_who_takes_a_policy(takers: list[Taker], reference: dict[str, str], found: str) -> None:
    answer = resolve_taker(policy(reference), takers)
    assert found == (answer.reason if isinstance(answer, Finding) else answer.key.namespace)


def shared(one: Object, *takers: Taker) -> tuple[dict[str, Share], list[Homeless]]:
    found: Policies = share_out([one], takers, "shop")
    return {key.namespace: share for key, share in found.shares.items()}, [*found.homeless]


def test_a_policy_that_moves_stays_where_it_runs_until_it_runs_elsewhere() -> None:
    moving = policy(IN_OPS, runs_in="main")
    shares, _ = shared(moving, OWN, CENTRAL)
    assert (shares["shop"].policies, shares["shop"].leaving) == ([], [moving])
    assert (shares["ops"].policies, shares["ops"].held) == ([moving], {"u": OWN})
    moved = policy(IN_OPS, runs_in="ops/main")
    shares, _ = shared(moved, OWN, CENTRAL)
    assert (shares["shop"].leaving, shares["ops"].held) == ([], {})


def test_a_policy_goes_at_once_when_its_stack_may_not_run_it_any_more() -> None:
    running = policy(runs_in="ops/main")
    shares, homeless = shared(running, stack("ops", namespaces=["bank"]), OWN)
    assert shares.keys() == {"shop"}
    assert (shares["shop"].policies, shares["shop"].held) == ([running], {})
    assert homeless == []


def test_a_stack_that_was_not_named_does_not_hold_a_policy() -> None:
    shares, (homeless,) = shared(policy(), CENTRAL, ALL)
    assert not any(share.policies or share.leaving for share in shares.values())
    assert (homeless.finding.reason, homeless.runs_in) == ("NoStack", None)


def test_a_policy_whose_choice_cannot_be_followed_goes_on_running() -> None:
    running = policy({"name": "nosuch"}, runs_in="main")
    shares, (homeless,) = shared(running, OWN)
    assert shares["shop"].leaving == [running]
    assert (homeless.finding.reason, homeless.runs_in) == ("StackNotFound", "main")


def test_only_stacks_that_read_a_namespace_are_concerned() -> None:
    shares, (homeless,) = shared(policy(), DEAF)
    assert shares == {}
    assert (homeless.finding.reason, homeless.runs_in) == ("NoStack", None)

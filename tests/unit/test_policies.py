"""Policies: which stack they belong to, what is said of them, and what is remembered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from firewatch.api.alerts import AlertPolicySpec, AlertPolicyStatus
from firewatch.api.conditions import Finding
from firewatch.api.resource import ConditionStatus, Object
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.checks import Fault
from firewatch.build.detection import Pace
from firewatch.build.objects import Stack
from firewatch.build.yaml_text import load_yaml
from firewatch.cluster.status import dump_status
from firewatch.reconcile.delivery import Versions
from firewatch.reconcile.invalid import explain_invalid
from firewatch.reconcile.judging import (
    GOOD,
    Examined,
    Judged,
    Question,
    examine,
    is_culprit,
    is_loaded,
    is_trusted,
)
from firewatch.reconcile.policies import Share
from firewatch.reconcile.policy_report import Outcome, Standing, findings, status_of
from firewatch.reconcile.stackref import resolve_stack
from firewatch.reconcile.takers import parse_taker

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


STACK = Stack("shop", "main", "s", MonitoringStackSpec())
BAD = ("BadExpression", "parse error")


def refuse_bad(question: Question) -> Fault:
    return BAD if question.expression == "up ==" else GOOD


def policy(*rules: Object, generation: int = 1, **fields: Any) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "shop", "uid": "u", "generation": generation},
        "spec": {"groups": [{"name": "g", "rules": [*rules]}]},
        **fields,
    }


def alert(expr: str, name: str = "A") -> Object:
    return {"alert": name, "expr": expr}


def examined(live: Object, home: str = "shop") -> Examined:
    found = examine(live, home, Pace())
    assert isinstance(found, Examined)
    return found


def conditions(live: Object, outcome: Outcome) -> dict[str, tuple[str, str]]:
    status = status_of(live, outcome, stack="main", now=NOW)
    return {c.type: (c.status.value, c.reason) for c in status.conditions}


@pytest.mark.parametrize(
    ("wanted", "stacks", "found"),
    [
        (None, ["main"], "main"),
        ("b", ["a", "b"], "b"),
        (None, [], "NoStack"),
        (None, ["b", "a"], "AmbiguousStack"),
        ("c", ["a"], "StackNotFound"),
    ],
)
def test_the_stack_of_a_resource(wanted: str | None, stacks: list[str], found: str) -> None:
    stack = resolve_stack(wanted, stacks)
    assert found == (stack.reason if isinstance(stack, Finding) else stack)
    if isinstance(stack, Finding):
        assert stack.status is ConditionStatus.FALSE
        assert stack.type == "Accepted"


def test_an_ambiguous_stack_is_answered_with_the_choice() -> None:
    found = resolve_stack(None, ["b", "a"])
    assert isinstance(found, Finding)
    assert "(a, b)" in found.message


def test_a_wrong_field_is_named_with_its_path() -> None:
    spec = {"groups": [{"name": "g", "rules": [{"expr": "up", "for": "5 minutes"}]}], "x": 1}
    with pytest.raises(ValidationError) as caught:
        AlertPolicySpec.model_validate(spec)
    text = explain_invalid(caught.value)
    assert text.startswith("spec.groups[0].rules[0].for: String should match pattern")
    assert "(and 1 more)" in text


def test_a_bad_rule_is_left_out_and_its_siblings_run() -> None:
    live = policy(alert("up"), alert("up ==", "Bad"), {"record": "r", "expr": "sum(up)"})
    outcome = examined(live).judge(refuse_bad)
    assert outcome
    judged, file = outcome
    assert (judged.total, judged.left_out) == (3, 1)
    (rejected,) = judged.rejected
    assert (rejected.group, rejected.index, rejected.rule, rejected.reason) == (
        "g",
        1,
        "Bad",
        "BadExpression",
    )
    assert "Bad" not in file.text
    found = conditions(live, Outcome(judged, Standing.LOADED))
    assert found == {
        "Ready": ("False", "RulesRejected"),
        "Accepted": ("False", "RulesRejected"),
        "Applied": ("True", "Applied"),
        "Loaded": ("True", "Loaded"),
    }
    status = status_of(live, Outcome(judged, Standing.LOADED), stack="main", now=NOW)
    assert (status.rules.total, status.rules.loaded) == (3, 2)
    message = status.conditions[0].message
    assert message == "1 of 3 rules left out: group g, rule 1 (Bad): BadExpression: parse error"


def test_a_policy_waits_for_a_verdict() -> None:
    live = policy(alert("up"))
    assert examined(live).judge(lambda _: None) is None
    assert conditions(live, Outcome(None, Standing.NO_SERVER)) == {
        "Ready": ("False", "NoServer"),
        "Accepted": ("Unknown", "NoServer"),
    }


def test_a_prometheus_of_others_is_named_and_what_it_needs_is_said() -> None:
    live, url = policy(alert("up")), "http://metrics.example"
    found = findings(Outcome(None, Standing.NO_SERVER, elsewhere=url))
    assert url in found[0].message
    outcome = examined(live).judge(refuse_bad)
    assert outcome
    waiting = Outcome(outcome[0], Standing.WAITING, elsewhere=url)
    assert conditions(live, waiting)["Loaded"] == ("Unknown", "Reloading")
    assert "ruleLabels" in findings(waiting)[-1].message
    refusing = replace(waiting, is_refusing=True)
    assert conditions(live, refusing)["Loaded"] == ("False", "ReloadFailed")
    assert url in findings(refusing)[-1].message


def test_a_policy_without_a_good_rule_has_no_file() -> None:
    live = policy(alert("up =="))
    outcome = examined(live).judge(lambda _: BAD)
    assert outcome
    assert outcome[0].digest == ""
    found = conditions(live, Outcome(outcome[0], Standing.WAITING))
    assert found["Loaded"] == ("False", "NoRules")


def test_a_policy_that_has_no_rules_of_its_own_waits_for_none() -> None:
    live = policy()
    live["spec"] = {"inhibit": [{"source": ["a=b"], "target": ["c=d"]}]}
    outcome = examined(live).judge(lambda _: BAD)
    assert outcome
    assert conditions(live, Outcome(outcome[0], Standing.WAITING)) == {
        "Ready": ("False", "NotWritten"),
        "Accepted": ("True", "Accepted"),
        "Routed": ("Unknown", "NotWritten"),
    }


def test_a_spec_that_cannot_be_read_is_judged_at_once() -> None:
    found = examine(policy({"alert": "A"}), "shop", Pace())
    assert isinstance(found, Judged)
    assert conditions(policy(), Outcome(found, Standing.WAITING))["Accepted"] == (
        "False",
        "InvalidSpec",
    )


@pytest.mark.parametrize(
    ("standing", "type_", "reason"),
    [
        (Standing.NO_ROOM, "Applied", "RulesTooLarge"),
        (Standing.REFUSED, "Loaded", "RejectedByServer"),
        (Standing.WAITING, "Loaded", "Reloading"),
        (Standing.LOADED, "Loaded", "Loaded"),
    ],
)
def test_how_a_policy_stands(standing: Standing, type_: str, reason: str) -> None:
    live = policy(alert("up"))
    outcome = examined(live).judge(lambda _: GOOD)
    assert outcome
    assert conditions(live, Outcome(outcome[0], standing))[type_][1] == reason


def test_a_status_is_the_same_a_minute_later() -> None:
    live = policy(alert("up"))
    outcome = examined(live).judge(lambda _: GOOD)
    assert outcome
    first = status_of(live, Outcome(outcome[0], Standing.LOADED), stack="main", now=NOW)
    live["status"] = dump_status(first)
    later = NOW + timedelta(minutes=1)
    again = status_of(live, Outcome(outcome[0], Standing.LOADED), stack="main", now=later)
    assert dump_status(again) == live["status"]


def test_what_the_status_says_holds_for_its_generation_only() -> None:
    live = policy(alert("up"), alert("up ==", "Bad"))
    outcome = examined(live).judge(refuse_bad)
    assert outcome
    live["status"] = dump_status(
        status_of(live, Outcome(outcome[0], Standing.LOADED), stack="main", now=NOW)
    )
    assert is_loaded(live, STACK)
    assert is_trusted(live, STACK)
    recalled = examined(live).recall(AlertPolicyStatus.model_validate(live["status"]))
    assert recalled == outcome
    live["metadata"]["generation"] = 2
    assert not is_loaded(live, STACK)
    assert not is_trusted(live, STACK)


def test_a_culprit_is_one_until_its_spec_changes() -> None:
    live = policy(alert("up"))
    outcome = examined(live).judge(lambda _: GOOD)
    assert outcome
    refused = Outcome(outcome[0], Standing.REFUSED)
    live["status"] = dump_status(status_of(live, refused, stack="main", now=NOW))
    assert is_culprit(live)
    live["metadata"]["generation"] = 2
    assert not is_culprit(live)


def test_a_fingerprint_changes_with_specs_and_with_who_runs_what() -> None:
    stack = {"metadata": {"uid": "s", "name": "main", "namespace": "shop", "generation": 1}}
    taker, one = parse_taker(stack), policy(alert("up"))
    before = Share(taker, [one]).fingerprint()
    one["status"] = {"x": 1}
    one["metadata"]["resourceVersion"] = "2"
    assert Share(taker, [one]).fingerprint() == before
    one["metadata"]["generation"] = 2
    forms = [
        Share(taker),
        Share(taker, [one]),
        Share(taker, [one], held={"u": taker}),
        Share(taker, leaving=[one]),
    ]
    assert len({before, *(share.fingerprint() for share in forms)}) == 5


def test_rules_of_another_namespace_are_confined_and_carry_its_label() -> None:
    live = policy(
        {"alert": "A", "expr": "up == 0", "labels": {"namespace": "other", "team": "x"}},
        {"record": "a:b", "expr": "sum(up)"},
        {"alert": "Q", "expr": "up", "annotations": {"x": '{{ "up" | query | len }}'}},
        {"alert": "N", "expr": "up", "annotations": {"x": "{{ $labels.query }} query"}},
    )
    found = examined(live, "monitoring")
    assert [question.namespace for question in found.questions()] == ["shop"] * 3
    outcome = found.judge(lambda _: GOOD)
    assert outcome
    (group,) = load_yaml(outcome[1].text)["groups"]
    assert [(rule["expr"], rule["labels"]) for rule in group["rules"]] == [
        ('up{namespace="shop"} == 0', {"team": "x", "namespace": "shop"}),
        ('sum(up{namespace="shop"})', {"namespace": "shop"}),
        ('up{namespace="shop"}', {"namespace": "shop"}),
    ]
    assert [(r.rule, r.reason) for r in outcome[0].rejected] == [("Q", "NotConfined")]
    own = examined(live).judge(lambda _: GOOD)
    assert own
    assert "namespace: shop" not in own[1].text


def test_a_server_that_is_a_version_behind_proves_what_it_runs() -> None:
    versions = Versions()
    first = versions.remember({1: {"a": "1"}})
    second = versions.remember({1: {"a": "1", "b": "2"}, 2: {"c": "3"}})
    assert {name for name, _ in versions.loaded(first)} == {"a"}
    assert {name for name, _ in versions.loaded(second)} == {"a", "b", "c"}
    assert versions.loaded({1: f"{first[1]}-r3"}) == versions.loaded(first)
    assert versions.loaded({1: "unknown"}) == frozenset()
    versions.forget_others(second)
    assert versions.loaded(first) == frozenset()

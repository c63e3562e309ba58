"""Rule files: what a policy says reaches Prometheus unchanged, or not at all."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.thresholds import Signal, Threshold
from firewatch.api.triggers import Trigger
from firewatch.build.checks import check_groups
from firewatch.build.rules import Place, policy_groups, render_rules
from firewatch.build.thresholds import build_threshold_rule
from firewatch.respond.alerts import may_match
from tests.unit.test_examples import runbook_block

TEXTS = st.text(max_size=80)
LABELS = st.dictionaries(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True), TEXTS, max_size=8
)


def groups_of(**spec: Any) -> Any:
    return policy_groups(AlertPolicySpec.model_validate(spec))


def one_rule(**fields: Any) -> Any:
    return groups_of(groups=[{"name": "g", "rules": [{"expr": "up", **fields}]}])


@given(LABELS, LABELS, TEXTS.filter(bool), TEXTS.filter(bool))
def test_any_text_is_read_back_as_it_was(
    labels: dict[str, str], annotations: dict[str, str], expression: str, alert: str
) -> None:
    """User text cannot break out of its place in the file."""
    groups = one_rule(alert=alert, expr=expression, labels=labels, annotations=annotations)
    (rule,) = yaml.safe_load(render_rules(groups, ()))["groups"][0]["rules"]
    assert rule["alert"] == alert
    assert rule["expr"] == expression
    assert rule.get("labels", {}) == labels
    assert rule.get("annotations", {}) == annotations


def test_every_field_of_the_format_arrives() -> None:
    group = {
        "name": "g",
        "interval": "30s",
        "limit": 5,
        "query_offset": "10s",
        "labels": {"team": "a"},
        "rules": [
            {
                "alert": "A",
                "expr": "up == 0",
                "for": "1m",
                "keep_firing_for": "2m",
                "labels": {"x": "y"},
                "annotations": {"summary": "{{ $value }}"},
            },
            {"record": "a:b", "expr": "sum(up)", "labels": {"c": "d"}},
        ],
    }
    assert yaml.safe_load(render_rules(groups_of(groups=[group]), ())) == {"groups": [group]}


def test_rejected_rules_are_left_out_and_a_group_without_rules_goes() -> None:
    rules = [{"alert": name, "expr": "up"} for name in "ABC"]
    groups = groups_of(groups=[{"name": "g", "rules": rules}, {"name": "h", "rules": rules[:1]}])
    text = render_rules(groups, {Place(0, 1), Place(1, 0)})
    (group,) = yaml.safe_load(text)["groups"]
    assert [rule["alert"] for rule in group["rules"]] == ["A", "C"]
    everything = {Place(g, i) for g, group in enumerate(groups) for i in range(len(group.rules))}
    assert render_rules(groups, everything) == ""


def test_a_cpu_threshold_is_the_runbooks_rule_in_one_line() -> None:
    groups = groups_of(thresholds=[{"signal": "cpu", "above": 80}])
    (group,) = yaml.safe_load(render_rules(groups, ()))["groups"]
    assert group == {
        "name": "firewatch:thresholds",
        "rules": [
            {
                "alert": "HighCPUUsage",
                "expr": "100 * (1 - avg by (instance)"
                ' (rate(node_cpu_seconds_total{mode="idle"}[5m]))) > 80',
                "for": "4m",
                "labels": {"firewatch_preset": "cpu_high", "severity": "warning"},
                "annotations": {
                    "summary": "High CPU usage: {{ $labels.instance }}",
                    "description": 'The CPU was {{ printf "%.1f" $value }} % busy over the last 5m,'
                    " above 80 % for 4m.",
                },
            }
        ],
    }


@pytest.mark.parametrize("signal", Signal)
def test_a_preset_finds_the_threshold_and_the_runbooks_alert(signal: Signal) -> None:
    limit = "below" if signal is Signal.DISK else "above"
    rule = build_threshold_rule(Threshold.model_validate({"signal": signal, limit: 5}))
    assert rule.alert
    preset = rule.labels["firewatch_preset"]
    trigger = Trigger.model_validate({"preset": preset})
    assert may_match(trigger, "Renamed", rule.labels)
    assert may_match(trigger, rule.alert, {})
    _, runbook = runbook_block("Alert Rules")
    assert rule.alert in {each["alert"] for each in runbook["groups"][0]["rules"]}


@pytest.mark.parametrize(
    "fields", [{"signal": "disk", "above": 5}, {"signal": "cpu"}, {"signal": "cpu", "below": 5}]
)
def test_a_limit_of_another_signal_is_refused(fields: Any) -> None:
    with pytest.raises(ValidationError, match="the signal disk takes below"):
        Threshold.model_validate(fields)


@pytest.mark.parametrize(
    ("above", "text"), [(80, "80"), (99.5, "99.5"), (0.1 + 0.2, "0.30000000000000004")]
)
def test_a_threshold_is_written_exactly(above: float, text: str) -> None:
    (group,) = groups_of(thresholds=[{"signal": "cpu", "above": above}])
    assert group.rules[0].expr.endswith(f" > {text}")


def reasons(groups: Any) -> dict[Place, str]:
    return {place: reason for place, (reason, _) in check_groups(groups).items()}


def test_good_rules_pass_the_checks() -> None:
    groups = groups_of(
        thresholds=[{"signal": "cpu", "above": 80}],
        groups=[
            {"name": "g", "rules": [{"alert": "A", "expr": "up"}, {"record": "r", "expr": "1"}]}
        ],
    )
    assert reasons(groups) == {}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"alert": "A", "annotations": {"summary": "{{ $value "}}, "BadTemplate"),
        ({"alert": "A", "labels": {"x": "{{ nosuch }}"}}, "BadTemplate"),
        ({"alert": "A", "labels": {"__name__": "x"}}, "BadLabel"),
        ({"alert": "A", "record": "b"}, "BadRule"),
        ({}, "BadRule"),
        ({"record": "b", "for": "5m"}, "BadRule"),
        ({"record": "b", "annotations": {"a": "b"}}, "BadRule"),
    ],
)
def test_each_fault_is_named(fields: dict[str, Any], reason: str) -> None:
    assert reasons(one_rule(**fields)) == {Place(0, 0): reason}


def test_templates_in_a_recording_rule_are_plain_text() -> None:
    assert reasons(one_rule(record="a", labels={"x": "{{ nosuch"})) == {}


def test_faults_of_a_group_concern_all_its_rules() -> None:
    rules = [{"alert": "A", "expr": "up"}, {"alert": "B", "expr": "up"}]
    groups = groups_of(
        groups=[
            {"name": "firewatch:marker", "rules": rules},
            {"name": "g", "labels": {"__name__": "x"}, "rules": rules},
            {"name": "h", "rules": rules},
            {"name": "h", "rules": rules},
        ]
    )
    found = reasons(groups)
    assert {place.group: reason for place, reason in found.items()} == {
        0: "ReservedGroupName",
        1: "BadLabel",
        3: "DuplicateGroup",
    }
    assert len(found) == 6

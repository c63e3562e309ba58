"""Detection: how long it takes until people are told, and advice where that is too long."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.resource import format_duration, parse_duration
from firewatch.api.slos import Slo
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.detection import detection_warnings, find_detections, pace_of, slowest
from firewatch.build.rules import policy_groups

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text())["spec"]


RUNBOOK = MonitoringStackSpec.model_validate(example("monitoringstack-runbook.yaml"))


def told(spec: Any, stack: MonitoringStackSpec = RUNBOOK) -> dict[str, str]:
    policy = AlertPolicySpec.model_validate(spec)
    found = find_detections(policy, policy_groups(policy), pace_of(stack))
    return {each.alert: each.within for each in slowest(found)}


def warned(
    spec: Any, stack: MonitoringStackSpec = RUNBOOK, kept: str = ""
) -> list[tuple[str, str]]:
    policy = AlertPolicySpec.model_validate(spec)
    pace = pace_of(stack, kept)
    found = detection_warnings(policy, find_detections(policy, policy_groups(policy), pace), pace)
    return [(each.code, each.rule) for each in found]


def rule(expr: str, **fields: Any) -> Any:
    header = {key: fields.pop(key) for key in ("interval", "query_offset") if key in fields}
    rules = [{"alert": "A", "expr": expr, **fields}]
    return {"groups": [{"name": "g", "rules": rules, **header}]}


def test_three_of_the_runbooks_rules_are_told_too_late_and_none_of_the_thresholds() -> None:
    late = ["HighCPUUsage", "HighMemoryUsage", "DiskSpaceLow"]
    assert warned(example("alertpolicy-runbook.yaml")) == [
        ("DetectionBudgetExceeded", name) for name in late
    ]
    assert told(example("alertpolicy-runbook.yaml")) == {
        "DiskSpaceLow": "5m40s",
        "HighCPUUsage": "5m40s",
        "HighMemoryUsage": "5m40s",
        "AgentCoordinationFailures": "3m40s",
        "APIHighErrorRate": "2m40s",
    }
    assert warned(example("alertpolicy-thresholds.yaml")) == []
    assert warned(example("alertpolicy-slos.yaml")) == []


@pytest.mark.parametrize(
    ("spec", "within"),
    [
        (rule("up == 0"), "40s"),
        (rule("up == 0", **{"for": "1m"}), "1m40s"),
        (rule('up{job="freeagentics-workers"} == 0'), "55s"),
        (rule('up{job="freeagentics-api"} == 0'), "35s"),
        (rule('up{job="freeagentics-api"} == 0 or up{job="freeagentics-workers"}'), "55s"),
        (rule("up == 0", interval="2m"), "2m25s"),
        (rule("up == 0", query_offset="1m"), "1m40s"),
        (rule("this is no expression"), "40s"),
        (rule("up == 0") | {"routes": [{"receiver": "a", "groupWait": "2m"}]}, "2m30s"),
        (
            rule("up == 0")
            | {"routes": [{"receiver": "a", "routes": [{"receiver": "b", "groupWait": "45s"}]}]},
            "1m15s",
        ),
    ],
)
def test_it_is_a_scrape_an_evaluation_the_hold_and_the_wait(spec: Any, within: str) -> None:
    assert told(spec) == {"A": within}


@pytest.mark.parametrize(
    ("stack", "within"),
    [
        ({"metrics": {}}, "30s"),
        ({"metrics": {"scrapeInterval": "1m", "evaluationInterval": "30s"}}, "1m30s"),
        ({"metrics": {}, "alerting": {}}, "1m"),
        ({"metrics": {}, "alerting": {"groupWait": "0s"}}, "30s"),
        ({"metrics": {}, "alerting": {"routes": [{"receiver": "a", "groupWait": "3m"}]}}, "3m30s"),
    ],
)
def test_the_stack_says_how_fast_it_is(stack: Any, within: str) -> None:
    if "alerting" in stack:
        route = {"receiver": "a", **stack["alerting"]}
        receivers = [{"name": "a", "webhook": [{"url": "http://a"}]}]
        stack["alerting"] = {"receivers": receivers, "route": route}
    assert told(rule("up == 0"), MonitoringStackSpec.model_validate(stack)) == {"A": within}


def test_escalations_are_no_detection() -> None:
    escalate = [{"after": "30m", "receiver": "b"}]
    routes = [{"receiver": "a", "matchers": ['x="y"'], "escalate": escalate}]
    assert told(rule("up == 0") | {"routes": routes}) == {"A": "40s"}


def test_an_objective_over_more_time_than_there_are_samples_of() -> None:
    spec = example("alertpolicy-slos.yaml")
    wanted = [("WindowBeyondRetention", "slo:error_budget_remaining:ratio")]
    assert warned(spec, MonitoringStackSpec.model_validate({"metrics": {}})) == wanted * 5
    # A RetentionPolicy says otherwise.
    assert warned(spec, kept="7d") == wanted * 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x", "objective": 99},
        {"name": "x", "objective": 100, "gauge": {"metric": "up"}},
        {"name": "x", "objective": 99, "gauge": {"metric": "up"}, "minRate": 1},
        {"name": "x", "objective": 99, "gauge": {"metric": "up"}, "by": ["window"]},
        {"name": "x", "objective": 99, "gauge": {"metric": "up"}, "labels": {"severity": "info"}},
        {"name": "x", "objective": 99, "gauge": {"metric": "up[5m]"}},
        {"name": "x", "objective": 99, "gauge": {"metric": "up) or (vector(1)"}},
        {"name": "x", "objective": 99, "gauge": {"metric": 'up{a="b"} or up{a="c"}'}},
        {"name": "x", "objective": 99, "window": "3d", "gauge": {"metric": "up"}},
    ],
)
def test_what_is_no_objective(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        Slo.model_validate(wrong)


@pytest.mark.parametrize(
    "text", ["0s", "500ms", "5m40s", "1h", "16h48m", "1d", "30d", "36h", "1m1s"]
)
def test_a_time_is_written_as_it_is_read(text: str) -> None:
    assert format_duration(parse_duration(text)) == text

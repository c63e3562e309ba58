"""Tests inside a policy before Prometheus' own tool, from the very files that its Job is given."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.rule_tests import RuleTests
from firewatch.build.rule_tests import render_tests, revision_of_tests
from tests.golden import building

Promtool = Callable[..., subprocess.CompletedProcess[str]]


def run(promtool: Promtool, folder: Path, tests: Any) -> subprocess.CompletedProcess[str]:
    """Run promtool as the Job does."""
    files, job = building.test_objects()
    for name, text in files["data"].items():
        (folder / name).write_text(text)
    (folder / "tests.yml").write_text(render_tests(RuleTests.model_validate(tests)))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["/bin/promtool"]
    arguments = [text.replace("/tests/", f"{folder}/") for text in container["args"]]
    return promtool(*arguments)


def example_tests() -> Any:
    return yaml.safe_load(building.RULE_CASES["tested"].read_text())["spec"]["tests"]


def test_the_examples_tests_pass(promtool: Promtool, tmp_path: Path) -> None:
    said = run(promtool, tmp_path, example_tests())
    assert said.returncode == 0, said.stdout + said.stderr


def test_a_wrong_expectation_fails_and_is_named(promtool: Promtool, tmp_path: Path) -> None:
    tests = example_tests()
    tests["tests"][1]["alert_rule_test"][0]["exp_alerts"] = [{"exp_labels": {"job": "x"}}]
    said = run(promtool, tmp_path, tests)
    assert said.returncode == 1
    assert "none fail" in said.stdout + said.stderr


EVERY_FIELD: Any = {
    "evaluation_interval": "15s",
    "group_eval_order": ["queue"],
    "fuzzy_compare": True,
    "tests": [
        {
            "name": "n",
            "interval": "15s",
            "external_labels": {"cluster": "c"},
            "external_url": "https://x",
            "input_series": [{"series": "a_total", "values": "1 _ 2 stale"}],
            "alert_rule_test": [{"eval_time": "0s", "alertname": "JobsFail", "exp_alerts": []}],
            "promql_expr_test": [
                {
                    "expr": "a_total + 1",
                    "eval_time": "0s",
                    "exp_samples": [{"labels": "{}", "value": 2}],
                },
                {
                    "expr": "vector(0)",
                    "eval_time": "0s",
                    "exp_samples": [{"labels": "{}", "value": 0}],
                },
            ],
        }
    ],
}


def test_every_field_of_the_format_arrives(promtool: Promtool, tmp_path: Path) -> None:
    said = run(promtool, tmp_path, EVERY_FIELD)
    assert said.returncode == 0, said.stdout + said.stderr
    text = yaml.safe_load(render_tests(RuleTests.model_validate(EVERY_FIELD)))
    assert text.pop("rule_files") == ["rules.yml"]
    wanted = {**EVERY_FIELD, "tests": [{**EVERY_FIELD["tests"][0]}]}
    wanted["tests"][0]["alert_rule_test"] = [{"eval_time": "0s", "alertname": "JobsFail"}]
    assert text == wanted


def test_a_run_is_another_when_rules_or_tests_are() -> None:
    tests = example_tests()
    first = revision_of_tests("rules", tests)
    assert revision_of_tests("rules", dict(reversed(tests.items()))) == first
    assert revision_of_tests("others", tests) != first
    assert revision_of_tests("rules", {**tests, "fuzzy_compare": True}) != first


@pytest.mark.parametrize("field", ["rule_files", "evaluationInterval"])
def test_unknown_fields_are_refused(field: str) -> None:
    spec = {"thresholds": [], "tests": {**example_tests(), field: "1m"}}
    with pytest.raises(ValueError, match=field):
        AlertPolicySpec.model_validate(spec)


def test_the_job_is_hardened_and_has_no_token() -> None:
    _, job = building.test_objects()
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert spec["activeDeadlineSeconds"] == 60
    assert spec["backoffLimit"] == 0
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert container["resources"]["limits"]

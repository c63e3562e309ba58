"""The rules of user journeys before Prometheus' own tool: when each alert fires, and what it says."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.journey_rules import render_journey_rules
from firewatch.build.objects import Stack
from firewatch.build.surroundings import Surroundings
from firewatch.build.yaml_text import dump_yaml

Promtool = Callable[..., subprocess.CompletedProcess[str]]

JOURNEY: dict[str, Any] = {
    "name": "buy",
    "baseUrl": "http://api",
    "steps": [{"name": "pay"}],
    "labels": {"team": "shop"},
}
SERIES = '{job="journeys",journey="buy",instance="r"}'


def rules(**fields: Any) -> str | None:
    spec = {"metrics": {}, "synthetic": {"journeys": [{**JOURNEY, **fields}]}}
    stack = Stack("shop", "main", "u", MonitoringStackSpec.model_validate(spec))
    return render_journey_rules(stack, Surroundings("r:1", image="firewatch:1"))


@dataclass(frozen=True)
class Case:
    """What was seen within an hour, and what fires at its end."""

    success: str = "1x60"
    seconds: str = "1x60"
    last_run: str = "0+60x60"
    fires: tuple[str, ...] = ()


@pytest.mark.parametrize(
    "case",
    [
        Case(),
        Case(success="1x10 0x50", fires=("ErrorBudgetBurn", "JourneyFailing")),
        Case(success="1x58 0x1", fires=("ErrorBudgetBurn",)),
        Case(seconds="6x60", fires=("JourneySlow",)),
        Case(seconds="4.9x60"),
        Case(last_run="0+60x45 2700x15", fires=("JourneyNotRun",)),
        Case(last_run="0+60x55 3300x5"),
        Case(
            success="1x40 stale _x20",
            seconds="1x40 stale _x20",
            last_run="0+60x40 stale _x20",
            fires=("JourneyNotRun", "SLODataMissing"),
        ),
    ],
    ids=[
        *("all is well", "it fails", "it has just failed", "it is slow", "almost slow"),
        *("the runner hangs", "almost late", "the runner is gone"),
    ],
)
def test_alerts_fire_when_they_should(promtool: Promtool, tmp_path: Path, case: Case) -> None:
    text = rules()
    assert text
    series = {
        f"firewatch_journey_success{SERIES}": case.success,
        f"firewatch_journey_duration_seconds{SERIES}": case.seconds,
        f"firewatch_journey_last_run_timestamp_seconds{SERIES}": case.last_run,
    }
    query = 'group by (alertname) (ALERTS{alertstate="firing"})'
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in case.fires]
    tested = {"promql_expr_test": [{"expr": query, "eval_time": "60m", "exp_samples": expected}]}
    check(promtool, tmp_path, text, series, tested)


def test_the_alert_names_the_step_and_keeps_firing_when_another_fails(
    promtool: Promtool, tmp_path: Path
) -> None:
    text = rules()
    assert text
    failure = 'firewatch_journey_failure{job="journeys",journey="buy",step="%s",reason="%s"}'
    series = {
        f"firewatch_journey_success{SERIES}": "0x60",
        failure % ("log-in", "status"): "1x30 stale",
        failure % ("pay", "timeout"): "_x30 1x30",
    }

    def fired(minute: int, step: str) -> dict[str, Any]:
        said = (
            f"It has failed for 2m, now at step {step};"
            " status.journeys of the MonitoringStack says more."
        )
        labels = {"journey": "buy", "pack": "journeys", "severity": "critical", "team": "shop"}
        annotations = {
            "summary": "Journey buy fails.",
            "description": said,
            "runbook": "docs/runbooks/JourneyFailing.md",
        }
        found = [{"exp_labels": labels, "exp_annotations": annotations}]
        return {"eval_time": f"{minute}m", "alertname": "JourneyFailing", "exp_alerts": found}

    alerts = [fired(20, "log-in (status)"), fired(40, "pay (timeout)")]
    check(promtool, tmp_path, text, series, {"alert_rule_test": alerts})


def check(
    promtool: Promtool,
    folder: Path,
    text: str,
    series: dict[str, str],
    tested: dict[str, Any],
) -> None:
    """Have promtool take the rules through the series, from the first second of 1970 on."""
    (folder / "rules.yml").write_text(text)
    checked = promtool("check", "rules", folder / "rules.yml")
    assert checked.returncode == 0, checked.stderr
    test = {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        **tested,
    }
    content = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "tests.yml").write_text(dump_yaml(content))
    said = promtool("test", "rules", folder / "tests.yml")
    assert said.returncode == 0, said.stderr + said.stdout


def test_a_journey_that_is_left_out_has_no_rules() -> None:
    assert rules(steps=[{"name": "pay", "path": "/${nowhere}"}]) is None


def test_its_objective_cannot_be_taken_for_that_of_a_health_check() -> None:
    groups = yaml.safe_load(rules() or "")["groups"]
    owners = {rule["labels"].get("slo_policy") for group in groups[1:] for rule in group["rules"]}
    assert owners == {"shop/main/journeys"}

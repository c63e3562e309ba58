"""Advice on rules and names; the runbook's own names are the corpus."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from firewatch.api.metrics import Metrics
from firewatch.build.lint.findings import Scrapes
from firewatch.build.lint.rules import lint_metric, lint_policy, scrapes_of
from tests.unit.test_examples import ROOT, runbook_block

GOOD = {
    "alert": "A",
    "expr": "up == 0",
    "for": "1m",
    "annotations": {"summary": "s", "runbook_url": "https://x"},
}


def codes(**rule: Any) -> list[str]:
    return codes_with(Scrapes(), **rule)


def codes_with(scrapes: Scrapes, **rule: Any) -> list[str]:
    spec = {"groups": [{"name": "g", "rules": [rule]}]}
    return [warning.code for warning in lint_policy(spec, scrapes)]


def of_expression(expr: str) -> list[str]:
    return codes(**{**GOOD, "expr": expr})


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (GOOD, []),
        ({**GOOD, "for": None}, ["NoFor"]),
        ({**GOOD, "annotations": {"runbook": "x"}}, ["NoSummary"]),
        ({**GOOD, "annotations": {"summary": "x"}}, ["NoRunbook"]),
        ({"alert": "A", "expr": "up == 0"}, ["NoFor", "NoSummary", "NoRunbook"]),
        ({"record": "job:http_requests:rate5m", "expr": "up"}, []),
        ({"record": "requests_rate", "expr": "up"}, ["RecordingName"]),
        ({"record": "job:requests", "expr": "up"}, ["RecordingName"]),
    ],
)
def test_rules(rule: Any, found: list[str]) -> None:
    assert codes(**rule) == found


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ("rate(app_requests_total[1m])", []),
        ("rate(app_requests_total[59s])", ["ShortRateWindow"]),
        ("sum(increase(app_requests_total[30s])) by (job)", ["ShortRateWindow"]),
        ("rate(app_requests[5m]) > 1", ["CounterWithoutTotal"]),
        ("rate(app_request_duration_seconds_count[5m]) > 1", []),
        ("app_requests_total > 5", ["TotalWithoutRate"]),
        ("absent(app_requests_total)", []),
        ("sum(app_active_users_total) > 1", ["TotalWithoutRate", "TotalOnGauge"]),
        ("app_request_duration_seconds > 1", ["LatencyNotHistogram"]),
        ("histogram_quantile(0.9, rate(app_request_duration_seconds_bucket[5m])) > 1", []),
        ("histogram_quantile(0.9, rate(app_request_duration_seconds[5m])) > 1", []),
        ("max_over_time(app_queue_size[1m:5s]) > 1", ["UnitSuffix"]),
        ("app_load_percent > 5", ["UnitSuffix"]),
        ("requests > 5", ["GroupPrefix"]),
        ("-up{job='a'} or (vector(1) unless on () up)", []),
        ("job:errors:ratio5m > 1 and rate(job:errors:total[5m]) > 1", []),
        ("this is not ( PromQL", []),
    ],
)
def test_expressions(expr: str, found: list[str]) -> None:
    assert of_expression(expr) == found


def test_a_window_is_compared_with_the_interval_of_the_job_that_it_names() -> None:
    metrics = Metrics.model_validate(
        {
            "scrapeInterval": "10s",
            "scrapeJobs": [{"name": "slow", "targets": ["a"], "interval": "1m"}],
        }
    )
    scrapes = scrapes_of(metrics)
    assert scrapes.interval == timedelta(seconds=10)
    for job, window, found in (
        ("slow", "3m", ["ShortRateWindow"]),
        ("slow", "4m", []),
        ("other", "40s", []),
        ("other", "39s", ["ShortRateWindow"]),
    ):
        expr = f'rate(app_requests_total{{job="{job}"}}[{window}])'
        assert codes_with(scrapes, **{**GOOD, "expr": expr}) == found, expr


CORPUS = {
    **dict.fromkeys(
        ("freeagentics_active_users_total", "freeagentics_active_agents_total"), "TotalOnGauge"
    ),
    "freeagentics_requests_per_second": "UnitSuffix",
    "freeagentics_transactions_per_second": "UnitSuffix",
    "freeagentics_agent_actions_per_second": "UnitSuffix",
    "freeagentics_agent_coordination_success_total": "VaryingName",
    "freeagentics_agent_coordination_failures_total": "VaryingName",
    "container_cpu_system_seconds_total": "VaryingName",
    "container_cpu_user_seconds_total": "VaryingName",
    "container_memory_cache": "UnitSuffix",
    "pg_stat_statements_total_time": "UnitSuffix",
    "pg_stat_statements_mean_time": "UnitSuffix",
    **{f"pg_stat_database_xact_{end}": "VaryingName" for end in ("commit", "rollback")},
    **{f"pg_stat_user_tables_n_tup_{end}": "VaryingName" for end in ("ins", "upd", "del")},
}
"""The runbook's metric families whose names alone can be better, and why."""


def test_the_runbooks_metric_families() -> None:
    families = yaml.safe_load((ROOT / "docs/runbook-map.yaml").read_text())["metrics"]
    names = [family["id"] for family in families]
    assert len(names) == 47
    found = {name: {code for code, _ in lint_metric(name)} for name in names}
    assert {name: codes for name, codes in found.items() if codes} == {
        name: {code} for name, code in CORPUS.items()
    }


def test_a_runbook_for_the_whole_policy_is_enough() -> None:
    rule = {**GOOD, "annotations": {"summary": "s"}}
    spec = {"runbookUrl": "https://x", "groups": [{"name": "g", "rules": [rule]}]}
    assert [*lint_policy(spec, Scrapes())] == []


def test_the_runbooks_rules() -> None:
    _, data = runbook_block("Alert Rules")
    found = [(w.rule, w.code) for w in lint_policy(data, Scrapes())]
    alerts = [rule["alert"] for rule in data["groups"][0]["rules"]]
    wanted = [(alert, "NoRunbook") for alert in alerts]
    assert found == [*wanted, ("AgentCoordinationFailures", "VaryingName")]

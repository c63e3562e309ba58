"""Objectives before Prometheus' own tool: what is recorded is right, and each alert fires when it should."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.resource import parse_duration
from firewatch.api.slos import Slo, Window
from firewatch.build.confine import confine_groups, prove_confined
from firewatch.build.rules import Group, policy_groups, render_rules
from firewatch.build.yaml_text import dump_yaml
from tests.golden.parser import running_parser

Promtool = Callable[..., subprocess.CompletedProcess[str]]
Series = dict[str, str]
Fired = set[tuple[str, str]]
"""Names of alerts, with the longer window of those of the error budget."""

JOB = 'job="api",instance="a1"'
REQUESTS: dict[str, Any] = {
    "name": "api",
    "objective": 99.9,
    "events": {"total": "requests_total", "bad": 'requests_total{status=~"5.."}'},
}
LATENCY: dict[str, Any] = {
    "name": "fast",
    "objective": 95,
    "latency": {"histogram": "duration_seconds", "below": "500ms"},
}
PROBE: dict[str, Any] = {
    "name": "up",
    "objective": 99.9,
    "gauge": {"metric": 'probe_success{probe="api"}'},
    "by": ["probe"],
}
HOURS = 60
ALL = {("ErrorBudgetBurn", window) for window in ("1h", "6h", "1d", "3d")}


def groups_of(*slos: Any, policy: str = "shop/p") -> tuple[Group, ...]:
    return policy_groups(AlertPolicySpec.model_validate({"slos": slos}), policy)


def rates(minutes: int, **perminute: float) -> Series:
    """Return requests by status, sampled every minute, as ``s200=600``."""
    return {
        f'requests_total{{{JOB},status="{status[1:]}"}}': f"0+{rate:g}x{minutes}"
        for status, rate in perminute.items()
    }


def latencies(minutes: int, *, slow: float, ends: tuple[str, ...] = ("0.25", "0.5")) -> Series:
    """Return 600 requests a minute of which a share is slower than every bucket but the last."""
    buckets = dict.fromkeys(ends, 600 * (1 - slow)) | {"+Inf": 600.0}
    series = {
        f'duration_seconds_bucket{{{JOB},le="{end}"}}': f"0+{rate:g}x{minutes}"
        for end, rate in buckets.items()
    }
    return series | {f"duration_seconds_count{{{JOB}}}": f"0+600x{minutes}"}


def probes(*parts: str) -> Series:
    return {'probe_success{probe="api",instance="u"}': " ".join(parts)}


@dataclass(frozen=True)
class Case:
    says: str
    slo: dict[str, Any]
    series: Series
    minute: int
    fires: Fired
    values: dict[str, float] = field(default_factory=dict)
    """What queries return then."""


REMAINING = 'slo:error_budget_remaining:ratio{slo="api"}'
CASES = (
    Case("2 % fail", REQUESTS, rates(600, s200=588, s500=12), 3 * HOURS, ALL),
    Case(
        "half of what is allowed fails",
        REQUESTS,
        rates(600, s200=1999, s503=1),
        3 * HOURS,
        set(),
        {REMAINING: 0.5, 'slo:error:ratio{slo="api",window="30d"}': 0.0005},
    ),
    Case(
        "none has ever failed",
        REQUESTS,
        rates(600, s200=600),
        3 * HOURS,
        set(),
        {REMAINING: 1, 'slo:error:ratio{slo="api",window="5m"}': 0},
    ),
    Case(
        "nobody asks",
        REQUESTS,
        rates(600, s200=0, s500=0),
        3 * HOURS,
        set(),
        {REMAINING: 1, 'slo:objective:ratio{slo="api"}': 0.999},
    ),
    Case("all of one a minute", REQUESTS, rates(600, s500=1), 3 * HOURS, set()),
    Case("all count", {**REQUESTS, "minRate": 0}, rates(600, s500=1), 3 * HOURS, ALL),
    Case(
        "it was mended a quarter of an hour ago",
        REQUESTS,
        {
            f'requests_total{{{JOB},status="200"}}': "0+600x600",
            f'requests_total{{{JOB},status="500"}}': "0+60x165 9900x435",
        },
        3 * HOURS,
        ALL - {("ErrorBudgetBurn", "1h")},
    ),
    Case(
        "it weighs by traffic",
        REQUESTS,
        {
            # Everything fails in the second hour, in which there is a hundredth of the traffic.
            f'requests_total{{{JOB},status="200"}}': "0+600x60 36000x540",
            f'requests_total{{{JOB},status="500"}}': "0x60 0+6x540",
        },
        2 * HOURS,
        ALL,
        {'round(slo:error:ratio{slo="api",window="6h"}, 0.01)': 0.01},
    ),
    Case("5 of 100 are too slow", LATENCY, latencies(600, slow=0.04), 3 * HOURS, set()),
    Case(
        "10 of 100 are too slow",
        LATENCY,
        latencies(600, slow=0.1),
        3 * HOURS,
        {("ErrorBudgetBurn", "3d")},
        {'round(slo:error_budget_remaining:ratio{slo="fast"}, 0.001)': -1},
    ),
    Case(
        "no bucket ends there",
        LATENCY,
        latencies(600, slow=0.9, ends=("0.25", "1")),
        3 * HOURS,
        {("SLOBucketMissing", "")},
    ),
    Case(
        "a whole second, as Prometheus 3 writes it",
        {**LATENCY, "latency": {"histogram": "duration_seconds", "below": "1s"}},
        latencies(600, slow=0.1, ends=("0.25", "1.0")),
        3 * HOURS,
        {("ErrorBudgetBurn", "3d")},
    ),
    Case(
        "a whole second, as others write it",
        {**LATENCY, "latency": {"histogram": "duration_seconds", "below": "1s"}},
        latencies(600, slow=0.1, ends=("0.25", "1")),
        3 * HOURS,
        {("ErrorBudgetBurn", "3d")},
    ),
    Case("there are no data", REQUESTS, {}, HOURS, {("SLODataMissing", "")}),
    Case("it is up", PROBE, probes("1x600"), 3 * HOURS, set()),
    Case("it has been down for 6 minutes", PROBE, probes("1x174", "0x60"), 3 * HOURS, ALL),
    Case(
        "9 of 10 fail where 9 of 10 must be good",
        {**REQUESTS, "objective": 90},
        rates(600, s200=60, s500=540),
        3 * HOURS,
        # 14.4 times the budget would be more than everything.
        ALL - {("ErrorBudgetBurn", "1h")},
    ),
)


def promtool_test(case: Case) -> dict[str, Any]:
    alerts = 'count by (alertname, long) (ALERTS{alertstate="firing"})'
    expected = [
        {"labels": _labels(alertname=name, long=window), "value": 1} for name, window in case.fires
    ]
    queries = [{"expr": alerts, "eval_time": f"{case.minute}m", "exp_samples": expected}]
    queries += [
        {
            "expr": f"max by () ({query})",
            "eval_time": f"{case.minute}m",
            "exp_samples": [{"labels": "{}", "value": value}],
        }
        for query, value in case.values.items()
    ]
    return {
        "interval": "1m",
        "name": case.says,
        "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
        "promql_expr_test": queries,
    }


def _labels(**labels: str) -> str:
    found = ",".join(f'{name}="{value}"' for name, value in labels.items() if value)
    return f"{{{found}}}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_the_budget_burns_when_its_words_say(
    promtool: Promtool, tmp_path: Path, case: Case
) -> None:
    (tmp_path / "rules.yml").write_text(render_rules(groups_of(case.slo), ()))
    file = tmp_path / "tests.yml"
    file.write_text(
        dump_yaml(
            {
                "rule_files": ["rules.yml"],
                "evaluation_interval": "1m",
                "tests": [promtool_test(case)],
            }
        )
    )
    said = promtool("test", "rules", file)
    assert said.returncode == 0, said.stderr + said.stdout


SLOS: tuple[Any, ...] = (
    REQUESTS,
    {**LATENCY, "latency": {**LATENCY["latency"], "match": {"path": 'a"b\\c\n', "job": "x"}}},
    {**LATENCY, "name": "all", "by": [], "window": "7d", "objective": 0.5},
    {**PROBE, "by": ["probe", "instance"], "window": "90d", "objective": 99.999},
    {**PROBE, "name": "quoted", "gauge": {"metric": "up{path=\"/a/{id}\",x='}'}"}},
    {**REQUESTS, "name": "labelled", "labels": {"team": 'a "b"'}, "minRate": 0.1, "window": "28d"},
)


def test_whatever_is_written_prometheus_takes_it(promtool: Promtool, tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(render_rules(groups_of(*SLOS), ()))
    said = promtool("check", "rules", "--lint=none", path)
    assert said.returncode == 0, said.stderr
    assert re.search(r"\d+ rules found", said.stdout)


def test_those_of_another_namespace_see_only_their_own(tmp_path: Path) -> None:
    """Whatever an objective is made of, Prometheus' own tree shows that it is confined."""
    groups = groups_of(*SLOS)
    confined = confine_groups(groups, "shop")
    with running_parser(tmp_path) as parser:
        for before, after in zip(groups, confined, strict=True):
            for plain, ours in zip(before.rules, after.rules, strict=True):
                prove_confined(parser.tree(plain.expr), parser.tree(ours.expr), "shop")
                assert ours.labels["namespace"] == "shop"


@pytest.mark.parametrize("window", Window)
def test_each_alert_stands_for_the_same_part_of_the_budget(window: Window) -> None:
    """2 % in the shortest, 5 % in the next and 10 % in the others, whatever the window."""
    slo = Slo.model_validate({**REQUESTS, "window": window})
    (often, _) = groups_of(slo.model_dump(by_alias=True, exclude_none=True))
    burns = [rule for rule in often.rules if rule.alert == "ErrorBudgetBurn"]
    limits = [float(re.findall(r"> ([0-9.]+)", rule.expr)[0]) for rule in burns]
    longs = [parse_duration(rule.labels["long"]) for rule in burns]
    parts = [
        limit / 0.001 * long / parse_duration(window)
        for limit, long in zip(limits, longs, strict=True)
    ]
    assert parts == pytest.approx([0.02, 0.05, 0.1, 0.1], rel=0.05)
    for rule in burns:
        assert parse_duration(rule.labels["short"]) * 10 < parse_duration(rule.labels["long"]) * 1.5

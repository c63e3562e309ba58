"""Packs of rules before Prometheus' own tool: each alert fires when it should, and not when it should not."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from firewatch.api.journeys import Journey, JourneyStep
from firewatch.api.packs import Packs
from firewatch.api.stack import MonitoringStackSpec
from firewatch.api.synthetic import HealthCheck
from firewatch.build.health_rules import health_alerts
from firewatch.build.journey_rules import journey_alerts
from firewatch.build.objects import Stack
from firewatch.build.packs.alert import Alert
from firewatch.build.packs.application import throughput_rules
from firewatch.build.packs.choose import choose_packs, render_packs
from firewatch.build.surroundings import Surroundings
from firewatch.build.yaml_text import dump_yaml

Promtool = Callable[..., subprocess.CompletedProcess[str]]

CASES = Path(__file__).parent / "packs"
PAGES = Path(__file__).parents[2] / "docs" / "runbooks"
KEY = {"name": "a", "key": "b"}
EVERYTHING: dict[str, Any] = {
    "metrics": {},
    "alerting": {
        "receivers": [{"name": "a", "webhook": [{"urlSecret": KEY}]}],
        "route": {"receiver": "a"},
    },
    "packs": {},
    "visualization": {},
    "exporters": {
        "node": {},
        "blackbox": {},
        "kubeStateMetrics": {},
        "postgres": [{"name": "a", "host": "db", "username": KEY, "password": KEY}],
    },
    "synthetic": {"probes": [{"name": "a", "targets": ["b"]}]},
}
SEEN = frozenset({"api", "coordination", "firewatch"})


@dataclass(frozen=True)
class Case:
    says: str
    minute: int
    series: Mapping[str, str]
    fires: Sequence[str] = ()
    near: Sequence[str] = ()
    """Alerts whose every series is there, and which do not fire."""


def stack(**spec: Any) -> Stack:
    return Stack("mon", "main", "u", MonitoringStackSpec.model_validate({**EVERYTHING, **spec}))


def around(seen: frozenset[str] = SEEN, namespaces: tuple[str, ...] = ("mon",)) -> Surroundings:
    return Surroundings("r:1", cluster_namespaces=namespaces, running_packs=seen)


def alerts() -> dict[str, Alert]:
    return {each.name: each for pack in choose_packs(stack(), around()) for each in pack.alerts}


def cases() -> list[Case]:
    paths = sorted(CASES.glob("*.yaml"))
    return [Case(**each) for path in paths for each in yaml.safe_load(path.read_text())]


def metrics_of(expression: str) -> set[str]:
    """Return the names of the metrics that an expression reads."""
    found: set[str] = set()

    def note(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            found.add(str(node.name))
        return True

    promql_parser.walk(promql_parser.parse(expression), note)
    return found


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.says)
def test_alerts_fire_when_they_should(promtool: Promtool, tmp_path: Path, case: Case) -> None:
    text = render_packs(stack(), around())
    assert text
    (tmp_path / "rules.yml").write_text(text)
    query = 'group by (alertname) (ALERTS{alertstate="firing"})'
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in case.fires]
    test = {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
        "promql_expr_test": [
            {"expr": query, "eval_time": f"{case.minute}m", "exp_samples": expected}
        ],
    }
    file = tmp_path / "tests.yml"
    content = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    file.write_text(dump_yaml(content))
    said = promtool("test", "rules", file)
    assert said.returncode == 0, said.stderr + said.stdout


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.says)
def test_what_does_not_fire_has_all_that_it_looks_at(case: Case) -> None:
    there = {series.partition("{")[0] for series in case.series}
    for name in case.near:
        assert metrics_of(alerts()[name].expression) <= there, name


def test_each_alert_is_seen_to_fire_and_seen_not_to() -> None:
    assert {name for case in cases() for name in case.fires} == set(alerts())
    assert {name for case in cases() for name in case.near} == set(alerts())


def test_each_alert_has_a_page_and_no_page_is_left_over() -> None:
    check = HealthCheck(name="a", url="http://b")
    steps = [JourneyStep(name="a")]
    journey = Journey(name="a", base_url="http://b", steps=steps)
    of_checks = [*health_alerts(check), *journey_alerts(journey)]
    named = {*alerts(), *(each.name for each in of_checks)}
    assert {path.stem for path in PAGES.glob("[A-Z]*.md")} - {"README"} == named
    for path in PAGES.glob("[A-Z]*.md"):
        if path.stem != "README":
            assert path.read_text().startswith(f"# {path.stem}\n"), path


def test_prometheus_takes_every_pack_and_has_nothing_against_it(
    promtool: Promtool, tmp_path: Path
) -> None:
    extreme = {
        "runbookUrl": "https://wiki.example/a'b/",
        "node": {"diskFullWithin": "1h30m", "cpuPercent": 99.95},
        "watchdog": {"downFor": "1m", "silentWithin": "2h", "scrapeSeconds": 0.001},
        "database": {"statementSeconds": 0.25},
    }
    for packs in ({}, extreme):
        text = render_packs(stack(packs=packs), around())
        assert text
        path = tmp_path / "rules.yml"
        path.write_text(text)
        said = promtool("check", "rules", path)
        assert said.returncode == 0, said.stderr
        assert f"{len(alerts()) + len(throughput_rules())} rules found" in said.stdout


def test_the_rules_are_those_that_were_looked_at(check_golden: Callable[[Path, str], None]) -> None:
    text = render_packs(stack(), around())
    assert text
    check_golden(CASES / "packs.rules.golden", text)


def test_a_pack_runs_where_there_is_what_it_speaks_of() -> None:
    def why(spec: dict[str, Any], seen: frozenset[str] = SEEN) -> dict[str, str]:
        wanted = Stack("mon", "main", "u", MonitoringStackSpec.model_validate(spec))
        return {pack.name: pack.why_not for pack in choose_packs(wanted, around(seen))}

    assert set(why(EVERYTHING)) == {name for name in Packs.model_fields if name != "runbook_url"}
    assert set(why(EVERYTHING).values()) == {""}
    bare = why({"metrics": {}, "packs": {"watchdog": {"enabled": False}}}, frozenset())
    assert bare["prometheus"] == ""
    assert bare["watchdog"] == "it is turned off"
    assert bare["node"] == "it needs exporters.node"
    assert bare["database"] == "it needs exporters.postgres"
    assert "clusterStacks.namespaces" in bare["kubernetes"]
    assert bare["api"].startswith("freeagentics_requests_total has not been seen yet")
    assert bare["alertmanager"] == "it needs alerting"
    assert bare["grafana"] == "it needs visualization"
    assert bare["firewatch"].startswith("firewatch_leading has not been seen yet")
    assert why({"metrics": {}}) == {}
    fenced = choose_packs(stack(), around(namespaces=()))
    assert next(pack for pack in fenced if pack.name == "kubernetes").why_not

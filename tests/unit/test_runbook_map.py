"""The map covers the runbook, no more and no less, and names nothing that does not exist."""

import ast
import importlib
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import promql_parser
import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import ValidationError

from firewatch.guide import Entry, RunbookMap, Way, parse_map, render_runbook
from firewatch.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OBJECTIVES = "Monitoring Objectives"


@dataclass
class Runbook:
    """What the runbook asks for: ids and the section where each stands first."""

    scripts: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    checklist: dict[str, str] = field(default_factory=dict)
    objectives: dict[str, str] = field(default_factory=dict)
    sections: list[str] = field(default_factory=list)


def parse_runbook(text: str) -> Runbook:
    runbook = Runbook()
    headings: list[str] = []
    objectives = False
    level = 0
    for token in MarkdownIt().parse(text):
        section = " / ".join(headings[1:3])
        if token.type == "heading_open":
            level = int(token.tag[1])
        elif token.type == "inline" and level:
            headings[level - 1 :] = [re.sub(r"^\d+\. ", "", token.content)]
            runbook.sections.append(" / ".join(headings[1:3]))
            level = 0
        elif token.type == "inline" and token.content.startswith("[ ] "):
            runbook.checklist[token.content.removeprefix("[ ] ")] = section
        elif token.type == "inline" and token.content == f"**{OBJECTIVES}:**":
            objectives = True
            runbook.sections.append(OBJECTIVES)
        elif token.type == "inline" and objectives:
            runbook.objectives[token.content.replace("**", "")] = OBJECTIVES
        elif token.type == "fence":
            _read_block(runbook, token, headings[-1], section)
    return runbook


def _read_block(runbook: Runbook, token: Token, heading: str, section: str) -> None:
    if token.info == "bash":
        for script in _scripts(token.content):
            runbook.scripts.setdefault(script, section)
        expressions = _expressions(token.content)
    else:
        assert heading not in runbook.blocks
        runbook.blocks[heading] = section
        expressions = _metric_sources(heading, token)
    for expression in expressions:
        for name in _metric_names(expression):
            runbook.metrics.setdefault(name, section)


def _scripts(shell: str) -> Iterator[str]:
    for line in shell.splitlines():
        if line.startswith("./"):
            yield PurePosixPath(shlex.split(line)[0]).name


def _expressions(shell: str) -> Iterator[str]:
    """Yield the PromQL that stands between scripts and comments, some of it over several lines."""
    lines = ""
    for line in shell.splitlines():
        if line.startswith(("#", "./")) or not (line or lines):
            assert not lines, f"not PromQL: {lines}"
            continue
        lines += f"{line}\n"
        if _parses(lines):
            yield lines
            lines = ""
    assert not lines, f"not PromQL: {lines}"


def _parses(expression: str) -> bool:
    try:
        promql_parser.parse(expression)
    except ValueError:
        return False
    return True


def _metric_sources(heading: str, token: Token) -> Iterator[str]:
    if token.info == "python":
        for node in ast.walk(ast.parse(token.content)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in FAMILY_TYPES:
                yield ast.literal_eval(node.args[0])
    elif heading == "Alert Rules":
        for group in yaml.safe_load(token.content)["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
    elif token.info == "json":
        for panel in json.loads(token.content)["dashboard"]["panels"]:
            yield from (target["expr"] for target in panel["targets"])


FAMILY_TYPES = ("Counter", "Gauge", "Histogram")


def _metric_names(expression: str) -> list[str]:
    """Return the families that an expression reads, but for Prometheus' own ``up``."""
    names: list[str] = []

    def visit(node: promql_parser.Expr) -> None:
        selector = getattr(node, "vector_selector", node)
        if isinstance(selector, promql_parser.VectorSelector) and selector.name:
            names.append(selector.name.removesuffix("_bucket"))

    promql_parser.walk(promql_parser.parse(expression), visit)
    assert names, expression
    return [name for name in names if name != "up"]


def _map() -> RunbookMap:
    return parse_map((DOCS / "runbook-map.yaml").read_text(encoding="utf-8"))


@cache
def _runbook() -> Runbook:
    return parse_runbook((DOCS / "reference" / "runbook.md").read_text(encoding="utf-8"))


SORTS = {"scripts": 64, "blocks": 10, "metrics": 47, "checklist": 20, "objectives": 3}


@pytest.mark.parametrize("sort", SORTS)
def test_map_has_every_entry_of_the_runbook_with_its_section_and_no_other(sort: str) -> None:
    wanted: dict[str, str] = getattr(_runbook(), sort)
    entries: list[Entry] = getattr(_map(), sort)
    assert len(wanted) == SORTS[sort]
    assert [(entry.id, entry.section) for entry in entries] == list(wanted.items())


def test_sections_stand_in_the_order_of_the_runbook() -> None:
    runbook = _map()
    used = {entry.section for _, entry in runbook.entries()}
    assert runbook.sections == [name for name in dict.fromkeys(_runbook().sections) if name in used]


# What exists ------------------------------------------------------------------------------------


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    crds = [
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "crds").glob("*.yaml")
    ]
    return {
        crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for crd in crds
    }


def _has_field(value: str) -> bool:
    kind, *path = value.split(".")
    schema = _schemas().get(kind, {})
    for name in path:
        while "items" in schema:
            schema = schema["items"]
        if name not in schema.get("properties", {}):
            return False
        schema = schema["properties"][name]
    return kind in _schemas()


def _has_command(value: str) -> bool:
    """Look the command up in ``firewatch.runbook.COMMANDS``; the program comes with part 2."""
    words = value.partition(" --")[0]
    if find_spec("firewatch.runbook") is None:
        return False
    return words in importlib.import_module("firewatch.runbook").COMMANDS


def _has_target(value: str) -> bool:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = re.findall(r"^([a-z][a-z -]*):(?!=)", makefile, re.MULTILINE)
    return any(value in rule.split() for rule in rules)


def _has_metric(value: str) -> bool:
    families = (
        family.name + "_total" * (family.type == "counter")
        for family in Metrics().registry.collect()
    )
    return value in families


def _has_dashboard(value: str) -> bool:
    files = (ROOT / "operator").rglob("dashboards/*.json")
    return any(json.loads(path.read_text(encoding="utf-8"))["title"] == value for path in files)


EXISTS: dict[Way, Callable[[str], bool]] = {
    Way.FIELD: _has_field,
    Way.COMMAND: _has_command,
    Way.MAKE: _has_target,
    Way.METRIC: _has_metric,
    Way.DASHBOARD: _has_dashboard,
}


def _entries() -> list[Entry]:
    return [entry for _, entry in _map().entries()]


@pytest.mark.parametrize(
    "entry", [entry for entry in _entries() if not entry.planned], ids=lambda entry: entry.id
)
def test_what_the_map_names_exists(entry: Entry) -> None:
    ((way, value),) = entry.means()
    assert EXISTS[way](value), f"{entry.id}: there is no {way} {value}"


def test_what_is_planned_does_not_exist_yet() -> None:
    planned = [pair for entry in _entries() if entry.planned for pair in entry.planned.means()]
    assert [value for way, value in planned if EXISTS[way](value)] == []


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (Way.FIELD, "MonitoringStack.spec.exporters.nodes"),
        (Way.FIELD, "MonitoringStack.spec.metrics.scrapeJobs.name.first"),
        (Way.FIELD, "NoSuchKind.spec"),
        (Way.COMMAND, "firewatch no-such-command"),
        (Way.MAKE, "no-such-target"),
        (Way.METRIC, "firewatch_no_such_total"),
        (Way.DASHBOARD, "No such dashboard"),
    ],
)
def test_a_name_that_does_not_exist_is_found_out(way: Way, value: str) -> None:
    assert not EXISTS[way](value)


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (Way.FIELD, "MonitoringStack.spec.metrics.scrapeJobs.interval"),
        (Way.FIELD, "AutoResponse.spec"),
        (Way.MAKE, "test"),
        (Way.MAKE, "cluster-up"),
        (Way.METRIC, "firewatch_api_writes_total"),
        (Way.METRIC, "firewatch_response_latency_seconds"),
    ],
)
def test_a_name_that_exists_is_found(way: Way, value: str) -> None:
    assert EXISTS[way](value)


# The map's own form, and the page ---------------------------------------------------------------

SMALL = """
sections: [First / One, First / Two, Last]
scripts:
  - {id: a.sh, section: First / One, field: MonitoringStack.spec}
  - {id: b.sh, section: First / One, field: MonitoringStack.spec}
  - {id: c.sh, section: First / Two, planned: {part: 2, make: target}, note: a | b}
blocks: []
metrics: []
checklist: []
objectives:
  - {id: "Latency: < 1 s", section: Last, planned: {part: 5, dashboard: Latency}}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("field: MonitoringStack.spec}", "make: a, command: firewatch b}", "exactly one"),
        (", field: MonitoringStack.spec}", "}", "exactly one"),
        ("{part: 2, make: target}", "{part: 2}", "exactly one"),
        ("{part: 2, make: target}", "2", "planned"),
        ("part: 2", "part: 9", "part"),
        ("field: MonitoringStack.spec}", "field: spec.metrics}", "pattern"),
        ("field: MonitoringStack.spec}", "fields: MonitoringStack.spec}", "fields"),
        ("section: Last", "section: Lost", "not one of the sections"),
        ("blocks: []", "", "blocks"),
    ],
)
def test_a_faulty_map_is_refused(old: str, new: str, message: str) -> None:
    assert old in SMALL
    with pytest.raises(ValidationError, match=message):
        parse_map(SMALL.replace(old, new, 1))


def test_page_has_a_table_for_each_section_and_joins_neighbours() -> None:
    page = render_runbook(parse_map(SMALL))
    assert "| 3 scripts | 2 | 1 |" in page
    assert (
        page.partition("## First")[2]
        == """

### One

| In the runbook | With Firewatch | State |
|---|---|---|
| scripts `a.sh`<br>`b.sh` | `MonitoringStack.spec` | works |

### Two

| In the runbook | With Firewatch | State |
|---|---|---|
| script `c.sh` | `make target`: a \\| b | part 2 |

## Last

| In the runbook | With Firewatch | State |
|---|---|---|
| objective Latency: &lt; 1 s | dashboard Latency | part 5 |
"""
    )


def test_committed_page_is_up_to_date() -> None:
    assert (DOCS / "runbook.md").read_text(encoding="utf-8") == render_runbook(_map())

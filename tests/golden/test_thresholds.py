"""Thresholds before Prometheus' own tool: each fires when its words say, and only then."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from firewatch.api.alerts import AlertPolicySpec
from firewatch.build.rules import policy_groups, render_rules
from firewatch.build.thresholds import build_threshold_rule
from firewatch.build.yaml_text import dump_yaml
from tests.golden import building
from tests.unit.test_examples import runbook_block

Promtool = Callable[..., subprocess.CompletedProcess[str]]
Series = dict[str, str]

NODE = 'job="node",instance="n1"'
API = 'job="api",instance="a1",method="GET",endpoint="/"'
AGENTS = 'job="agents",instance="g1"'
EXT4 = f'{NODE},device="/dev/sda1",fstype="ext4",mountpoint="/"'
TMPFS = f'{NODE},device="tmpfs",fstype="tmpfs",mountpoint="/run"'
ISO = f'{NODE},device="/dev/sr0",fstype="iso9660",mountpoint="/media"'
READ_ONLY = f'{NODE},device="/dev/sdb1",fstype="ext4",mountpoint="/usr"'

CPU, MEMORY, DISK = "HighCPUUsage", "HighMemoryUsage", "DiskSpaceLow"
ERRORS, FAILURES = "APIHighErrorRate", "AgentCoordinationFailures"


def idle(share: float, cpus: int = 2) -> Series:
    """Return the idle seconds of a node, sampled every 15 s."""
    return {
        f'node_cpu_seconds_total{{{NODE},cpu="{n}",mode="idle"}}': f"0+{15 * share:g}x80"
        for n in range(cpus)
    }


def memory(*, total: int = 100, available: int, free: int = 1) -> Series:
    names = {"MemTotal": total, "MemAvailable": available, "MemFree": free}
    return {f"node_memory_{n}_bytes{{{NODE}}}": f"{v}x80" for n, v in names.items()}


def disk(labels: str, *, avail: int, free: int | None = None, readonly: int = 0) -> Series:
    return {
        f"node_filesystem_size_bytes{{{labels}}}": "100x80",
        f"node_filesystem_free_bytes{{{labels}}}": f"{avail if free is None else free}x80",
        f"node_filesystem_avail_bytes{{{labels}}}": f"{avail}x80",
        f"node_filesystem_readonly{{{labels}}}": f"{readonly}x80",
    }


def requests(**rates: float) -> Series:
    """Return requests per second by status, as ``s200=9``."""
    return {
        f'freeagentics_requests_total{{{API},status="{status[1:]}"}}': f"0+{15 * rate:g}x80"
        for status, rate in rates.items()
    }


def attempts(*, failed: float | None = None, good: float | None = None) -> Series:
    rates = {"failures": failed, "success": good}
    return {
        f"freeagentics_agent_coordination_{name}_total{{{AGENTS}}}": f"0+{15 * rate:g}x80"
        for name, rate in rates.items()
        if rate is not None
    }


@dataclass(frozen=True)
class Case:
    says: str
    alert: str
    series: Series
    fires: bool
    runbook: bool
    """Whether the runbook's own expression fires."""


CASES = (
    Case("85 % busy", CPU, idle(0.15), fires=True, runbook=True),
    Case("75 % busy", CPU, idle(0.25), fires=False, runbook=False),
    Case("no data", CPU, {}, fires=False, runbook=False),
    Case("88 % in use", MEMORY, memory(available=12), fires=True, runbook=True),
    Case("the rest is cache", MEMORY, memory(available=60, free=1), fires=False, runbook=False),
    Case("10 % left", DISK, disk(EXT4, avail=10), fires=True, runbook=True),
    Case("20 % left", DISK, disk(EXT4, avail=20), fires=False, runbook=False),
    Case("only root has space", DISK, disk(EXT4, avail=12, free=17), fires=True, runbook=False),
    Case("a full tmpfs", DISK, disk(TMPFS, avail=0), fires=False, runbook=True),
    Case("a full image", DISK, disk(ISO, avail=0, readonly=1), fires=False, runbook=True),
    Case("read-only", DISK, disk(READ_ONLY, avail=5, readonly=1), fires=False, runbook=True),
    Case("1/s of 1000/s", ERRORS, requests(s200=999, s500=1), fires=False, runbook=True),
    Case("12 % of 10/s", ERRORS, requests(s200=8.8, s503=1.2), fires=True, runbook=True),
    Case("50 % of 0.18/s", ERRORS, requests(s200=0.09, s500=0.09), fires=True, runbook=False),
    Case(
        "11 %, three kinds",
        ERRORS,
        requests(s200=0.89, s500=0.06, s502=0.05),
        fires=True,
        runbook=False,
    ),
    Case("no traffic", ERRORS, requests(s200=0, s500=0), fires=False, runbook=False),
    Case("no errors ever", ERRORS, requests(s200=50), fires=False, runbook=False),
    Case("bad requests", ERRORS, requests(s200=1, s404=9), fires=False, runbook=False),
    Case("one at night", ERRORS, requests(s500=0.005), fires=False, runbook=False),
    Case("0.1/s of 100/s", FAILURES, attempts(failed=0.1, good=99.9), fires=False, runbook=True),
    Case("8 % of 0.5/s", FAILURES, attempts(failed=0.04, good=0.46), fires=True, runbook=False),
    Case("never succeeded", FAILURES, attempts(failed=0.5), fires=True, runbook=True),
    Case("never failed", FAILURES, attempts(good=5), fires=False, runbook=False),
    Case("no attempts", FAILURES, attempts(failed=0, good=0), fires=False, runbook=False),
)


def firing(promtool: Promtool, folder: Path, rules: str) -> set[str]:
    """Return the cases, as ``alert: words``, in which an alert of the rules fires."""
    (folder / "rules.yml").write_text(rules)
    tests = [
        {
            "interval": "15s",
            "name": f"{case.alert}: {case.says}",
            "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
            "alert_rule_test": [{"eval_time": "15m", "alertname": case.alert, "exp_alerts": []}],
        }
        for case in CASES
    ]
    path = folder / "tests.yml"
    path.write_text(
        dump_yaml({"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": tests})
    )
    said = promtool("test", "rules", path)
    # promtool names the tests in which something fires although nothing is expected.
    return set(re.findall(r"^    name: (.+?),?$", said.stdout + said.stderr, re.MULTILINE))


def cases(*, runbook: bool) -> set[str]:
    return {f"{c.alert}: {c.says}" for c in CASES if (c.runbook if runbook else c.fires)}


def test_thresholds_fire_when_their_words_say(promtool: Promtool, tmp_path: Path) -> None:
    rules = building.policy_rules("thresholds")
    assert firing(promtool, tmp_path, rules) == cases(runbook=False)


def test_the_runbooks_expressions_differ_where_the_docs_say(
    promtool: Promtool, tmp_path: Path
) -> None:
    text, _ = runbook_block("Alert Rules")
    assert firing(promtool, tmp_path, text) == cases(runbook=True)


def test_the_page_has_the_runbooks_expressions_and_ours() -> None:
    page = (building.EXAMPLES.parent / "docs/thresholds.md").read_text()
    _, runbook = runbook_block("Alert Rules")
    wanted = {rule["alert"]: rule["expr"] for rule in runbook["groups"][0]["rules"]}
    sections = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in sections if name in wanted] == [*wanted]
    for name, text in sections:
        if name in wanted:
            theirs, ours = re.findall(r"```promql\n(.*?)\n```", text, re.DOTALL)
            (short,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
            (threshold,) = AlertPolicySpec.model_validate(
                {"thresholds": yaml.safe_load(short)}
            ).thresholds
            rule = build_threshold_rule(threshold)
            assert (rule.alert, theirs, " ".join(ours.split())) == (name, wanted[name], rule.expr)


THRESHOLDS: tuple[Any, ...] = (
    {"signal": "cpu", "above": 99.5, "window": "2m", "match": {"instance": 'a"b\\c\n', "job": "n"}},
    {"signal": "disk", "below": 1e-05, "fileSystems": {"ignoreTypes": []}},
    {"signal": "disk", "below": 5, "fileSystems": {"mountPoints": ["/", "/a.b", "/(c|d)\\"]}},
    {"signal": "disk", "below": 5, "fileSystems": {"ignoreMountPoints": ['/"', "/var/[x]"]}},
    {"signal": "errorRate", "above": 0, "requests": {"minRate": 0, "by": []}},
    {"signal": "errorRate", "above": 1, "requests": {"errorPattern": '5..|"\\d+'}},
    {"signal": "failureRate", "above": 1, "outcomes": {"by": ["job", "instance"], "minRate": 1e-7}},
)


def test_whatever_is_written_prometheus_takes_it(promtool: Promtool, tmp_path: Path) -> None:
    groups = policy_groups(AlertPolicySpec.model_validate({"thresholds": THRESHOLDS}))
    path = tmp_path / "rules.yml"
    path.write_text(render_rules(groups, ()))
    said = promtool("check", "rules", "--lint=none", path)
    assert said.returncode == 0, said.stderr
    assert f"{len(THRESHOLDS)} rules found" in said.stdout


@pytest.mark.parametrize("mount", ["/a.b", "/(c|d)\\"])
def test_a_mount_point_means_itself(promtool: Promtool, tmp_path: Path, mount: str) -> None:
    """A dot in a name is a dot, not any character."""
    spec = {
        "thresholds": [{"signal": "disk", "below": 15, "fileSystems": {"mountPoints": [mount]}}]
    }
    (tmp_path / "rules.yml").write_text(
        render_rules(policy_groups(AlertPolicySpec.model_validate(spec)), ())
    )
    series: Series = {}
    for path in (mount, "/axb", "/c"):
        quoted = path.replace("\\", "\\\\")
        series |= disk(f'{NODE},fstype="ext4",mountpoint="{quoted}"', avail=1)
    query = {
        "expr": "count(ALERTS)",
        "eval_time": "15m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    test = {
        "interval": "15s",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "promql_expr_test": [query],
    }
    file = tmp_path / "tests.yml"
    file.write_text(dump_yaml({"rule_files": ["rules.yml"], "tests": [test]}))
    said = promtool("test", "rules", file)
    assert said.returncode == 0, said.stderr + said.stdout

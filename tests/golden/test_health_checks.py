"""Health checks: what a real blackbox exporter makes of them, and when their alerts fire."""

import json
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from e2e.cluster.programs import program
from e2e.cluster.progress import SilentProgress
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.blackbox_config import SECRETS_DIRECTORY, render_blackbox_config
from firewatch.build.health_rules import render_health_rules
from firewatch.build.objects import Stack
from firewatch.build.yaml_text import dump_yaml
from tests.golden.test_real_packs import serving
from tests.golden.test_real_prometheus import free_port, until

Promtool = Callable[..., subprocess.CompletedProcess[str]]

KEY = "opensesame"
_PARTS = {"checks": [{"data-base": True, "n": 3, "f": -2.5, "t": "3"}], "gone": None}
ANSWERS = {
    "/good": json.dumps({"status": "ok", **_PARTS}),
    "/sick": json.dumps({"status": "ill", **_PARTS}),
    "/other": json.dumps(["status"]),
    "/text": "status: ok",
}
PARTS = [
    {"path": "status", "equals": "ok"},
    {"path": "checks[0].data-base", "equals": "true"},
    {"path": "checks[0].n", "equals": "3"},
    {"path": "checks[0].f", "equals": "-2.5"},
    {"path": "checks[0].t", "equals": "3"},
    {"path": "gone", "equals": "null"},
]


def stack(*checks: dict[str, Any]) -> Stack:
    spec = {
        "metrics": {},
        "exporters": {"blackbox": {}},
        "synthetic": {"healthChecks": [*checks]},
    }
    return Stack("shop", "main", "u", MonitoringStackSpec.model_validate(spec))


async def _answer(request: web.Request) -> web.Response:
    if request.path == "/guarded":
        return web.Response(status=200 if request.headers.get("X-Key") == KEY else 401)
    return web.Response(text=ANSWERS[request.path])


@pytest_asyncio.fixture(scope="module")
async def api() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{tail:.*}", _answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module")
async def ask(
    api: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[..., Any]]:
    """Run the exporter with all checks; return what has it ask one of them."""
    folder = tmp_path_factory.mktemp("health")
    (folder / "secrets" / "api").mkdir(parents=True)
    (folder / "secrets" / "api" / "key").write_text(f"{KEY}\n")
    json_parts = {"failIfBodyJsonNotMatches": PARTS}
    headers = {"secretHeaders": {"X-Key": {"name": "api", "key": "key"}}}
    found = stack(
        {"name": "plain", "url": f"{api}/good"},
        {"name": "json", "url": f"{api}/good", "http": json_parts},
        {"name": "regexp", "url": api, "http": {"failIfBodyNotMatchesRegexp": ['"ok"']}},
        {"name": "guarded", "url": f"{api}/guarded", "http": headers},
        {"name": "status", "url": api, "http": {"validStatusCodes": [404]}},
    )
    exporter = found.spec.exporters.blackbox
    assert exporter
    text = render_blackbox_config(exporter, found.spec.synthetic.health_checks)
    assert KEY not in text
    path = folder / "blackbox.yml"
    path.write_text(text.replace(SECRETS_DIRECTORY, str(folder / "secrets")))
    port = free_port()
    blackbox = program("blackbox_exporter", SilentProgress())
    flags = (f"--config.file={path}", f"--web.listen-address=127.0.0.1:{port}")
    async with serving(folder, blackbox, *flags), aiohttp.ClientSession() as session:

        async def asked(check: str, path: str) -> dict[str, float]:
            parameters = {"module": f"health-{check}", "target": f"{api}{path}"}
            url = f"http://127.0.0.1:{port}/probe"
            async with session.get(url, params=parameters) as answer:
                lines = re.findall(r"^(probe_\w+) (\S+)$", await answer.text(), re.MULTILINE)
            return {name: float(value) for name, value in lines}

        async def is_there() -> bool:
            try:
                return bool(await asked("plain", "/good"))
            except aiohttp.ClientConnectorError:
                return False

        await until(is_there, seconds=20)
        yield asked


@pytest.mark.parametrize(
    ("check", "path", "succeeds"),
    [
        ("plain", "/sick", True),
        ("json", "/good", True),
        ("json", "/sick", False),
        ("json", "/other", False),
        ("json", "/text", False),
        ("regexp", "/good", True),
        ("regexp", "/sick", False),
        ("guarded", "/guarded", True),
        ("plain", "/guarded", False),
        ("status", "/good", False),
    ],
)
async def test_what_counts_as_healthy(
    ask: Callable[..., Any], check: str, path: str, *, succeeds: bool
) -> None:
    found = await ask(check, path)
    assert found["probe_success"] == succeeds
    if check in {"json", "regexp"} and not succeeds:
        assert found["probe_failed_due_to_regex"] or found["probe_failed_due_to_cel"]


CHECK = {
    "name": "api",
    "url": "https://api",
    "slowAbove": "500ms",
    "certificateDays": 14,
    "labels": {"team": "shop"},
}
SERIES = '{job="health",probe="api",instance="https://api"}'


@dataclass(frozen=True)
class Case:
    """What was seen within an hour, and what fires at its end."""

    success: str
    seconds: str
    days: int
    """Days until the certificate ends."""
    fires: tuple[str, ...] = ()


@pytest.mark.parametrize(
    "case",
    [
        Case("1x60", "0.1x60", 90),
        Case("1x10 0x50", "0.1x60", 90, ("ErrorBudgetBurn", "HealthCheckFailing")),
        Case("1x60", "0.8x60", 90, ("HealthCheckSlow",)),
        Case("1x60", "0.1x60", 10, ("HealthCheckCertificateEnds",)),
        Case("1x60", "0.45x60", 15),
    ],
    ids=["all is well", "it fails", "it is slow", "its certificate ends", "almost"],
)
def test_alerts_fire_when_they_should(promtool: Promtool, tmp_path: Path, case: Case) -> None:
    text = render_health_rules(stack(CHECK))
    assert text
    (tmp_path / "rules.yml").write_text(text)
    checked = promtool("check", "rules", tmp_path / "rules.yml")
    assert checked.returncode == 0, checked.stderr
    series = {
        f"probe_success{SERIES}": case.success,
        f"probe_duration_seconds{SERIES}": case.seconds,
        f"probe_ssl_earliest_cert_expiry{SERIES}": f"{case.days * 86_400 + 3600}x60",
    }
    query = 'group by (alertname) (ALERTS{alertstate="firing"})'
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in case.fires]
    test = {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "60m", "exp_samples": expected}],
    }
    content = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "tests.yml").write_text(dump_yaml(content))
    said = promtool("test", "rules", tmp_path / "tests.yml")
    assert said.returncode == 0, said.stderr + said.stdout


def test_an_objective_cannot_be_taken_for_that_of_a_policy() -> None:
    text = render_health_rules(stack(CHECK))
    assert text
    groups = yaml.safe_load(text)["groups"]
    owners = {rule["labels"].get("slo_policy") for group in groups[1:] for rule in group["rules"]}
    assert owners == {"shop/main/health"}

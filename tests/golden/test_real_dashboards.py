"""Every query of the dashboards that come with Firewatch, asked of a real Prometheus.

It scrapes the example application, a node exporter, an Alertmanager, a blackbox exporter, itself, and what a
cluster, a PostgreSQL and an operator of this release have told (``recorded``, see its README).
"""

import json
import math
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from e2e.cluster import binaries
from e2e.cluster.programs import program
from e2e.cluster.progress import SilentProgress
from examples.app.freeagentics_demo.server import serve
from firewatch.build.grafana.bundled import BUNDLED, read_bundled
from firewatch.build.packs.choose import render_packs
from firewatch.build.postgres_exporter import render_postgres_rules
from firewatch.cluster.prometheus import Prometheus
from tests.golden import building
from tests.golden.test_packs import around, stack
from tests.golden.test_real_packs import serving
from tests.golden.test_real_prometheus import free_port, until

RECORDED = Path(__file__).parent / "recorded"
RUNBOOK = Path(__file__).parents[2] / "docs" / "reference" / "runbook.md"
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")
_RATE_INTERVAL = "20s"
_ERRORS = 0.1


@dataclass(frozen=True)
class Asked:
    """A query of a panel."""

    board: str
    panel: str
    expression: str
    empty: str
    """Why it may find nothing; empty if it may not."""


def queries() -> Iterator[Asked]:
    for uid in BUNDLED:
        for panel in json.loads(read_bundled(uid))["panels"]:
            for target in panel.get("targets", ()):
                empty = panel["fieldConfig"]["defaults"].get("noValue", "")
                yield Asked(uid, panel["title"], _filled(target["expr"]), empty)


def _filled(expression: str) -> str:
    """Return a query as Grafana asks it where all is chosen."""
    return _VARIABLE.sub(".+", expression.replace("$__rate_interval", _RATE_INTERVAL))


async def _recorded(request: web.Request) -> web.Response:
    return web.Response(text=(RECORDED / f"{request.match_info['name']}.txt").read_text())


def _job(name: str, address: str, **fields: Any) -> Any:
    return {"job_name": name, "static_configs": [{"targets": [address]}], **fields}


def _configuration(port: int, ports: dict[str, int], folder: Path) -> str:
    def at(name: str) -> str:
        return f"127.0.0.1:{ports[name]}"

    told = {
        name: _job(name, at("recorded"), metrics_path=f"/{name}", honor_labels=True)
        for name in ("kube-state-metrics", "cadvisor", "firewatch")
    }
    probe = _job(
        "blackbox",
        at("blackbox"),
        metrics_path="/probe",
        params={"target": [f"http://{at('api')}/healthz"], "module": ["http_2xx"]},
        relabel_configs=[{"target_label": "probe", "replacement": "api"}],
    )
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{folder}/rules/*.yml"],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [at("alertmanager")]}]}]
            },
            "scrape_configs": [
                _job("prometheus", f"127.0.0.1:{port}"),
                _job("freeagentics-api", at("api")),
                _job("node", at("node")),
                _job("alertmanager", at("alertmanager")),
                _job("postgres", at("recorded"), metrics_path="/postgres"),
                *told.values(),
                probe,
            ],
        }
    )


def _rules(folder: Path) -> None:
    """Write what the operator has Prometheus evaluate: packs, objectives, the runbook's names."""
    found = stack()
    texts = {
        "packs": render_packs(found, around()),
        "postgres": render_postgres_rules(found.spec.exporters.postgres),
        "slos": building.policy_rules("slos"),
        "fires": json.dumps(
            {"groups": [{"name": "f", "rules": [{"alert": "Fires", "expr": "vector(1)"}]}]}
        ),
    }
    (folder / "rules").mkdir()
    for name, text in texts.items():
        assert text
        # Objectives over weeks are looked at every few minutes.
        (folder / "rules" / f"{name}.yml").write_text(
            re.sub(r"interval: \S+", "interval: 1s", text)
        )


@pytest_asyncio.fixture(scope="module")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    folder = tmp_path_factory.mktemp("dashboards")
    ports = {name: free_port() for name in ("node", "alertmanager", "blackbox", "recorded")}
    port = free_port()

    def folder_of(name: str) -> Path:
        found = folder / name
        found.mkdir()
        return found

    def listen(name: str) -> str:
        return f"--web.listen-address=127.0.0.1:{ports[name]}"

    progress = SilentProgress()
    built = binaries.ensure(["prometheus", "node_exporter"], progress)
    (folder / "alertmanager.yml").write_text("route: {receiver: a}\nreceivers: [{name: a}]\n")
    blackbox = {"modules": {"http_2xx": {"prober": "http", "timeout": "2s"}}}
    (folder / "blackbox.yml").write_text(yaml.safe_dump(blackbox))
    _rules(folder)
    async with AsyncExitStack() as running:
        enter = running.enter_async_context
        app = web.Application()
        app.router.add_get("/{name}", _recorded)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        running.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", ports["recorded"]).start()
        example = await enter(
            serve("api", host="127.0.0.1", port=0, traffic_seconds=0.005, error_ratio=_ERRORS)
        )
        ports["api"] = example.port
        await enter(serving(folder_of("node"), built / "node_exporter", listen("node")))
        await enter(
            serving(
                folder_of("alertmanager"),
                program("alertmanager", progress),
                f"--config.file={folder / 'alertmanager.yml'}",
                "--cluster.listen-address=",
                listen("alertmanager"),
            )
        )
        await enter(
            serving(
                folder_of("blackbox"),
                program("blackbox_exporter", progress),
                f"--config.file={folder / 'blackbox.yml'}",
                listen("blackbox"),
            )
        )
        (folder / "prometheus.yml").write_text(_configuration(port, ports, folder))
        await enter(
            serving(
                folder_of("prometheus"),
                built / "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            )
        )
        session = await enter(aiohttp.ClientSession())
        api = Prometheus(session, f"http://127.0.0.1:{port}")
        await until(api.version, seconds=60)
        await until(lambda: _all_up(api), seconds=60)
        yield api


async def _all_up(api: Prometheus) -> bool:
    up = await api.by_label("up", "job")
    return len(up) == 9 and all(up.values())


async def _finds(api: Prometheus, asked: Asked) -> bool:
    return any(not math.isnan(value) for _, value in await api.samples(asked.expression))


async def test_every_query_finds_something(prometheus: Prometheus) -> None:
    waiting = [asked for asked in queries() if not asked.empty]
    assert len(waiting) > 100

    async def all_found() -> bool:
        nonlocal waiting
        waiting = [asked for asked in waiting if not await _finds(prometheus, asked)]
        return not waiting

    try:
        await until(all_found, seconds=90)
    except AssertionError:
        raise AssertionError("\n".join(map(str, waiting))) from None


async def test_what_may_find_nothing_is_understood_all_the_same(prometheus: Prometheus) -> None:
    for asked in queries():
        if asked.empty:
            await prometheus.check(asked.expression)


async def test_the_error_ratio_is_that_of_the_requests(prometheus: Prometheus) -> None:
    """The runbook divides each series by itself, which is 1 whatever happens."""
    panels = {("firewatch-api", "Error ratio"), ("firewatch-overview", "Errors of the API")}
    ratios = [asked for asked in queries() if (asked.board, asked.panel) in panels]
    assert len(ratios) == len(panels)

    async def is_settled() -> bool:
        requests = f"sum(increase(freeagentics_requests_total[{_RATE_INTERVAL}]))"
        return (await prometheus.value(requests) or 0) > 500

    await until(is_settled, seconds=60)
    for asked in ratios:
        assert await prometheus.value(asked.expression) == pytest.approx(_ERRORS, abs=0.02)
    theirs = 'rate(freeagentics_requests_total{status=~"5.."}[5m]) / rate(freeagentics_requests_total[5m])'
    assert {value for _, value in await prometheus.samples(theirs)} == {1.0}


def runbook_names() -> set[str]:
    """Return the names of metrics in the runbook's chapter on their collection."""
    text = RUNBOOK.read_text(encoding="utf-8")
    chapter = text[text.index("## Metrics Collection\n\n") : text.index("## Alert Management\n\n")]
    names = re.findall(r"^((?:node|container|pg|freeagentics)_\w+)", chapter, re.MULTILINE)
    declared = re.findall(r"'(freeagentics_\w+)'", chapter)
    return {*names, *declared}


async def test_every_name_of_the_runbook_answers(prometheus: Prometheus) -> None:
    wanted = runbook_names()
    assert len(wanted) > 40
    # A histogram answers by the names of its parts.
    query = 'count by (__name__) ({__name__=~"(node|container|pg|freeagentics)_.+"})'

    async def all_there() -> bool:
        found = {
            name.removesuffix("_bucket") for name in await prometheus.by_label(query, "__name__")
        }
        missing.clear()
        missing.update(wanted - found)
        return not missing

    missing: set[str] = set()
    try:
        await until(all_there, seconds=60)
    except AssertionError:
        raise AssertionError(sorted(missing)) from None

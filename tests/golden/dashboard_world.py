"""A real Prometheus with all that the dashboards that come with Firewatch ask about.

It scrapes the example application, a journey through it, what a page of it tells, a node exporter, an
Alertmanager, a blackbox exporter, itself, and what a cluster, a PostgreSQL and an operator of this release have told
(``recorded``, see its README).
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from e2e.cluster import binaries
from e2e.cluster.programs import program
from e2e.cluster.progress import SilentProgress
from examples.app.freeagentics_demo.server import serve
from firewatch.build.packs.choose import render_packs
from firewatch.build.postgres_exporter import render_postgres_rules
from firewatch.cluster.prometheus import Prometheus
from tests.golden import building
from tests.golden.test_packs import around, stack
from tests.golden.test_real_packs import serving
from tests.golden.test_real_prometheus import free_port, until

RECORDED = Path(__file__).parent / "recorded"
_OPERATOR = Path(__file__).parents[2] / "operator"
_PYTHON = ("env", f"PYTHONPATH={_OPERATOR}", sys.executable, "-m")
"""Runs a module of the operator's image, from whatever folder."""


_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(.*) (\S+)$", re.MULTILINE)
_COUNTED = re.compile(r"^# TYPE (\S+) (?:counter|histogram|summary)$", re.MULTILINE)
_RECORDED_SECONDS = 3600.0
"""What was counted goes on as if it had been counted within so long."""


class Recording:
    """What programs have told, and would go on to tell: counters grow as they have."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    async def tell(self, request: web.Request) -> web.Response:
        """Answer a scrape."""
        text = (RECORDED / f"{request.match_info['name']}.txt").read_text()
        counted = {*_COUNTED.findall(text)}
        growth = 1 + (time.monotonic() - self._begun) / _RECORDED_SECONDS

        def grown(match: re.Match[str]) -> str:
            family = re.sub(r"_(bucket|sum|count)$", "", match[1])
            factor = growth if {match[1], family} & counted else 1
            return f"{match[1]}{match[2]} {float(match[3]) * factor:.17g}"

        return web.Response(text=_SAMPLE.sub(grown, text))


async def _take(_: web.Request) -> web.Response:
    """Take a message of Alertmanager's."""
    return web.Response()


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
                _job("journeys", at("journeys")),
                _job("rum", at("rum-metrics")),
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


@asynccontextmanager
async def running_world(
    folder: Path, *, error_ratio: float, pause: float = 0.005
) -> AsyncIterator[Prometheus]:
    """Run everything that dashboards ask about, below a folder, and a Prometheus that scrapes it."""
    programs = ("node", "alertmanager", "blackbox", "recorded", "journeys", "rum", "rum-metrics")
    ports = {name: free_port() for name in programs}
    port = free_port()

    def folder_of(name: str) -> Path:
        found = folder / name
        found.mkdir()
        return found

    def listen(name: str) -> str:
        return f"--web.listen-address=127.0.0.1:{ports[name]}"

    progress = SilentProgress()
    built = binaries.ensure(["prometheus", "node_exporter"], progress)
    hook = f"http://127.0.0.1:{ports['recorded']}/message"
    route = {"receiver": "a", "group_wait": "1s", "group_interval": "5s", "repeat_interval": "5s"}
    told = [{"name": "a", "webhook_configs": [{"url": hook}]}]
    (folder / "alertmanager.yml").write_text(yaml.safe_dump({"route": route, "receivers": told}))
    blackbox = {"modules": {"http_2xx": {"prober": "http", "timeout": "2s"}}}
    (folder / "blackbox.yml").write_text(yaml.safe_dump(blackbox))
    _rules(folder)
    async with AsyncExitStack() as running:
        enter = running.enter_async_context
        app = web.Application()
        recording = Recording()
        app.router.add_get("/{name}", recording.tell)
        app.router.add_post("/message", _take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        running.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", ports["recorded"]).start()
        example = await enter(
            serve("api", host="127.0.0.1", port=0, traffic_seconds=pause, error_ratio=error_ratio)
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
        await enter(_journeys(folder_of("journeys"), ports))
        await enter(_real_users(folder_of("rum"), ports))
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
    return len(up) == 11 and all(up.values())


def _journeys(folder: Path, ports: dict[str, int]) -> AbstractAsyncContextManager[None]:
    """Have the runner take a journey through the application."""
    steps = [{"name": "agents", "path": "/agents"}, {"name": "state"}]
    journey = {"name": "look", "baseUrl": f"http://127.0.0.1:{ports['api']}", "steps": steps}
    (folder / "journeys.json").write_text(json.dumps([{**journey, "interval": "1s"}]))
    module = (*_PYTHON, "firewatch.journeys")
    files = (f"--config={folder / 'journeys.json'}", f"--files={folder}")
    return serving(folder, *module, *files, f"--port={ports['journeys']}")


@asynccontextmanager
async def _real_users(folder: Path, ports: dict[str, int]) -> AsyncIterator[None]:
    """Have a page be loaded, used and told of, again and again."""
    (folder / "key").write_text("key")
    (folder / "rum.json").write_text(json.dumps(_USERS))
    module = (*_PYTHON, "firewatch.rum")
    files = (f"--config={folder / 'rum.json'}", f"--key={folder / 'key'}")
    listening = (f"--port={ports['rum']}", f"--metrics-port={ports['rum-metrics']}")
    async with (
        serving(folder, *module, *files, *listening),
        aiohttp.ClientSession(f"http://127.0.0.1:{ports['rum']}") as session,
    ):
        telling = asyncio.create_task(_tell(session))
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait([telling])


async def _tell(session: aiohttp.ClientSession) -> None:
    """Send what a page does, several times a second."""
    vitals: dict[str, float] = {"LCP": 1800, "FCP": 900, "TTFB": 200, "INP": 80, "CLS": 0.05}
    events: list[dict[str, Any]] = [
        {"name": "page_load", "duration": 2100},
        *({"name": "web_vital", "metric": name, "value": value} for name, value in vitals.items()),
        {"name": "user_interaction", "target": "BUTTON"},
        {"name": "error"},
        {"name": "checkout", "duration": 300},
        {"name": "unknown"},
    ]
    identity = {"apiKey": "key", "serviceName": "web", "environment": "production"}
    body = {**identity, "events": [{**each, "page": "/agents/7"} for each in events]}
    while True:
        with suppress(aiohttp.ClientConnectionError):  # until it listens
            async with session.post("/v1/events", json=body, headers={"Origin": "http://page"}):
                pass
        await asyncio.sleep(0.3)


_USERS = {
    "apiKey": {"name": "rum", "key": "key"},
    "origins": ["http://page"],
    "serviceNames": ["web"],
    "pages": ["/agents/:id"],
    "events": ["checkout"],
}

"""Real Prometheus servers that scrape and send on as a stack says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from e2e.cluster import binaries
from e2e.cluster.progress import SilentProgress
from firewatch.api.stack import JobStatus, MonitoringStackSpec
from firewatch.build.objects import Stack
from firewatch.build.scrape import render_prometheus_config
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.prometheus import Prometheus
from firewatch.reconcile.servers import Server, Servers
from firewatch.reconcile.sizes import gather_limits
from tests.golden.test_real_prometheus import ETC, free_port, until

TOKEN = "a token"


@asynccontextmanager
async def running(folder: Path, *arguments: str, **metrics: Any) -> AsyncIterator[Prometheus]:
    """Run a Prometheus with what is built for these metrics."""
    spec = MonitoringStackSpec.model_validate({"metrics": {"scrapeInterval": "200ms", **metrics}})
    assert spec.metrics
    stack = Stack("shop", "main", "u", spec)
    text = render_prometheus_config(stack, spec.metrics, Surroundings("127.0.0.1:1"))
    (folder / "rules").mkdir(parents=True)
    (folder / "config").mkdir()
    path = folder / "config" / "prometheus.yml"
    port = free_port()
    path.write_text(text.replace(ETC, str(folder)).replace("localhost:9090", f"localhost:{port}"))
    program = binaries.ensure(["prometheus"], SilentProgress()) / "prometheus"
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            *arguments,
            stdout=log,
            stderr=log,
        )
        try:
            async with aiohttp.ClientSession() as session:
                api = Prometheus(session, f"http://127.0.0.1:{port}")
                await until(api.version, seconds=60)
                yield api
        finally:
            process.terminate()
            await process.wait()


async def series(request: web.Request) -> web.Response:
    count = int(request.match_info["count"])
    lines = [f'freeagentics_things{{n="{n}"}} {n}' for n in range(count)]
    return web.Response(text="\n".join([*lines, ""]))


async def guarded(request: web.Request) -> web.Response:
    good = request.headers.get("Authorization") == f"Bearer {TOKEN}"
    return web.Response(text="freeagentics_guarded 1\n", status=200 if good else 401)


@pytest_asyncio.fixture
async def exporter() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/series/{count}", series)
    app.router.add_get("/guarded", guarded)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"127.0.0.1:{port}"
    await runner.cleanup()


@pytest.mark.parametrize(("limit", "wanted"), [(None, "0"), (200_000, "1")])
async def test_an_exporter_with_too_many_series_is_cut_alone(
    tmp_path: Path, exporter: str, limit: int | None, wanted: str
) -> None:
    jobs = [
        {"name": "small", "targets": [exporter], "path": "/series/10"},
        {
            "name": "large",
            "targets": [exporter],
            "path": "/series/100000",
            "interval": "3s",
            **({"sampleLimit": limit} if limit else {}),
        },
    ]
    async with running(tmp_path / "p", scrapeJobs=jobs) as api:

        async def scraped() -> bool:
            return await api.has_series(
                f'up{{job="large"}} == {wanted}'
                ' and on() count(freeagentics_things{job="small"}) == 10'
                ' and on() up{job="small"} == 1'
            )

        await until(scraped, seconds=60)
        assert await api.has_series('count(freeagentics_things{job="large"})') == (wanted == "1")


async def test_what_is_taken_in_is_measured(tmp_path: Path, exporter: str) -> None:
    job = {"name": "j", "targets": [exporter], "path": "/series/900", "sampleLimit": 1000}
    async with running(tmp_path / "p", scrapeJobs=[job]) as api:

        async def measured() -> bool:
            largest = await api.largest_metrics()
            servers = Servers((), [Server(None, api)])
            config = yaml.safe_load(await api.configuration())
            rows = [JobStatus(name="j", targets=1, up=1)]
            (row,) = await gather_limits(servers, config, rows, rows)
            return largest[:1] == [("freeagentics_things", 900)] and row.limit_used == 90

        await until(measured, seconds=60)


async def test_credentials_are_read_from_files_and_labels_are_rewritten(
    tmp_path: Path, exporter: str
) -> None:
    etc = tmp_path / "p"
    secret = etc / "files" / "secret" / "login" / "token"
    job = {
        "name": "guarded",
        "targets": [exporter],
        "path": "/guarded",
        "authorization": {"credentials": {"name": "login", "key": "token"}},
        "relabelings": [{"targetLabel": "team", "replacement": "a"}],
        "metricRelabelings": [
            {"sourceLabels": ["__name__"], "targetLabel": "was", "regex": "freeagentics_(.+)"}
        ],
    }
    async with running(etc, scrapeJobs=[job]) as api:

        async def scraped(value: int = 0) -> bool:
            return await api.has_series(f'up{{job="guarded",team="a"}} == {value}')

        await until(scraped, seconds=60)
        secret.parent.mkdir(parents=True)
        secret.write_text(TOKEN)

        async def comes_in() -> bool:
            return await scraped(1)

        await until(comes_in, seconds=60)
        assert await api.has_series('freeagentics_guarded{was="guarded"} == 1')


async def test_another_prometheus_receives_what_is_written_on(
    tmp_path: Path, exporter: str
) -> None:
    job = {"name": "small", "targets": [exporter], "path": "/series/3"}
    async with running(tmp_path / "far", "--web.enable-remote-write-receiver") as far:
        remote = {
            "name": "far",
            "url": f"{far.url}/api/v1/write",
            "queueConfig": {"batchSendDeadline": "200ms"},
            "writeRelabelings": [
                {"sourceLabels": ["__name__"], "regex": "freeagentics_.*", "action": "keep"}
            ],
        }
        labels = {"cluster": "${HOME}"}
        async with running(
            tmp_path / "near", scrapeJobs=[job], remoteWrite=[remote], externalLabels=labels
        ):

            async def arrives() -> bool:
                return await far.has_series('freeagentics_things{job="small",cluster="${HOME}"}')

            await until(arrives, seconds=60)
            assert not await far.has_series('up{job="small"}')


async def test_each_of_two_servers_names_itself_outside_and_not_in_alerts(tmp_path: Path) -> None:
    async with running(tmp_path / "p", replicas=2) as api:
        shown = yaml.safe_load(await api.configuration())
    assert set(shown["global"]["external_labels"]) == {"prometheus_replica"}
    (step,) = shown["alerting"]["alert_relabel_configs"]
    assert (step["regex"], step["action"]) == ("prometheus_replica", "labeldrop")

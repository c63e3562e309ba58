"""A real blackbox exporter and a real Prometheus, with what is built for them, probe this machine."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from e2e.cluster import programs
from e2e.cluster.progress import SilentProgress
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names
from firewatch.build.blackbox_config import SECRETS_DIRECTORY, render_blackbox_config
from firewatch.build.objects import Stack
from firewatch.build.scrape import render_prometheus_config
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.prometheus import Prometheus
from tests.golden import building
from tests.golden.test_real_prometheus import ETC, arguments, free_port, until

PASSWORD = "opensesame"
MODULES = {
    "health": {
        "prober": "http",
        "timeout": "2s",
        "http": {
            "validStatusCodes": [200],
            "failIfBodyNotMatchesRegexp": ['"status":\\s*"ok"'],
            "failIfHeaderMatches": [{"header": "X-Down", "regexp": ".+", "allowMissing": True}],
            "basicAuth": {"username": "probe", "password": {"name": "login", "key": "password"}},
        },
    },
    "greeting": {
        "prober": "tcp",
        "tcp": {"queryResponse": [{"expect": "^220 ([^ ]+)", "send": "EHLO ${1}"}]},
    },
    "address": {
        "prober": "dns",
        "dns": {
            "queryName": "api.example.org",
            "validateAnswerRrs": {"failIfNotMatchesRegexp": [".*192\\.0\\.2\\.7"]},
        },
    },
}


@pytest.fixture(scope="session")
def blackbox() -> Path:
    return programs.program("blackbox_exporter", SilentProgress())


@pytest.mark.parametrize(
    "case", [case for case in building.STACK_CASES if building.stack(case).spec.exporters.blackbox]
)
def test_its_own_check_takes_every_configuration(blackbox: Path, tmp_path: Path, case: str) -> None:
    path = tmp_path / "blackbox.yml"
    path.write_text(building.configuration(building.stack_objects(case), names.BLACKBOX_KEY))
    command = [str(blackbox), "--config.check", f"--config.file={path}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@dataclass(frozen=True)
class Endpoints:
    """What is probed: a web server with a password, a greeting on TCP, and a name server."""

    web: str
    tcp: str
    dns: str
    said: list[str]
    """Lines that were said to the TCP server."""


async def _health(request: web.Request) -> web.Response:
    login = aiohttp.encode_basic_auth("probe", PASSWORD)
    if request.headers.get("Authorization") != login:
        return web.Response(status=401)
    return web.json_response({"status": "ok" if request.path == "/health" else "broken"})


class _NameServer(asyncio.DatagramProtocol):
    """Answers every query with one address."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        question = data[12 : data.index(b"\0", 12) + 5]
        header = data[:2] + b"\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00"
        answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + bytes((192, 0, 2, 7))
        self._transport.sendto(header + question + answer, addr)


@asynccontextmanager
async def _endpoints() -> AsyncIterator[Endpoints]:
    said: list[str] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        said.append((await reader.readline()).decode().strip())
        writer.close()

    app = web.Application()
    app.router.add_get("/{tail:.*}", _health)
    runner = web.AppRunner(app)
    await runner.setup()
    ports = [free_port() for _ in range(3)]
    await web.TCPSite(runner, "127.0.0.1", ports[0]).start()
    server = await asyncio.start_server(greet, "127.0.0.1", ports[1])
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        _NameServer, local_addr=("127.0.0.1", ports[2])
    )
    try:
        web_address, *others = (f"127.0.0.1:{port}" for port in ports)
        yield Endpoints(f"http://{web_address}", others[0], others[1], said)
    finally:
        transport.close()
        server.close()
        await runner.cleanup()


def _stack(endpoints: Endpoints) -> Stack:
    probes = [
        {
            "name": "web",
            "module": "health",
            "targets": [f"{endpoints.web}/health", f"{endpoints.web}/broken"],
            "labels": {"team": "shop"},
        },
        {"name": "open", "targets": [f"{endpoints.web}/health"]},
        {"name": "mail", "module": "greeting", "targets": [endpoints.tcp]},
        {"name": "port", "module": "tcp_connect", "targets": [f"127.0.0.1:{free_port()}"]},
        {"name": "names", "module": "address", "targets": [endpoints.dns]},
        {"name": "ping", "module": "icmp", "targets": ["127.0.0.1"]},
    ]
    spec = {
        "metrics": {"scrapeInterval": "1s", "evaluationInterval": "1s"},
        "exporters": {"blackbox": {"modules": MODULES}},
        "synthetic": {"probes": probes},
    }
    return Stack("shop", "main", "u", MonitoringStackSpec.model_validate(spec))


@asynccontextmanager
async def _process(log: Path, *command: str | Path) -> AsyncIterator[None]:
    with log.open("w") as stream:
        process = await asyncio.create_subprocess_exec(*command, stdout=stream, stderr=stream)
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def _exporter(program: Path, stack: Stack, folder: Path) -> AsyncIterator[str]:
    exporter = stack.spec.exporters.blackbox
    assert exporter
    secrets = folder / "secrets" / "login"
    secrets.mkdir(parents=True)
    (secrets / "password").write_text(PASSWORD)
    config = folder / "blackbox.yml"
    text = render_blackbox_config(exporter)
    assert PASSWORD not in text
    config.write_text(text.replace(SECRETS_DIRECTORY, str(folder / "secrets")))
    address = f"127.0.0.1:{free_port()}"
    flags = (f"--config.file={config}", f"--web.listen-address={address}")
    async with _process(folder / "blackbox.log", program, *flags):
        yield address


@asynccontextmanager
async def _prometheus(stack: Stack, exporter: str, folder: Path) -> AsyncIterator[Prometheus]:
    assert stack.spec.metrics
    text = render_prometheus_config(stack, stack.spec.metrics, Surroundings("127.0.0.1:1"))
    in_cluster = names.service_address(
        names.blackbox_name(stack.name), stack.namespace, names.BLACKBOX_PORT
    )
    assert in_cluster in text
    (folder / "config").mkdir()
    (folder / "rules").mkdir()
    text = text.replace(in_cluster, exporter).replace(ETC, str(folder))
    (folder / "config" / names.CONFIG_KEY).write_text(text)
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(programs.program("prometheus", SilentProgress())),
        *(flag.replace(ETC, str(folder)) for flag in arguments()),
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    async with aiohttp.ClientSession() as session, _process(folder / "log", *command):
        api = Prometheus(session, f"http://{address}")
        await until(api.version, seconds=30)
        yield api


@dataclass(frozen=True)
class Probing:
    """The servers at work and what they probe."""

    api: Prometheus
    endpoints: Endpoints

    async def is_so(self, expression: str) -> None:
        """Wait until an expression has a result."""
        await until(lambda: self.api.has_series(expression), seconds=30)


@pytest_asyncio.fixture(scope="module")
async def probing(
    blackbox: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Probing]:
    folder = tmp_path_factory.mktemp("blackbox")
    async with AsyncExitStack() as running:
        endpoints = await running.enter_async_context(_endpoints())
        stack = _stack(endpoints)
        exporter = await running.enter_async_context(_exporter(blackbox, stack, folder))
        api = await running.enter_async_context(_prometheus(stack, exporter, folder))
        yield Probing(api, endpoints)


async def test_a_probe_has_the_target_as_its_instance_and_its_own_labels(
    probing: Probing,
) -> None:
    target = f"{probing.endpoints.web}/health"
    labels = f'job="blackbox",probe="web",instance="{target}",team="shop"'
    await probing.is_so(f"probe_success{{{labels}}} == 1")
    await probing.is_so(f"probe_http_status_code{{{labels}}} == 200")
    await probing.is_so(f"up{{{labels}}} == 1")


@pytest.mark.parametrize(
    ("probe", "succeeds"),
    [("mail", 1), ("names", 1), ("ping", 1), ("port", 0), ("open", 0)],
    ids=["conversation", "name server", "ping", "closed port", "no password"],
)
async def test_each_prober_tells_what_works_from_what_does_not(
    probing: Probing, probe: str, succeeds: int
) -> None:
    await probing.is_so(f'probe_success{{job="blackbox",probe="{probe}"}} == {succeeds}')


async def test_a_page_that_says_the_wrong_thing_fails_though_it_answers(probing: Probing) -> None:
    instance = f'instance="{probing.endpoints.web}/broken"'
    await probing.is_so(f"probe_success{{{instance}}} == 0")
    await probing.is_so(f"probe_http_status_code{{{instance}}} == 200")
    await probing.is_so(f"probe_failed_due_to_regex{{{instance}}} == 1")


async def test_what_was_expected_can_be_sent_back(probing: Probing) -> None:
    await probing.is_so('probe_success{probe="mail"} == 1')
    assert "EHLO mail.example.org" in probing.endpoints.said

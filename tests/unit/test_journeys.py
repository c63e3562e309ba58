"""Journeys through a real server: what makes a step fail, what is kept, and what is never told."""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from e2e.cluster.certificates import Authority
from examples.app.freeagentics_demo.server import Example, serve
from firewatch.api.journeys import Journey, unknown_names
from firewatch.journeys.answers import Reason
from firewatch.journeys.metrics import Metrics, RunResult
from firewatch.journeys.runner import repeat, take
from firewatch.journeys.steps import secrets_in
from firewatch.serving import healthy

PASSWORD = "opensesame-canary"


@dataclass
class Server:
    """A server that answers as it is told, and keeps what it was asked."""

    port: int = 0
    answers: dict[str, web.Response] = field(default_factory=dict)
    asked: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)
    hangs: bool = False

    async def answer(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.asked.append((request.method, request.raw_path, text, {**request.headers}))
        if self.hangs:
            await asyncio.sleep(60)
        found = self.answers.get(request.path, web.Response(text="{}"))
        return found.__class__(
            status=found.status, headers=dict(found.headers), body=found.body or b""
        )


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", found.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.port = runner.addresses[0][1]
    yield found
    await runner.cleanup()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "secret" / "journey").mkdir(parents=True)
    (tmp_path / "secret" / "journey" / "password").write_text(f"{PASSWORD}\n")
    return tmp_path


def journey(port: int, *steps: dict[str, Any], **fields: Any) -> Journey:
    found = [{"name": f"step-{number}", **step} for number, step in enumerate(steps, 1)]
    base = {"name": "a", "baseUrl": f"http://127.0.0.1:{port}", "steps": found}
    return Journey.model_validate({**base, **fields})


async def outcome(wanted: Journey, files: Path) -> tuple[str, Reason | None]:
    result = await take(wanted, secrets_in(files))
    return (result.failure.step, result.failure.failure) if result.failure else ("", None)


# --- the example application, as the documentation has it ---------------------------------------


@pytest.fixture
async def shop() -> AsyncIterator[Example]:
    async with serve("api", host="127.0.0.1", port=0, traffic_seconds=0) as example:
        yield example


def converse(port: int) -> Journey:
    """Return the journey that the runbook names: register, log in, create an agent, converse."""
    token = {"Authorization": "Bearer ${token}"}
    login = {"name": "${run}", "password": "${password}"}
    return journey(
        port,
        {"method": "POST", "path": "/users", "jsonBody": login, "validStatusCodes": [201]},
        {
            "method": "POST",
            "path": "/sessions",
            "jsonBody": login,
            "extract": [{"variable": "token", "jsonPath": "token"}],
        },
        {
            "method": "POST",
            "path": "/agents",
            "headers": token,
            "jsonBody": {"name": "critic"},
            "extract": [{"variable": "id", "jsonPath": "id"}],
        },
        {
            "method": "POST",
            "path": "/agents/${id}/messages",
            "headers": token,
            "jsonBody": {"text": "hello"},
            "failIfBodyJsonNotMatches": [{"path": "reply", "equals": "You said: hello"}],
        },
        {"method": "DELETE", "path": "/agents/${id}", "headers": token, "always": True},
        variables=[{"name": "password", "secretKeyRef": {"name": "journey", "key": "password"}}],
    )


async def test_the_runbooks_journey(shop: Example, files: Path) -> None:
    for _ in range(3):
        assert await outcome(converse(shop.port), files) == ("", None)
    shop.faults.switch(1)
    result = await take(converse(shop.port), secrets_in(files))
    assert [(step.step, step.failure) for step in result.steps] == [
        ("step-1", None),
        ("step-2", None),
        ("step-3", None),
        ("step-4", Reason.STATUS),
        ("step-5", None),
    ], "what was created is removed although the step before has failed"


# --- what makes a step fail ---------------------------------------------------------------------

JSON = web.json_response({"state": "ok", "n": 3, "list": [{"id": "x"}]})


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({}, None),
        ({"validStatusCodes": [201]}, Reason.STATUS),
        ({"path": "/missing"}, Reason.STATUS),
        ({"path": "/moved"}, Reason.STATUS),
        ({"path": "/moved", "validStatusCodes": [302]}, None),
        ({"path": "/moved", "followRedirects": True}, None),
        ({"path": "/round", "followRedirects": True}, Reason.STATUS),
        ({"failIfBodyMatchesRegexp": ["ok"]}, Reason.BODY),
        ({"failIfBodyNotMatchesRegexp": ["ok", "nowhere"]}, Reason.BODY),
        ({"failIfBodyNotMatchesRegexp": [r"(?i)OK\b"]}, None),
        ({"failIfBodyJsonNotMatches": [{"path": "n", "equals": "3"}]}, None),
        ({"failIfBodyJsonNotMatches": [{"path": "n", "equals": "4"}]}, Reason.JSON),
        ({"failIfBodyJsonNotMatches": [{"path": "list[1].id", "equals": "x"}]}, Reason.JSON),
        ({"failIfBodyJsonNotMatches": [{"path": "state.deep", "equals": "x"}]}, Reason.JSON),
        (
            {"path": "/text", "failIfBodyJsonNotMatches": [{"path": "n", "equals": "3"}]},
            Reason.JSON,
        ),
        ({"failIfHeaderMatches": [{"header": "content-type", "regexp": "json"}]}, Reason.HEADER),
        ({"failIfHeaderNotMatches": [{"header": "Content-Type", "regexp": "json"}]}, None),
        ({"failIfHeaderNotMatches": [{"header": "X-No", "regexp": "."}]}, Reason.HEADER),
        (
            {"failIfHeaderNotMatches": [{"header": "X-No", "regexp": ".", "allowMissing": True}]},
            None,
        ),
        ({"extract": [{"variable": "v", "jsonPath": "list[0].id"}]}, None),
        ({"extract": [{"variable": "v", "jsonPath": "nowhere"}]}, Reason.EXTRACT),
        ({"extract": [{"variable": "v", "header": "X-No"}]}, Reason.EXTRACT),
        ({"extract": [{"variable": "v", "regexp": "nowhere"}]}, Reason.EXTRACT),
        ({"path": "/large"}, Reason.BODY),
    ],
)
async def test_what_is_expected(
    server: Server, files: Path, step: dict[str, Any], reason: Reason | None
) -> None:
    server.answers = {
        "/": JSON,
        "/text": web.Response(text="no JSON"),
        "/missing": web.Response(status=404),
        "/moved": web.Response(status=302, headers={"Location": "/"}),
        "/round": web.Response(status=302, headers={"Location": "/round"}),
        "/large": web.Response(body=b"x" * 1_100_000),
    }
    assert await outcome(journey(server.port, step), files) == ("step-1" * bool(reason), reason)


async def test_an_answer_that_does_not_come_in_time(server: Server, files: Path) -> None:
    server.hangs = True
    slow = journey(server.port, {"timeLimit": "50ms"}, {})
    assert await outcome(slow, files) == ("step-1", Reason.TIMEOUT)


async def test_a_server_that_is_not_there(files: Path) -> None:
    result = await take(journey(1, {}), secrets_in(files))
    assert result.failure
    assert result.failure.failure is Reason.CONNECTION
    assert "no connection to 127.0.0.1:1" in result.failure.detail


async def test_a_secret_that_is_missing(server: Server, tmp_path: Path) -> None:
    wanted = converse(server.port)
    assert await outcome(wanted, tmp_path) == ("step-1", Reason.VARIABLE)
    assert server.asked == []


@pytest.mark.parametrize(
    ("tls", "reason"),
    [
        (None, Reason.CONNECTION),
        ({"insecureSkipVerify": True}, None),
        ({"ca": {"name": "journey", "key": "ca.crt"}}, None),
        ({"ca": {"name": "journey", "key": "ca.crt"}, "serverName": "other"}, Reason.CONNECTION),
        ({"ca": {"name": "journey", "key": "password"}}, Reason.VARIABLE),
    ],
)
async def test_whose_certificate_is_believed(
    files: Path, tls: dict[str, Any] | None, reason: Reason | None
) -> None:
    authority = Authority(files / "pki", "ca")
    pair = authority.issue("server", "server", addresses=["127.0.0.1"])
    authority_text = authority.pair.certificate.read_bytes()
    (files / "secret" / "journey" / "ca.crt").write_bytes(authority_text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    application = web.Application()
    application.router.add_get("/", healthy)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    wanted = journey(port, {}, baseUrl=f"https://127.0.0.1:{port}", tlsConfig=tls)
    try:
        assert await outcome(wanted, files) == ("step-1" * bool(reason), reason)
    finally:
        await runner.cleanup()


# --- what is sent -------------------------------------------------------------------------------


async def test_what_is_sent(server: Server, files: Path) -> None:
    server.answers = {
        "/first": web.json_response({"id": 7}, headers={"Set-Cookie": "session=s1"}),
    }
    wanted = journey(
        server.port,
        {"path": "/first", "extract": [{"variable": "id", "jsonPath": "id"}]},
        {
            "method": "POST",
            "path": "/a/${odd}?x=${id}",
            "headers": {"X-Id": "${id}"},
            "jsonBody": {"id": "${id}", "odd": "${odd}"},
        },
        {"method": "POST", "formBody": {"odd": "${odd}"}},
        {"method": "PUT", "body": "$$${id}", "headers": {"Content-Type": "text/plain"}},
        variables=[{"name": "odd", "value": "a/b?c&d=é"}],
    )
    assert await outcome(wanted, files) == ("", None)
    _, second, form, put = server.asked
    assert second[:2] == ("POST", "/a/a%2Fb%3Fc%26d%3D%C3%A9?x=7")
    assert json.loads(second[2]) == {"id": 7, "odd": "a/b?c&d=é"}
    assert (second[3]["X-Id"], second[3]["Cookie"]) == ("7", "session=s1")
    assert form[2] == "odd=a%2Fb%3Fc%26d%3D%C3%A9"
    assert (put[0], put[2]) == ("PUT", "$7")


async def test_each_run_is_somebody_new(server: Server, files: Path) -> None:
    server.answers = {"/": web.Response(headers={"Set-Cookie": "session=s1"})}
    wanted = journey(server.port, {"headers": {"X-Run": "${run}"}})
    for _ in range(2):
        await take(wanted, secrets_in(files))
    first, second = (headers for *_, headers in server.asked)
    assert "Cookie" not in second
    assert first["X-Run"] != second["X-Run"]


async def test_a_value_with_a_line_break_is_not_sent_as_a_header(
    server: Server, files: Path
) -> None:
    server.answers = {"/": web.json_response({"v": "a\r\nX-Injected: 1"})}
    wanted = journey(
        server.port,
        {"extract": [{"variable": "v", "jsonPath": "v"}]},
        {"path": "/next", "headers": {"X-V": "${v}"}},
    )
    assert await outcome(wanted, files) == ("step-2", Reason.CONNECTION)
    assert [path for _, path, *_ in server.asked] == ["/"]


# --- what is told -------------------------------------------------------------------------------


async def test_no_secret_is_told(
    server: Server, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even by a server that sends it back, or leads to where nobody is."""
    there = f"http://127.0.0.1:1/{PASSWORD}"
    server.answers = {"/moved": web.Response(status=302, headers={"Location": there})}
    metrics = Metrics()
    for step in (
        {"path": "/${password}", "validStatusCodes": [201]},
        {"path": "/moved", "followRedirects": True},
        {"headers": {"X": "${password}"}, "failIfBodyNotMatchesRegexp": ["x"]},
        {"jsonBody": {"p": "${password}"}, "extract": [{"variable": "v", "header": "X-No"}]},
    ):
        wanted = journey(server.port, step, variables=converse(1).variables)
        with caplog.at_level(logging.INFO):
            await run_for(wanted, files, metrics, runs=1)
    assert len(caplog.records) == 4
    told = caplog.text + metrics_text(metrics)
    assert PASSWORD not in told
    assert "step-1" in told


async def run_for(wanted: Journey, files: Path, metrics: Metrics, *, runs: int) -> None:
    """Repeat a journey until it has been taken so often."""
    done = asyncio.Event()
    left = [runs]

    def note(result: RunResult) -> None:
        metrics.note(result)
        left[0] -= 1
        if not left[0]:
            done.set()

    task = asyncio.create_task(repeat(wanted, secrets_in(files), note))
    async with asyncio.timeout(20):
        await done.wait()
    # The line of the log comes after the note.
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


def metrics_text(metrics: Metrics) -> str:
    families = metrics.registry.collect()
    return "\n".join(str(sample) for family in families for sample in family.samples)


async def test_what_the_metrics_say(server: Server, files: Path) -> None:
    metrics = Metrics()

    def value(name: str, **labels: str) -> float | None:
        found = {"journey": "a", **labels}
        return metrics.registry.get_sample_value(f"firewatch_journey_{name}", found)

    server.answers = {"/second": web.Response(status=500)}
    wanted = journey(server.port, {}, {"path": "/second"}, {"path": "/third"})
    await run_for(wanted, files, metrics, runs=1)
    assert value("success") == 0
    assert value("failure", step="step-2", reason="status") == 1
    assert [value("step_success", step=f"step-{n}") for n in (1, 2, 3)] == [1, 0, None]
    assert value("step_failures_total", step="step-2", reason="status") == 1
    server.answers = {}
    await run_for(wanted, files, metrics, runs=1)
    assert value("success") == 1
    assert value("failure", step="step-2", reason="status") is None
    assert [value("step_success", step=f"step-{n}") for n in (1, 2, 3)] == [1, 1, 1]
    assert value("runs_total") == 2
    durations = [value("step_duration_seconds", step=f"step-{n}") for n in (1, 2, 3)]
    total = value("duration_seconds")
    assert all(durations)
    assert total
    assert total >= sum(filter(None, durations))


async def test_a_run_that_takes_longer_is_not_overtaken(server: Server, files: Path) -> None:
    server.hangs = True
    wanted = journey(server.port, {"timeLimit": "60ms"}, interval="1ms")
    await run_for(wanted, files, Metrics(), runs=3)
    assert len(server.asked) in (3, 4)


# --- what is left out ---------------------------------------------------------------------------


def test_names_that_stand_for_nothing_are_found() -> None:
    wanted = journey(
        1,
        {"path": "/${later}", "extract": [{"variable": "later", "jsonPath": "a"}]},
        {"jsonBody": {"deep": ["${later} ${nowhere}"]}, "headers": {"X": "${run} $${no}"}},
        {"failIfBodyJsonNotMatches": [{"path": "a", "equals": "${odd}"}]},
    )
    found = [("step-1", "later"), ("step-2", "nowhere"), ("step-3", "odd")]
    assert [*unknown_names(wanted)] == found

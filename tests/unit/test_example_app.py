"""The example application really serves, and has the runbook's five API metric families."""

import ast
import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from examples.app.freeagentics_demo.metrics import Metrics
from examples.app.freeagentics_demo.server import Example, serve
from examples.app.freeagentics_demo.switches import MAX_THREADS, Faults
from examples.app.freeagentics_demo.users import Users
from firewatch.build.packs.application import throughput_rules

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "examples" / "app"
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Family:
    name: str
    type: str
    help: str
    labels: frozenset[str]


def runbook_families() -> set[Family]:
    """Read the families from the Python block of the runbook."""
    text = (ROOT / "docs" / "reference" / "runbook.md").read_text(encoding="utf-8")
    code = text.partition("# Custom API metrics collection")[2].partition("```")[0]
    families = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            name, documentation, *labels = (ast.literal_eval(argument) for argument in node.args)
            kind = ast.unparse(node.func).lower()
            families.add(Family(name, kind, documentation, frozenset(*labels)))
    return families


def business_families() -> set[str]:
    """Return the names in the runbook's section on business metrics."""
    text = (ROOT / "docs" / "reference" / "runbook.md").read_text(encoding="utf-8")
    section = text[text.index("### 3. Business Metrics") : text.index("## Alert Management\n\n")]
    return set(re.findall(r"^(freeagentics_\w+)$", section, re.MULTILINE))


class App:
    """A running copy and a client for it."""

    def __init__(self, example: Example, session: aiohttp.ClientSession) -> None:
        self.example = example
        self._session = session

    async def send(self, method: str, path: str, body: Any = None) -> int:
        async with self._session.request(method, path, json=body) as response:
            await response.read()
            return response.status

    async def state(self) -> dict[str, Any]:
        async with self._session.get("/") as response:
            state: dict[str, Any] = await response.json()
            return state

    async def scrape(self) -> dict[str, Metric]:
        async with self._session.get("/metrics") as response:
            text = await response.text()
        families = (family for family in text_string_to_metric_families(text))
        return {
            family.name + "_total" * (family.type == "counter"): family
            for family in families
            if not family.name.endswith("_created")
        }

    async def value(self, family: str, **labels: str) -> float:
        """Return the sum over the series with these labels."""
        samples = (await self.scrape())[family].samples
        return sum(
            sample.value
            for sample in samples
            if sample.name == family and labels.items() <= sample.labels.items()
        )


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with (
        serve("api", host="127.0.0.1", port=0, traffic_seconds=0) as example,
        aiohttp.ClientSession(f"http://127.0.0.1:{example.port}") as session,
    ):
        yield App(example, session)


def test_runbook_lists_five_families() -> None:
    assert len(runbook_families()) == 5


async def test_families_are_those_of_the_runbook(app: App) -> None:
    await app.send("GET", "/agents")
    await app.send("POST", "/coordinate")
    found = {
        Family(
            name,
            family.type,
            family.documentation,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
        )
        for name, family in (await app.scrape()).items()
        if name.startswith("freeagentics_") and not name.startswith("freeagentics_demo_")
    }
    assert runbook_families() <= found
    recorded = {str(rule["record"]) for rule in throughput_rules()}
    assert business_families() - recorded <= {family.name for family in found}


def test_sessions_end_when_their_user_asks_for_nothing() -> None:
    now = 0.0
    metrics = Metrics()
    users = Users(metrics, lambda: now)

    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(f"freeagentics_{name}")

    for now, user in ((0, "a"), (1, "b"), (8, "a"), (16, "a"), (60, "a")):  # noqa: B007
        users.act(user, "GET")
    assert value("active_users_total") == users.active() == 1
    assert value("new_users_total") == 2
    assert value("user_sessions_total") == 3
    assert value("session_duration_seconds_count") == 2
    assert value("session_duration_seconds_sum") == 16
    assert (
        metrics.registry.get_sample_value("freeagentics_user_actions_total", {"action": "GET"}) == 5
    )


async def test_every_family_moves_by_requests(app: App) -> None:
    for _ in range(3):
        assert await app.send("GET", "/agents") == 200
    assert await app.send("POST", "/coordinate") == 200
    requests = "freeagentics_requests_total"
    assert await app.value(requests, method="GET", endpoint="/agents", status="200") == 3
    assert await app.value(requests, method="POST", endpoint="/coordinate", status="200") == 1
    assert await app.value("freeagentics_agent_coordination_success_total") == 1
    assert await app.value("freeagentics_agent_coordination_failures_total") == 0
    assert await app.value("freeagentics_active_connections") >= 1
    seconds = (await app.scrape())["freeagentics_request_duration_seconds"]
    counts = [s.value for s in seconds.samples if s.name.endswith("_count")]
    sums = [s.value for s in seconds.samples if s.name.endswith("_sum")]
    assert sorted(counts) == [1, 3]
    assert min(sums) > 0


async def test_requests_to_the_switches_and_unknown_paths_are_not_counted(app: App) -> None:
    assert await app.send("GET", "/healthz") == 200
    assert await app.send("GET", "/no-such-path") == 404
    assert await app.send("PUT", "/gauge", {"value": 1}) == 200
    assert await app.value("freeagentics_requests_total") == 0


async def test_self_traffic_fills_every_family_and_survives_errors() -> None:
    async with (
        serve("workers", host="127.0.0.1", port=0, traffic_seconds=0.001) as example,
        aiohttp.ClientSession(f"http://127.0.0.1:{example.port}") as session,
    ):
        app = App(example, session)
        await _eventually(app, "freeagentics_requests_total", status="200")
        await app.send("POST", "/faults", {"errorRatio": 1})
        await _eventually(app, "freeagentics_requests_total", status="500")
        await _eventually(app, "freeagentics_agent_coordination_failures_total")
        await app.send("POST", "/faults", {"errorRatio": 0})
        done = await app.value("freeagentics_agent_coordination_success_total")
        await _eventually(app, "freeagentics_agent_coordination_success_total", above=done)


async def _eventually(app: App, family: str, *, above: float = 0, **labels: str) -> None:
    async def is_above() -> bool:
        return await app.value(family, **labels) > above

    await _until(is_above)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_faults_fail_exactly_the_share_that_was_asked_for(app: App) -> None:
    assert await app.send("POST", "/faults", {"errorRatio": 0.3}) == 200
    agents = [await app.send("GET", "/agents") for _ in range(20)]
    coordinations = [await app.send("POST", "/coordinate") for _ in range(10)]
    assert agents.count(500) == 6
    assert agents.count(200) == 14
    assert coordinations.count(503) == 3
    requests = "freeagentics_requests_total"
    assert await app.value(requests, endpoint="/agents", status="500") == 6
    assert await app.value(requests, endpoint="/coordinate", status="503") == 3
    assert await app.value("freeagentics_agent_coordination_failures_total") == 3
    assert await app.value("freeagentics_agent_coordination_success_total") == 7
    assert await app.send("POST", "/faults", {"errorRatio": 0}) == 200
    assert {await app.send("GET", "/agents") for _ in range(5)} == {200}


@pytest.mark.parametrize("ratio", [0, 0.001, 0.1, 1 / 3, 0.5, 0.7, 1])
def test_faults_are_spread_evenly(ratio: float) -> None:
    faults = Faults()
    faults.switch(ratio)
    failed = 0
    for seen in range(1, 2001):
        failed += faults.strike("/agents")
        assert abs(failed - seen * ratio) < 1 + 1e-6


async def test_gauge_is_what_was_put(app: App) -> None:
    assert await app.value("freeagentics_demo_load") == 0
    for value in (5, -2.5, 0):
        assert await app.send("PUT", "/gauge", {"value": value}) == 200
        assert await app.value("freeagentics_demo_load") == value


async def test_load_burns_cpu_until_it_is_switched_off(app: App) -> None:
    assert await app.send("POST", "/load", {"threads": 2}) == 200
    assert (await app.state())["threads"] == 2
    start = await app.value("process_cpu_seconds_total")
    await _eventually(app, "process_cpu_seconds_total", above=start + 0.3)
    assert await app.send("GET", "/agents") == 200
    assert await app.send("POST", "/load", {"threads": 0}) == 200
    await _load_ends(app)


async def test_load_ends_by_itself(app: App) -> None:
    assert await app.send("POST", "/load", {"threads": 1, "seconds": 0.05}) == 200
    await _load_ends(app)


async def _load_ends(app: App) -> None:
    async def has_ended() -> bool:
        return not (await app.state())["threads"]

    await _until(has_ended)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/faults", {"errorRatio": 1.1}),
        ("POST", "/faults", {"errorRatio": -0.1}),
        ("POST", "/faults", {"errorRatio": "0.5"}),
        ("POST", "/faults", {"errorRatio": True}),
        ("POST", "/faults", {}),
        ("POST", "/faults", {"errorRatio": 0.5, "more": 1}),
        ("POST", "/faults", [0.5]),
        ("POST", "/load", {"threads": MAX_THREADS + 1}),
        ("POST", "/load", {"threads": 1.5}),
        ("POST", "/load", {"threads": 1, "seconds": 1e9}),
        ("PUT", "/gauge", {"value": float("nan")}),
        ("PUT", "/gauge", {"value": float("inf")}),
        ("PUT", "/gauge", {"value": 10**400}),
        ("PUT", "/gauge", None),
    ],
)
async def test_a_bad_switch_is_refused_and_changes_nothing(
    app: App, method: str, path: str, body: Any
) -> None:
    before = await app.state()
    assert await app.send(method, path, body) == 400
    assert await app.state() == before
    assert await app.value("freeagentics_demo_load") == 0


async def test_metrics_speak_openmetrics_to_prometheus(app: App) -> None:
    headers = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{app.example.port}/metrics", headers=headers) as response,
    ):
        assert response.content_type == "application/openmetrics-text"
        assert (await response.text()).endswith("# EOF\n")


def test_program_takes_its_role_from_the_environment_and_stops_at_once_on_sigterm() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "freeagentics_demo", "--port", "0"],
        env=os.environ | {"ROLE": "workers", "PYTHONPATH": str(APP)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline().startswith("workers listens on port ")
            start = time.monotonic()
            program.send_signal(signal.SIGTERM)
            assert program.wait(timeout=PATIENCE_SECONDS) == 0
            assert time.monotonic() - start < 5
        finally:
            program.kill()


def test_program_refuses_an_unknown_role() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "freeagentics_demo", "database"],
        env=os.environ | {"PYTHONPATH": str(APP)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "expected api or workers" in result.stderr


def test_requirements_are_pinned_to_the_operators_versions() -> None:
    def pins(path: Path) -> set[str]:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {line.split()[0] for line in lines if "==" in line.partition(";")[0]}

    assert pins(APP / "requirements.txt") <= pins(ROOT / "requirements" / "operator.txt")


async def test_while_its_flag_says_so_it_gives_a_light_answer_that_does_not_fail(
    tmp_path: Path,
) -> None:
    flag = tmp_path / "breaker"
    flag.write_text("off\n", encoding="utf-8")
    async with (
        serve("api", port=0, host="127.0.0.1", traffic_seconds=0, error_ratio=1, flag=flag) as bad,
        aiohttp.ClientSession(f"http://127.0.0.1:{bad.port}") as session,
    ):
        app = App(bad, session)
        assert await app.send("GET", "/agents") == 500
        flag.write_text("on\n", encoding="utf-8")
        assert await app.send("GET", "/agents") == 200


async def test_a_visitor_counts_how_its_visits_went(app: App) -> None:
    address = f"http://127.0.0.1:{app.example.port}/agents"
    async with (
        serve("visitor", port=0, host="127.0.0.1", traffic_seconds=0.01, visits=address) as example,
        aiohttp.ClientSession(f"http://127.0.0.1:{example.port}") as session,
    ):
        visitor = App(example, session)
        await _eventually(visitor, "freeagentics_demo_visits_total", outcome="ok")
        await app.send("POST", "/faults", {"errorRatio": 1})
        await _eventually(visitor, "freeagentics_demo_visits_total", outcome="failed")

"""Previews of dashboards: units, what is asked, and that a picture comes of it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from firewatch.build.grafana.bundled import read_bundled
from firewatch.runbook.preview.draw import draw
from firewatch.runbook.preview.gather import PreviewError, Span, gather_preview
from firewatch.runbook.preview.units import format_value

SPAN = Span(end=1000.0, length=600.0, scrape_interval=15.0)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0525, "percentunit", "5.25 %"),
        (80.0, "percent", "80 %"),
        (1536.0, "bytes", "1.5 KiB"),
        (3e6, "Bps", "2.86 MiB/s"),
        (0.0004, "s", "400 µs"),
        (7200.0, "s", "2 h"),
        (1500.0, "ms", "1.5 s"),
        (0.5, "d", "12 h"),
        (12_345.0, "short", "12.3 k"),
        (12_345.0, "none", "12,345"),
        (0.25, "reqps", "0.25 req/s"),
        (float("nan"), "s", "-"),
        (0.0, "s", "0 s"),
        (-2.0, "percentunit", "-200 %"),
    ],
)
def test_a_value_in_its_unit(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


class Asked:
    """A server that answers as Prometheus does, and what it was asked."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, str]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        kind = request.path.rpartition("/")[2]
        self.queries.append((kind, str(form["query"])))
        labels = {"job": "api", "instance": "a", "le": "1"}
        values = [[1000.0 - second, "0.5"] for second in range(5)]
        result: dict[str, Any] = {"metric": labels, "values": values}
        if kind == "query":
            result = {"metric": labels, "value": [1000.0, "1"]}
        return web.json_response({"status": "success", "data": {"result": [result]}})


@pytest_asyncio.fixture
async def asked() -> AsyncIterator[Asked]:
    found = Asked()
    app = web.Application()
    app.router.add_post("/api/v1/query", found.answer)
    app.router.add_post("/api/v1/query_range", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def test_all_is_chosen_and_asked_as_grafana_would(asked: Asked, tmp_path: Path) -> None:
    content = json.loads(read_bundled("firewatch-overview"))
    async with aiohttp.ClientSession() as session:
        found = await gather_preview(session, asked.url, content, SPAN)
    assert not any("$" in query for _, query in asked.queries)
    assert any("[60s]" in query for _, query in asked.queries), "four scrapes"
    kinds = {panel.title: panel.kind for panel in found.panels}
    assert (kinds["System Health"], kinds["CPU Usage"]) == ("stat", "timeseries")
    (health,) = (panel for panel in found.panels if panel.title == "System Health")
    assert health.series[0].name == "api"
    assert health.states["1"] == ("up", "green")
    draw(found, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


async def test_nobody_there_is_said() -> None:
    content = json.loads(read_bundled("firewatch-node"))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(PreviewError, match="give the address of a Prometheus"):
            await gather_preview(session, "http://127.0.0.1:1", content, SPAN)

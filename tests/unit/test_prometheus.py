"""Whoever answers at an address that people name need not be a Prometheus."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from firewatch.cluster.prometheus import BadQueryError, Prometheus, PrometheusError


@pytest.mark.parametrize("text", ["[]", "null", "7", '"success"', "{}", "", "<html>"])
async def test_an_answer_of_something_else_is_an_error_of_the_server(text: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    application = web.Application()
    application.router.add_get("/api/v1/alerts", answer)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        prometheus = Prometheus(session, f"http://127.0.0.1:{server.port}")
        with pytest.raises(PrometheusError, match="HTTP 200"):
            await prometheus.firing()


async def test_an_older_server_judges_expressions_too() -> None:
    """``parse_query`` came with version 3, ``format_query`` with 2.39."""

    async def format_query(request: web.Request) -> web.Response:
        query = (await request.post())["query"]
        if query == "up":
            return web.json_response({"status": "success", "data": "up"})
        error = {"status": "error", "errorType": "bad_data", "error": "unexpected end of input"}
        return web.json_response(error, status=400)

    application = web.Application()
    application.router.add_post("/api/v1/format_query", format_query)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        prometheus = Prometheus(session, f"http://127.0.0.1:{server.port}")
        await prometheus.check("up")
        with pytest.raises(BadQueryError, match="unexpected end of input"):
            await prometheus.check("up ==")

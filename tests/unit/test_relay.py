"""What a replica that stands by answers a webhook, by what the one that leads has answered."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from firewatch.respond.relay import RELAYED, Relay


@pytest.mark.parametrize(
    ("status", "answered"),
    [(200, 200), (400, 400), (401, 503), (404, 503), (413, 503), (500, 503), (503, 503)],
)
async def test_alertmanager_sends_again_what_the_leader_has_not_judged(
    status: int, answered: int
) -> None:
    asked: list[web.Request] = []

    async def webhook(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(status=status, text="said")

    application = web.Application()
    application.router.add_post("/webhook/{namespace}", webhook)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        relay = Relay(session, leads=lambda: False, leader=lambda: f"127.0.0.1:{server.port}")
        verdict = await relay.send("shop", "token", b"{}")
    assert (verdict.status, verdict.text) == (answered, "said")
    (request,) = asked
    assert request.match_info["namespace"] == "shop"
    assert request.headers["Authorization"] == "Bearer token"
    assert RELAYED in request.headers

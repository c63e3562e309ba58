"""Whether a watch may go on from its version, as asked of a server on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from firewatch.cluster.rewound import is_rewound


@asynccontextmanager
async def serving(version: str, status: int = 200) -> AsyncIterator[URL]:
    """Answer every list with a version; yield where."""

    async def answer(request: web.Request) -> web.Response:
        assert dict(request.query) == {"limit": "1"}
        return web.json_response({"metadata": {"resourceVersion": version}}, status=status)

    application = web.Application()
    application.router.add_get("/things", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield URL(f"http://127.0.0.1:{port}/things")
    finally:
        await runner.cleanup()


async def ask(url: URL, since: str | None = "10") -> bool:
    """Ask as for a watch that is to go on from a version."""
    version = {} if since is None else {"resourceVersion": since}
    loop = asyncio.get_running_loop()
    watch = aiohttp.ClientRequest("GET", url.with_query({"watch": "true", **version}), loop=loop)
    async with aiohttp.ClientSession() as session:
        return await is_rewound(session, watch)


@pytest.mark.parametrize(("present", "expected"), [("9", True), ("10", False), ("11", False)])
async def test_a_version_that_the_server_has_yet_to_reach(present: str, *, expected: bool) -> None:
    async with serving(present) as url:
        assert await ask(url) is expected


async def test_a_watch_from_the_beginning_asks_nobody() -> None:
    assert await ask(URL("http://127.0.0.1:1/things"), since=None) is False


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_what_a_server_says_that_is_starting_does_not_count(status: int) -> None:
    async with serving("9", status) as url:
        with pytest.raises(aiohttp.ClientConnectionError, match=f"HTTP {status}"):
            await ask(url)


@pytest.mark.parametrize("status", [401, 404])
async def test_what_the_watch_meets_itself_is_left_to_it(status: int) -> None:
    async with serving("9", status) as url:
        assert await ask(url) is False


async def test_a_server_that_is_not_there_says_nothing() -> None:
    with pytest.raises(aiohttp.ClientConnectionError, match="does not say which version"):
        await ask(URL("http://127.0.0.1:1/things"))

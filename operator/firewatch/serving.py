"""What every program of the image does: it logs JSON, listens, and shows its metrics."""

import asyncio
import logging
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pythonjsonlogger.json import JsonFormatter

Handler = Callable[[web.Request], Awaitable[web.Response]]


def log_json() -> None:
    """Log to standard error from now on, a JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def metrics_page(registry: CollectorRegistry) -> Handler:
    """Return what answers with the metrics in Prometheus' text format."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return answer


def inside_pages(registry: CollectorRegistry) -> web.Application:
    """Return what kubelet and Prometheus look at: ``/healthz`` and ``/metrics``."""
    application = web.Application()
    application.router.add_get("/healthz", healthy)
    application.router.add_get("/metrics", metrics_page(registry))
    return application


def end_by_signal() -> asyncio.Event:
    """Return what is set by SIGTERM and SIGINT from now on."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    return ended


async def healthy(_: web.Request) -> web.Response:
    """Answer that the program runs."""
    return web.Response(text="ok\n")


@asynccontextmanager
async def listening(
    application: web.Application, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Serve an application on a port of every address meanwhile."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()

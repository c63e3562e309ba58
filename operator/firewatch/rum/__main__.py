"""Take in what browsers send, and show it on ``/metrics`` of a port of its own."""

import argparse
import asyncio
import signal
from pathlib import Path

from aiohttp import web

from firewatch.api.real_users import RealUserMonitoring
from firewatch.rum.ingest import Ingest, Keys
from firewatch.rum.metrics import Metrics
from firewatch.serving import healthy, listening, log_json, metrics_page


async def run(wanted: RealUserMonitoring, key: Path, port: int, metrics_port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    metrics, ended = Metrics(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    inside = web.Application()
    inside.router.add_get("/healthz", healthy)
    inside.router.add_get("/metrics", metrics_page(metrics.registry))
    ingest = Ingest(wanted, Keys(key), metrics)
    async with listening(ingest.application(), port), listening(inside, metrics_port):
        await ended.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="firewatch.rum", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="what is taken in, in JSON")
    parser.add_argument("--key", type=Path, required=True, help="file with the API key")
    parser.add_argument("--port", type=int, required=True, help="port for browsers")
    parser.add_argument("--metrics-port", type=int, required=True, help="port of /metrics")
    arguments = parser.parse_args()
    log_json()
    wanted = RealUserMonitoring.model_validate_json(arguments.config.read_bytes())
    asyncio.run(run(wanted, arguments.key, arguments.port, arguments.metrics_port))


if __name__ == "__main__":
    main()

"""Take in what browsers send, and show it on ``/metrics`` of a port of its own."""

import argparse
import asyncio
from pathlib import Path

from firewatch.api.real_users import RealUserMonitoring
from firewatch.rum.ingest import Ingest, Keys
from firewatch.rum.metrics import Metrics
from firewatch.serving import end_by_signal, inside_pages, listening, log_json


async def run(wanted: RealUserMonitoring, key: Path, port: int, metrics_port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    metrics, ended = Metrics(), end_by_signal()
    pages = Ingest(wanted, Keys(key), metrics).application()
    inside = inside_pages(metrics.registry)
    async with listening(pages, port), listening(inside, metrics_port):
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

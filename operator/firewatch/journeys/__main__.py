"""Take the journeys of a stack, and show what they come to on ``/metrics``."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from firewatch.api.journeys import Journey
from firewatch.journeys.metrics import Metrics
from firewatch.journeys.runner import repeat
from firewatch.journeys.steps import secrets_in
from firewatch.serving import end_by_signal, inside_pages, listening, log_json

_JOURNEYS = TypeAdapter(list[Journey])


async def run(journeys: Sequence[Journey], files: Path, port: int) -> None:
    """Take the journeys until SIGTERM or SIGINT, or until taking one fails by a fault of ours."""
    metrics, ended, read = Metrics(), end_by_signal(), secrets_in(files)
    async with listening(inside_pages(metrics.registry), port):
        tasks = [asyncio.create_task(repeat(each, read, metrics.note)) for each in journeys]
        for task in tasks:
            task.add_done_callback(lambda _: ended.set())
        await ended.wait()
        failed = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in failed:
            task.result()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="firewatch.journeys", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="journeys, as a list in JSON")
    parser.add_argument("--files", type=Path, required=True, help="folder of the Secrets' keys")
    parser.add_argument("--port", type=int, required=True, help="port of /metrics and /healthz")
    arguments = parser.parse_args()
    log_json()
    journeys = _JOURNEYS.validate_json(arguments.config.read_bytes())
    asyncio.run(run(journeys, arguments.files, arguments.port))


if __name__ == "__main__":
    main()

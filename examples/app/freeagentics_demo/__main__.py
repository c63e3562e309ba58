"""Run the application: ``python -m freeagentics_demo api``, ``workers`` or ``visitor``."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from .server import serve

PORTS = {"api": 8000, "workers": 8001, "visitor": 8002}


async def run(role: str, port: int, options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    visits = options.visit if role == "visitor" else ""
    async with serve(
        role,
        port=port,
        traffic_seconds=options.traffic_seconds,
        error_ratio=options.error_ratio,
        flag=options.flag,
        visits=visits,
    ) as example:
        sys.stdout.write(f"{role} listens on port {example.port}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="freeagentics_demo", description=__doc__)
    role = os.environ.get("ROLE", "api")
    parser.add_argument(
        "role", nargs="?", default=role, help="api, workers or visitor; else $ROLE; else api"
    )
    parser.add_argument(
        "--port", type=int, help="8000 for api, 8001 for workers, 8002 for visitor when left out"
    )
    parser.add_argument(
        "--traffic-seconds",
        type=float,
        default=0.25,
        help="pause between two requests that the application sends to itself; 0: none",
    )
    parser.add_argument(
        "--error-ratio", type=float, default=0.0, help="share of the requests that fail at first"
    )
    parser.add_argument(
        "--flag",
        type=Path,
        help="file that says on while a light answer is to be given, which never fails",
    )
    parser.add_argument(
        "--visit",
        default="http://api:8000/agents",
        help="address that a visitor asks, each time over a new connection",
    )
    arguments = parser.parse_args()
    if arguments.role not in PORTS:
        parser.error(f"role {arguments.role!r}: expected {' or '.join(PORTS)}")
    if not 0 <= arguments.error_ratio <= 1:
        parser.error("--error-ratio: expected a number from 0 to 1")
    port = PORTS[arguments.role] if arguments.port is None else arguments.port
    asyncio.run(run(arguments.role, port, arguments))


if __name__ == "__main__":
    main()

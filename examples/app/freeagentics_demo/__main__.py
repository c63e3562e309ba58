"""Run the application: ``python -m freeagentics_demo api`` or ``workers``."""

import argparse
import asyncio
import os
import signal
import sys

from .server import serve

PORTS = {"api": 8000, "workers": 8001}


async def run(role: str, port: int, traffic_seconds: float) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with serve(role, port=port, traffic_seconds=traffic_seconds) as example:
        sys.stdout.write(f"{role} listens on port {example.port}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="freeagentics_demo", description=__doc__)
    role = os.environ.get("ROLE", "api")
    parser.add_argument(
        "role", nargs="?", default=role, help="api or workers; else $ROLE; else api"
    )
    parser.add_argument("--port", type=int, help="8000 for api, 8001 for workers when left out")
    parser.add_argument(
        "--traffic-seconds",
        type=float,
        default=0.25,
        help="pause between two requests that the application sends to itself; 0: none",
    )
    arguments = parser.parse_args()
    if arguments.role not in PORTS:
        parser.error(f"role {arguments.role!r}: expected {' or '.join(PORTS)}")
    port = PORTS[arguments.role] if arguments.port is None else arguments.port
    asyncio.run(run(arguments.role, port, arguments.traffic_seconds))


if __name__ == "__main__":
    main()

"""A real Prometheus that is only asked to parse."""

import http.client
import json
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster import binaries
from e2e.cluster.progress import SilentProgress

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Parser:
    """The API of a Prometheus, over one connection."""

    connection: http.client.HTTPConnection

    def tree(self, expression: str) -> Any:
        """Return the syntax tree of an expression, None if Prometheus refuses it."""
        body = urllib.parse.urlencode({"query": expression})
        self.connection.request("POST", "/api/v1/parse_query", body, _HEADERS)
        answer = json.loads(self.connection.getresponse().read())
        return answer.get("data")


@contextmanager
def running_parser(folder: Path) -> Iterator[Parser]:
    """Run Prometheus with an empty configuration in a folder."""
    program = binaries.ensure(["prometheus"], SilentProgress()) / "prometheus"
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        _await_answer(connection)
        yield Parser(connection)
    finally:
        connection.close()
        process.terminate()
        process.wait()


def _await_answer(connection: http.client.HTTPConnection) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            connection.request("GET", "/-/ready")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return
        except OSError:
            connection.close()
        assert time.monotonic() < end
        time.sleep(0.05)

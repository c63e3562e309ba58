"""The cluster and the stack's Prometheus over plain HTTP on this machine, by `kubectl proxy`.

One long-lived process instead of a kubectl for every question: on a node that is overloaded on
purpose, the demo must not be part of the load.
"""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from e2e.demo.names import NAMESPACE, STACK, DemoError
from e2e.kubectl import Kubectl

_TIMEOUT = 10


@dataclass(frozen=True)
class Api:
    """HTTP requests as the administrator."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """Return what is at a path; ``OSError`` or ``ValueError`` if it cannot be read."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        return self._ask(urllib.request.Request(f"{self.url}{path}{query}"))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON to a path."""
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self._ask(urllib.request.Request(f"{self.url}{path}", data, headers, method="POST"))

    @staticmethod
    def _ask(request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return json.load(answer)


@contextmanager
def proxy(kubectl: Kubectl) -> Iterator[Api]:
    """Run `kubectl proxy` on a free port."""
    command = [str(kubectl.cluster.tools / "kubectl"), "proxy", "--port=0"]
    with subprocess.Popen(
        command, env=dict(kubectl.environment), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            address = said.rpartition(" ")[2].strip()
            if not address:
                raise DemoError("kubectl proxy did not start")
            yield Api(f"http://{address}")
        finally:
            process.terminate()


@dataclass(frozen=True)
class Rule:
    """An alerting rule as Prometheus runs it."""

    expression: str
    state: str
    """``inactive``, ``pending`` or ``firing``."""
    interval: float

    @property
    def value(self) -> str:
        """Return the expression of what is compared with the threshold."""
        return self.expression.rpartition(">")[0].strip()

    @property
    def threshold(self) -> float:
        """Return what it is compared with."""
        return float(self.expression.rpartition(">")[2])


@dataclass(frozen=True)
class Prometheus:
    """The stack's Prometheus, asked through its Service."""

    api: Api

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of Prometheus' HTTP API."""
        service = f"/api/v1/namespaces/{NAMESPACE}/services/{STACK}-prometheus:9090/proxy"
        return self.api.get(f"{service}/api/v1/{path}", **parameters)["data"]

    def value(self, expression: str) -> float | None:
        """Return the highest value of an instant query, or None if there is none."""
        found = self.ask("query", query=expression)["result"]
        return max((float(series["value"][1]) for series in found), default=None)

    def moments(self, selector: str, window: str) -> list[float]:
        """Return the times of all samples that a selector has in the window until now."""
        found = self.ask("query", query=f"{selector}[{window}]")["result"]
        return sorted({float(moment) for series in found for moment, _ in series["values"]})

    def rule(self, name: str) -> Rule | None:
        """Return an alerting rule, or None if it is not loaded."""
        data = self.ask("rules", **{"type": "alert", "rule_name[]": name})
        for group in data["groups"]:
            for rule in group["rules"]:
                return Rule(rule["query"], rule["state"], float(group["interval"]))
        return None

"""Prometheus' and Alertmanager's API as far as sources are asked, by servers that people might have.

One answers well. The others answer badly, each in its own way, and repeat what they were sent, as proxies
and gateways in front of such servers do.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

ALERT = "A"
GOOD = "good"
_TRAP = "trap"
"""Where redirects lead."""
_JSON = {"Content-Type": "application/json"}


class _Server(ThreadingHTTPServer):
    """A server that is asked by many at once."""

    daemon_threads = True
    request_queue_size = 128


class Servers:
    """Servers on this machine, each under a path of its own, and what they were asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[tuple[str, str]] = []
        self.http = _Server(("127.0.0.1", 0), _handler(self))

    def url(self, way: str, name: str = "any") -> str:
        """Return the address of a server that answers in some way."""
        return f"http://127.0.0.1:{self.http.server_port}/{way}/{name}"

    def credentials(self, way: str, name: str = "any") -> set[str]:
        """Return the credentials by which a server was asked; empty ones if there were none."""
        with self._lock:
            asked = [*self._asked]
        return {sent for path, sent in asked if path.startswith(f"/{way}/{name}/")}

    @property
    def has_trapped(self) -> bool:
        """Tell whether anybody was led astray."""
        with self._lock:
            return any(path.startswith(f"/{_TRAP}") for path, _ in self._asked)

    def note(self, path: str, credentials: str) -> None:
        """Remember what was asked, and by what."""
        with self._lock:
            self._asked.append((path, credentials))


@contextmanager
def answering() -> Iterator[Servers]:
    """Have the servers answer."""
    servers = Servers()
    thread = threading.Thread(target=servers.http.serve_forever, daemon=True)
    thread.start()
    try:
        yield servers
    finally:
        servers.http.shutdown()
        servers.http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def say(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _good(asked: _Handler, _sent: str) -> None:
    path = asked.path.partition("?")[0]
    if path.endswith("/api/v2/alerts"):
        asked.say(200, "[]", _JSON)
        return
    now = datetime.now(UTC)
    rule = {
        "type": "alerting",
        "name": ALERT,
        "query": "up == 0",
        "duration": 0,
        "labels": {},
        "annotations": {},
        "alerts": [],
        "health": "ok",
        "lastEvaluation": now.isoformat(),
    }
    answers = {
        "rules": {"groups": [{"name": "g", "file": "f", "interval": 15, "rules": [rule]}]},
        "runtimeinfo": {"startTime": (now - timedelta(hours=1)).isoformat()},
        "query": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "1"]}]},
    }
    data = answers[path.rpartition("/")[2]]
    asked.say(200, json.dumps({"status": "success", "data": data}), _JSON)


def _refuses(asked: _Handler, sent: str) -> None:
    headers = {"WWW-Authenticate": f'Bearer error_description="{sent}"', "X-Sent": sent}
    asked.say(401, f"<html>{sent} is not known here</html>", headers)


def _explains(asked: _Handler, sent: str) -> None:
    """Refuse in Prometheus' own form."""
    fault = {"status": "error", "errorType": "forbidden", "error": f"not by {sent}"}
    asked.say(403, json.dumps(fault), _JSON)


def _corrects(asked: _Handler, sent: str) -> None:
    """Refuse what was asked, in Prometheus' own form, where the form of refusal has a meaning."""
    fault = {"status": "error", "errorType": sent, "error": f"{sent}: parse error"}
    asked.say(400, json.dumps(fault), _JSON)


def _redirects(asked: _Handler, sent: str) -> None:
    where = f"http://{asked.headers['Host']}/{_TRAP}/{quote(sent, safe='')}"
    asked.say(302, f'<a href="{where}">{sent}</a>', {"Location": where})


def _strays(asked: _Handler, sent: str) -> None:
    """Answer with something else."""
    if "/api/v2/" in asked.path:
        asked.say(200, json.dumps([{"labels": sent, "status": {"state": sent}}]), _JSON)
    else:
        asked.say(200, json.dumps({"status": "success", "data": {sent: sent}}), _JSON)


def _babbles(asked: _Handler, sent: str) -> None:
    asked.say(200, f"{sent}\n{sent}")


def _breaks(asked: _Handler, sent: str) -> None:
    """Answer with what is no HTTP."""
    asked.wfile.write(f"HTTP/1.1 {sent}\r\n\r\n".encode())


def _garbles(asked: _Handler, sent: str) -> None:
    """Begin with HTTP and go on with what is none."""
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    asked.wfile.write(f"{head}{sent}\r\n".encode())


_WAYS: Mapping[str, Callable[[_Handler, str], None]] = {
    GOOD: _good,
    "refuses": _refuses,
    "explains": _explains,
    "corrects": _corrects,
    "redirects": _redirects,
    "strays": _strays,
    "babbles": _babbles,
    "breaks": _breaks,
    "garbles": _garbles,
}
BAD = tuple(way for way in _WAYS if way != GOOD)


def _handler(servers: Servers) -> type[_Handler]:
    class Handler(_Handler):
        def do_GET(self) -> None:
            sent = self.headers.get("Authorization", "")
            servers.note(self.path, sent)
            _WAYS.get(self.path.split("/")[1], _babbles)(self, sent)

    return Handler

"""Run inside a pod with a browser: serve a page, visit it, click, leave it, and take a picture.

With nothing but the standard library, since it is sent there as it stands: ``python3 - ADDRESS KEY < visit.py``, where the
address is that of real user monitoring and the lines after the program are none. It prints, as JSON, what
the browser says of errors, and the picture.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT, DRIVER_PORT = 8088, 9515
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""Key of an element's identity (W3C WebDriver, section 12)."""
OPTIONS = {
    "args": [
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--no-first-run", "--disable-quic", "--window-size=800,600"),
    ]
}
PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>A page</title>
  <link rel="icon" href="data:,">
  <script type="importmap">{"imports": {"@freeagentics/rum-sdk": "%(address)s/rum.js"}}</script>
  <script type="module">%(script)s</script>
</head>
<body>
  <h1>Agents</h1>
  <p>A page that is watched as its users see it.</p>
  <button id="pay">Pay</button>
  <script>
    document.querySelector("#pay").addEventListener("click", () => {
      rum.track("checkout", {duration: 120});
      setTimeout(() => { throw new Error("a script that fails"); });
      document.querySelector("p").textContent = "Paid.";
    });
  </script>
</body>
</html>
"""


class Pages(BaseHTTPRequestHandler):
    """Answers with the page, whatever is asked."""

    page = b""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def ask(method: str, path: str, body: Any = None) -> Any:
    """Ask the browser's driver."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{DRIVER_PORT}{path}",
        data,
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


@contextmanager
def session() -> Iterator[str]:
    """Open a browser meanwhile; give the path of its session."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*OPTIONS["args"], f"--user-data-dir={folder}"]
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        opened = ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        path = f"/session/{opened['sessionId']}"
        try:
            yield path
        finally:
            ask("DELETE", path)


def wait_for_driver() -> None:
    """Wait until the driver listens."""
    for _ in range(100):
        try:
            ask("GET", "/status")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the browser's driver does not answer")


def visit(path: str) -> dict[str, Any]:
    """Load the page, click, and leave it."""
    ask("POST", f"{path}/url", {"url": f"http://localhost:{PORT}/agents/7"})
    where = {"using": "css selector", "value": "#pay"}
    button = ask("POST", f"{path}/element", where)[ELEMENT]
    ask("POST", f"{path}/element/{button}/click", {})
    picture = ask("GET", f"{path}/screenshot")
    # An interaction is measured by the frame after it; leaving sends what waits.
    ask("POST", f"{path}/execute/async", {"script": SETTLED, "args": []})
    ask("POST", f"{path}/url", {"url": "about:blank"})
    log = ask("POST", f"{path}/se/log", {"type": "browser"})
    return {"log": [entry["message"] for entry in log], "picture": picture}


SETTLED = "const done = arguments[0]; setTimeout(() => requestAnimationFrame(() => done()), 500)"


def main(address: str, script: str) -> None:
    """Serve and visit the page, whose script is given."""
    Pages.page = (PAGE % {"address": address, "script": script}).encode()
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    driver = subprocess.Popen(
        ["chromedriver", f"--port={DRIVER_PORT}", "--log-level=SEVERE"], stdout=subprocess.DEVNULL
    )
    try:
        wait_for_driver()
        with session() as path:
            json.dump(visit(path), sys.stdout)
    finally:
        driver.terminate()
        driver.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])

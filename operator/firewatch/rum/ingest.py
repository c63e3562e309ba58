"""The address to which browsers send: who may, how much, and what is answered."""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from pydantic import ValidationError

from firewatch.api.real_users import RealUserMonitoring
from firewatch.rum.events import BODY_LIMIT, Batch, Reader
from firewatch.rum.limits import Limiter
from firewatch.rum.metrics import Metrics
from firewatch.rum.pages import Pages
from firewatch.serving import Handler

_log = logging.getLogger(__name__)

_READ_SECONDS = 5.0
_IDLE_SECONDS = 30.0
_PREFLIGHT_SECONDS = 600
_SCRIPT_SECONDS = 3600
_BROWSER = Path(__file__).parent / "browser"
_SCRIPTS = ("rum.js", "web-vitals.js")


class Keys:
    """The keys that are good at present; kubelet brings changes of the file."""

    _EVERY_SECONDS = 10.0

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._known: list[bytes] = []
        self._read_at: float | None = None

    def accept(self, key: str) -> bool:
        """Tell whether a key is good; none is while the file has none."""
        now = self._clock()
        if self._read_at is None or now - self._read_at >= self._EVERY_SECONDS:
            self._read_at = now
            self._read()
        given = key.encode(errors="replace")
        return any(hmac.compare_digest(each, given) for each in self._known)

    def _read(self) -> None:
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError as error:
            _log.warning("the API key cannot be read: %s; what is known stays", error.strerror)
            return
        self._known = [line.strip() for line in lines if line.strip()]


class Ingest:
    """Takes in what browsers send."""

    def __init__(
        self,
        wanted: RealUserMonitoring,
        keys: Keys,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted = wanted
        self._keys = keys
        self._metrics = metrics
        self._limiter = Limiter(wanted.limits, clock)
        self._reader = Reader(wanted, Pages(wanted.pages))

    def application(self) -> web.Application:
        """Return the web application."""
        application = web.Application(
            client_max_size=BODY_LIMIT,
            handler_args={"keepalive_timeout": _IDLE_SECONDS, "auto_decompress": False},
        )
        application.router.add_post("/v1/events", self.take)
        application.router.add_route("OPTIONS", "/v1/events", self.preflight)
        for name in _SCRIPTS:
            application.router.add_get(f"/{name}", _script(_BROWSER / name))
        return application

    async def take(self, request: web.Request) -> web.Response:
        """Take in one request of a browser."""
        origin = request.headers.get("Origin", "")
        if origin not in self._wanted.origins:
            return self._answer(HTTPStatus.FORBIDDEN, "forbidden_origin")
        if not self._limiter.allows(self._client(request)):
            return self._answer(HTTPStatus.TOO_MANY_REQUESTS, "limited", origin)
        try:
            async with asyncio.timeout(_READ_SECONDS):
                batch = Batch.model_validate_json(await request.read())
        except web.HTTPRequestEntityTooLarge:
            return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", origin)
        except (ValidationError, TimeoutError, web.RequestPayloadError, OSError):
            return self._answer(HTTPStatus.BAD_REQUEST, "malformed", origin)
        if not self._keys.accept(batch.api_key):
            return self._answer(HTTPStatus.UNAUTHORIZED, "unauthenticated", origin)
        for happening in self._reader.read(batch):
            self._metrics.note(happening)
        return self._answer(HTTPStatus.NO_CONTENT, "accepted", origin)

    async def preflight(self, request: web.Request) -> web.Response:
        """Answer whether a page may send, which browsers ask before what is no simple request."""
        origin = request.headers.get("Origin", "")
        if origin not in self._wanted.origins:
            return self._answer(HTTPStatus.FORBIDDEN, "forbidden_origin")
        headers = {
            **_allowing(origin),
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        }
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)

    def _client(self, request: web.Request) -> str:
        if self._wanted.behind_proxy and (chain := request.headers.getall("X-Forwarded-For", [])):
            return chain[-1].rpartition(",")[2].strip()
        return request.remote or ""

    def _answer(self, status: HTTPStatus, result: str, origin: str = "") -> web.Response:
        self._metrics.requests.labels(result).inc()
        return web.Response(status=status, headers=_allowing(origin) if origin else {})


def _allowing(origin: str) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _script(path: Path) -> Handler:
    content = path.read_bytes()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            body=content,
            headers={
                "Content-Type": "text/javascript; charset=utf-8",
                # A module of another origin is loaded only if that allows it; there is nothing secret in it.
                "Access-Control-Allow-Origin": "*",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Cache-Control": f"public, max-age={_SCRIPT_SECONDS}",
                "X-Content-Type-Options": "nosniff",
            },
        )

    return answer

"""The receiver: Prometheus pushes its alerts here as if to an Alertmanager.

A push is only a hint. It is answered once it is authenticated, read and noted; Prometheus never
sends one again, and need not, since the poll finds whatever was lost.
"""

import json
import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web

from firewatch.api.resource import Key
from firewatch.cluster.errors import ClusterError
from firewatch.respond.alerts import Alert, AlertState, matches, parse_pushed
from firewatch.respond.context import RespondContext
from firewatch.respond.sender import Senders

_log = logging.getLogger(__name__)

_BODY_LIMIT = 4 * 1024 * 1024
_ALERT_LIMIT = 10_000


class Receiver:
    """Takes in pushed alerts and wakes the targets that they concern."""

    def __init__(self, context: RespondContext) -> None:
        self._context = context
        self._senders = Senders(context.cluster, context.settings)

    def application(self) -> web.Application:
        """Return the web application."""
        application = web.Application(client_max_size=_BODY_LIMIT)
        application.router.add_post("/api/v2/alerts", self.post)
        return application

    async def post(self, request: web.Request) -> web.Response:
        """Take in one push."""
        try:
            source = await self._authenticate(request)
        except ClusterError as error:
            _log.warning("a push could not be authenticated: %s", error)
            return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
        if source is None:
            return self._answer(HTTPStatus.UNAUTHORIZED, "unauthenticated")
        try:
            items = _read_list(await request.read())
        except (ValueError, RecursionError) as error:
            return self._answer(HTTPStatus.BAD_REQUEST, "malformed", str(error))
        self._take(source, items)
        return self._answer(HTTPStatus.OK, "accepted")

    async def _authenticate(self, request: web.Request) -> Key | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        return await self._senders.identify(token.strip())

    def _answer(self, status: HTTPStatus, result: str, text: str = "") -> web.Response:
        self._context.metrics.alerts.requests.labels(result).inc()
        return web.Response(status=status, text=text or status.phrase)

    def _take(self, source: Key, items: list[Any]) -> None:
        """Note the alerts one by one, so that a bad one does not cost the others."""
        now, external = self._context.clock(), self._context.sources.external(source)
        alerts: list[Alert] = []
        for item in items:
            try:
                alerts.append(parse_pushed(item, external=external, now=now))
            except ValueError as error:
                self._context.metrics.alerts.received.labels("malformed").inc()
                _log.warning("an alert from %s was left out: %s", source, error)
        for alert in alerts:
            self._context.metrics.alerts.received.labels(alert.state).inc()
            if alert.state is AlertState.FIRING:
                self._context.sources.push(source, alert, now)
        self._wake(source, alerts)

    def _wake(self, source: Key, alerts: list[Alert]) -> None:
        """Wake the targets of firing alerts; a resolved one is only a reason to ask Prometheus."""
        resolved = False
        for entry in self._context.registry.of_source(source):
            hits = [alert for alert in alerts if matches(entry.spec.trigger, alert.labels)]
            firing = [alert for alert in hits if alert.state is AlertState.FIRING]
            resolved = resolved or len(firing) < len(hits)
            if firing:
                lag = (self._context.clock() - firing[0].starts_at).total_seconds()
                self._context.metrics.responses.detection_seconds.observe(max(0.0, lag))
                self._context.wake(entry.target)
        if resolved:
            self._context.wake(source)


def _read_list(body: bytes) -> list[Any]:
    items = json.loads(body)
    if not isinstance(items, list) or len(items) > _ALERT_LIMIT:
        raise ValueError(f"expected a list of at most {_ALERT_LIMIT} alerts")
    return items

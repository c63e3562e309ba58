"""The receiver: Prometheus pushes its alerts here as if to an Alertmanager, Alertmanager its webhook.

Both are only hints. A push of Prometheus is answered once it is authenticated, read and noted: it is
never sent again, and need not be, since the poll finds whatever was lost. A webhook is answered once
all that it leads to stands in a ledger, and otherwise with 503: then Alertmanager sends it again,
which it does for no other refusal.

Every replica has one. Prometheus pushes to all of them: those that stand by remember it for a while,
and act on it when they come to lead. A webhook comes to one of them, which hands it on to the leader.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from firewatch.api.resource import Key
from firewatch.cluster.errors import ClusterError
from firewatch.respond.alert_index import AlertIndex
from firewatch.respond.alerts import Alert, AlertState, parse_pushed
from firewatch.respond.context import RespondContext
from firewatch.respond.external import WebhookSenders
from firewatch.respond.relay import RELAYED, Relay
from firewatch.respond.sender import Senders
from firewatch.respond.webhook import parse_message

_log = logging.getLogger(__name__)

_BODY_LIMIT = 4 * 1024 * 1024
_ALERT_LIMIT = 10_000
_READ_SECONDS = 5.0
"""A body that takes longer holds a connection for nothing."""
_IDLE_SECONDS = 37.0
"""How long a connection may stand without a whole head of a request; aiohttp's own is an hour. No usual
interval of rules divides it, so that it does not end just when Prometheus sends again.
"""
_PASS_SECONDS = 5.0
"""How long a webhook waits for what it leads to; below Alertmanager's own patience of 10 s."""

Settle = Callable[[Key], Awaitable[bool]]
"""Takes a pass over a target and returns whether it succeeded."""


class Receiver:
    """Takes in alerts and wakes the targets that they concern."""

    def __init__(self, context: RespondContext, settle: Settle, relay: Relay) -> None:
        self._context = context
        self._settle = settle
        self._relay = relay
        self._senders = Senders(context.cluster, context.settings)
        self._webhooks = WebhookSenders(context.cluster, context.registry)

    def application(self) -> web.Application:
        """Return the web application."""
        application = web.Application(
            client_max_size=_BODY_LIMIT,
            handler_args={
                "keepalive_timeout": _IDLE_SECONDS,
                # No sender packs, and a few kilobytes would unpack to all that is taken.
                "auto_decompress": False,
                "logger": _http_log(),
            },
        )
        application.router.add_post("/api/v2/alerts", self.post)
        # Only what can be a namespace: other bytes of a path need not even be text.
        application.router.add_post("/webhook/{namespace:[a-z0-9-]+}", self.webhook)
        return application

    async def post(self, request: web.Request) -> web.Response:
        """Take in one push of Prometheus."""
        try:
            token = _token(request)
            source = await self._senders.identify(token) if token else None
        except ClusterError as error:
            return self._unavailable(error)
        if source is None:
            return self._answer(HTTPStatus.UNAUTHORIZED, "unauthenticated")
        try:
            items = _read_list(await _body(request))
        except (ValueError, RecursionError) as error:
            return self._answer(HTTPStatus.BAD_REQUEST, "malformed", str(error))
        self._take_pushed(source, items)
        return self._answer(HTTPStatus.OK, "accepted")

    async def webhook(self, request: web.Request) -> web.Response:
        """Take in one message of an Alertmanager that people run themselves."""
        namespace = request.match_info["namespace"]
        if not self._context.registry.is_filled:  # whom a token belongs to is not known yet
            return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "starting")
        try:
            token = _token(request)
            sources = await self._webhooks.identify(namespace, token) if token else None
        except ClusterError as error:
            return self._unavailable(error)
        if sources is None:
            return self._answer(HTTPStatus.UNAUTHORIZED, "unauthenticated")
        try:
            body = await _body(request)
        except ValueError as error:
            return self._answer(HTTPStatus.BAD_REQUEST, "malformed", str(error))
        if self._relay.leads():
            return await self._take_webhook(sources, body)
        return await self._hand_on(request, namespace, token, body)

    async def _take_webhook(self, sources: Iterable[Key], body: bytes) -> web.Response:
        """Act on a message, and say whether all that it leads to stands in a ledger."""
        try:
            targets = {t for source in sorted(sources) for t in self._take_message(source, body)}
        except (ValueError, RecursionError) as error:
            return self._answer(HTTPStatus.BAD_REQUEST, "malformed", str(error))
        if not await self._settled(targets):
            return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "unsettled", "try again")
        return self._answer(HTTPStatus.OK, "accepted")

    async def _hand_on(
        self, request: web.Request, namespace: str, token: str, body: bytes
    ) -> web.Response:
        """Have the replica that leads answer."""
        relayed = RELAYED in request.headers
        verdict = await self._relay.send(namespace, token, body, relayed=relayed)
        is_answered = verdict.status is not HTTPStatus.SERVICE_UNAVAILABLE
        result = "relayed" if is_answered else "notRelayed"
        return self._answer(verdict.status, result, verdict.text)

    def _answer(self, status: HTTPStatus, result: str, text: str = "") -> web.Response:
        self._context.metrics.alerts.requests.labels(result).inc()
        return web.Response(status=status, text=text or status.phrase)

    def _unavailable(self, error: ClusterError) -> web.Response:
        _log.warning("a message could not be authenticated: %s", error)
        return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")

    def _take_pushed(self, source: Key, items: list[Any]) -> None:
        """Note the alerts one by one, so that a bad one does not cost the others."""
        now, external = self._context.clock(), self._context.sources.external(source)
        alerts: list[Alert] = []
        problems: list[str] = []
        for item in items:
            try:
                alerts.append(parse_pushed(item, external=external, now=now))
            except ValueError as error:
                problems.append(str(error))
        self._left_out(source, problems)
        for target in self._note(source, alerts):
            self._context.wake(target)

    def _take_message(self, source: Key, body: bytes) -> set[Key]:
        """Note the alerts of a webhook; return the targets that they concern."""
        external = self._context.sources.external(source)
        message = parse_message(body, external=external, now=self._context.clock())
        self._left_out(source, message.problems)
        if message.truncated:  # Prometheus knows the rest
            self._context.wake(source)
        return self._note(source, message.alerts)

    def _left_out(self, source: Key, problems: Sequence[str]) -> None:
        """Count what could not be read, and log it in one line however much it is."""
        if problems:
            count = len(problems)
            self._context.metrics.alerts.received.labels("malformed").inc(count)
            first = problems[0]
            _log.warning("%d alerts from %s were left out, the first: %s", count, source, first)

    def _note(self, source: Key, alerts: Iterable[Alert]) -> set[Key]:
        """Note alerts; a resolved one is only a reason to ask Prometheus."""
        alerts, now = list(alerts), self._context.clock()
        entries = self._context.registry.of_source(source)
        # Of a source that nobody listens to nothing is kept.
        if entries and any(alert.state is AlertState.FIRING for alert in alerts):
            self._context.sources.hear(source, now)
        for alert in alerts:
            self._context.metrics.alerts.received.labels(alert.state).inc()
        index = AlertIndex(alerts)
        targets: set[Key] = set()
        # What starts no response is not kept: that would be all that a Prometheus ever sends.
        news: dict[str, Alert] = {}
        for entry in entries:
            hits = index.matching(entry.spec.trigger)
            firing = [alert for alert in hits if alert.state is AlertState.FIRING]
            if len(firing) < len(hits) or (firing and entry.spec.heeds_silences):
                self._context.wake(source)
            if firing:
                lag = (now - firing[0].starts_at).total_seconds()
                self._context.metrics.responses.detection_seconds.observe(max(0.0, lag))
                targets.add(entry.target)
                news |= {alert.identity: alert for alert in firing}
        # All at once: what is known is looked through for old alerts each time.
        if news:
            self._context.sources.push(source, news.values(), now)
        return targets

    async def _settled(self, targets: Iterable[Key]) -> bool:
        """Take a pass over each target; tell whether all have come to their ends in time, and well."""
        try:
            async with asyncio.timeout(_PASS_SECONDS):
                return all(await asyncio.gather(*map(self._settle, targets)))
        except TimeoutError:
            return False


def _token(request: web.Request) -> str:
    """Return the token of a request; bytes that are no text stand for none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_token = scheme.lower() == "bearer" and token.isprintable()
    return token.strip() if is_token else ""


async def _body(request: web.Request) -> bytes:
    """Return the body; ``ValueError`` if it does not come, or not in time."""
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await request.read()
    except TimeoutError:
        raise ValueError(f"the body did not come within {_READ_SECONDS:.0f} s") from None
    except (web.RequestPayloadError, OSError) as error:
        # Neither a body that is no HTTP nor a sender that has gone is a failure of ours.
        raise ValueError("the body cannot be read") from error


def _http_log() -> logging.Logger:
    """Return where the HTTP server tells of failures; whoever sends what is no HTTP fills no log."""
    log = logging.getLogger(f"{__name__}.http")
    log.addFilter(_is_failure)
    return log


def _is_failure(record: logging.LogRecord) -> bool:
    """Tell whether a line of the HTTP server is about a failure of ours."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


def _read_list(body: bytes) -> list[Any]:
    items = json.loads(body)
    if not isinstance(items, list) or len(items) > _ALERT_LIMIT:
        raise ValueError(f"expected a list of at most {_ALERT_LIMIT} alerts")
    return items

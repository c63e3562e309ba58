"""The HTTP API of a stack's Alertmanager, as far as the operator asks it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from firewatch.api.resource import Object
from firewatch.cluster.http import NoAnswerError, fetch

_ANSWER_LIMIT = 16 * 1024 * 1024
_NOTIFICATIONS = "alertmanager_notifications"
_REQUESTS = "alertmanager_notification_requests"


class AlertmanagerError(Exception):
    """Alertmanager did not answer, or not as expected; ``str()`` says why."""


class ReloadRefusedError(AlertmanagerError):
    """Alertmanager refuses its configuration; ``str()`` is its own verdict."""


@dataclass(frozen=True)
class Sent:
    """How many notifications an integration of a receiver has been given, and has failed to send."""

    tried: float = 0
    failed: float = 0


Ways = Mapping[tuple[str, str], Sent]
"""By receiver and integration."""


@dataclass(frozen=True)
class Alertmanager:
    """One Alertmanager server."""

    session: aiohttp.ClientSession
    url: str
    """Base URL, without a slash at the end."""

    async def configuration(self) -> str:
        """Return the configuration that the server runs, as YAML without its secrets."""
        status = await self._status()
        return str(status["config"]["original"])

    async def version(self) -> str:
        """Return the server's version."""
        status = await self._status()
        return str(status["versionInfo"]["version"])

    async def peers(self) -> int:
        """Return how many servers its mesh has, itself among them."""
        status = await self._status()
        return max(1, len(status["cluster"].get("peers") or ()))

    async def reload(self) -> None:
        """Have the server read its files anew; ``ReloadRefusedError`` if it does not like them."""
        status, text = await self._fetch("POST", "/-/reload")
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ReloadRefusedError(text.strip().removeprefix("failed to reload config: "))
        _expect_ok(status)

    async def sent(self) -> dict[tuple[str, str], Sent]:
        """Return the counts of notifications since the server started; tries again are not counted."""
        return _counts(await self._get("/metrics"), _NOTIFICATIONS)

    async def requests(self) -> dict[tuple[str, str], Sent]:
        """Return the counts of requests that notifications have taken, each when it is answered."""
        return _counts(await self._get("/metrics"), _REQUESTS)

    async def has_alert(self, *matchers: str) -> bool:
        """Tell whether there is an alert that all of these matchers match."""
        filters = [("filter", matcher) for matcher in matchers]
        status, text = await self._fetch("GET", "/api/v2/alerts", params=filters)
        _expect_ok(status)
        return text.strip() != "[]"

    async def send(self, alerts: Sequence[Object]) -> None:
        """Send alerts, as Prometheus does."""
        status, _ = await self._fetch("POST", "/api/v2/alerts", json=alerts)
        _expect_ok(status)

    async def _status(self) -> Object:
        try:
            status: Object = json.loads(await self._get("/api/v2/status"))
        except ValueError as error:
            raise AlertmanagerError("the answer of /api/v2/status is not JSON") from error
        if not {"config", "cluster", "versionInfo"} <= status.keys():
            raise AlertmanagerError("the answer of /api/v2/status is not understood")
        return status

    async def _get(self, path: str) -> str:
        status, text = await self._fetch("GET", path)
        _expect_ok(status)
        return text

    async def _fetch(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        try:
            status, body = await fetch(
                self.session, method, self.url + path, limit=_ANSWER_LIMIT, **options
            )
        except NoAnswerError as error:
            raise AlertmanagerError(str(error)) from error
        return status, body.decode(errors="replace")


def _expect_ok(status: int) -> None:
    if status != HTTPStatus.OK:
        raise AlertmanagerError(f"HTTP {status}")


def _counts(text: str, what: str) -> dict[tuple[str, str], Sent]:
    """Return a pair of counters by receiver and integration."""
    found: dict[tuple[str, str], Sent] = {}
    for family in text_string_to_metric_families(text):
        if family.name not in {what, f"{what}_failed"}:
            continue
        for sample in family.samples:
            way = (sample.labels.get("receiver_name", ""), sample.labels["integration"])
            before = found.get(way, Sent())
            if family.name == what:
                found[way] = Sent(before.tried + sample.value, before.failed)
            else:
                found[way] = Sent(before.tried, before.failed + sample.value)
    return found

"""The HTTP API of a stack's Alertmanager, as far as the operator asks it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from firewatch.api.resource import Object
from firewatch.cluster.http import NoAnswerError, fetch
from firewatch.cluster.trust import Trust

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
class State:
    """What a server says of itself."""

    configuration: str
    """The configuration that it runs, as YAML without its secrets."""
    version: str
    peers: int
    """How many servers its mesh has, itself among them."""


@dataclass(frozen=True)
class Shown:
    """An alert as a server shows it."""

    labels: dict[str, str]
    is_muted: bool
    """Whether a silence or another alert mutes it."""


@dataclass(frozen=True)
class Alertmanager:
    """One Alertmanager server."""

    session: aiohttp.ClientSession
    url: str
    """Base URL, without a slash at the end."""
    trust: Trust | None = None
    """By what the server's certificate is checked, if that is not left to the image's authorities."""
    authorization: str = field(default="", repr=False)
    """Header by which the operator proves itself; empty for none."""

    async def state(self) -> State:
        """Return what the server says of itself."""
        status = await self._status()
        return State(
            configuration=str(status["config"]["original"]),
            version=str(status["versionInfo"]["version"]),
            peers=max(1, len(status["cluster"].get("peers") or ())),
        )

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
        return bool(await self._read("/api/v2/alerts", params=filters))

    async def alerts(self, *matchers: str) -> list[Shown]:
        """Return the alerts that all of these matchers match, muted or not."""
        filters = [("filter", matcher) for matcher in matchers]
        found = await self._read("/api/v2/alerts", params=filters)
        try:
            return [Shown(dict(each["labels"]), _is_muted(each["status"])) for each in found]
        except (KeyError, TypeError, ValueError):
            raise AlertmanagerError("the answer of /api/v2/alerts is not understood") from None

    async def send(self, alerts: Sequence[Object]) -> None:
        """Send alerts, as Prometheus does."""
        status, _ = await self._fetch("POST", "/api/v2/alerts", json=alerts)
        _expect_ok(status)

    async def _status(self) -> Object:
        status: Object = await self._read("/api/v2/status")
        if not {"config", "cluster", "versionInfo"} <= status.keys():
            raise AlertmanagerError("the answer of /api/v2/status is not understood")
        return status

    async def _read(self, path: str, **options: Any) -> Any:
        text = await self._get(path, **options)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise AlertmanagerError(f"the answer of {path} is not JSON") from error

    async def _get(self, path: str, **options: Any) -> str:
        status, text = await self._fetch("GET", path, **options)
        _expect_ok(status)
        return text

    async def _fetch(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        try:
            status, body = await fetch(
                self.session,
                method,
                self.url + path,
                limit=_ANSWER_LIMIT,
                **self._access(),
                **options,
            )
        except NoAnswerError as error:
            raise AlertmanagerError(str(error)) from error
        return status, body.decode(errors="replace")

    def _access(self) -> dict[str, Any]:
        """Return how aiohttp is to check the server, and to prove itself."""
        access: dict[str, Any] = {}
        if self.trust is not None:
            if self.trust.context is None:
                raise AlertmanagerError(self.trust.problem)
            access = {"ssl": self.trust.context, "server_hostname": self.trust.server_name}
        if self.authorization:
            # Not to whomever an answer may point to: the credentials are for this server alone.
            headers = {"Authorization": self.authorization}
            access |= {"headers": headers, "allow_redirects": False}
        return access


def _is_muted(status: Object) -> bool:
    return bool(status["silencedBy"] or status["inhibitedBy"])


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

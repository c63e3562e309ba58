"""The HTTP API of a stack's Grafana, as far as the operator asks it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp

from firewatch.cluster.http import NoAnswerError, basic_authorization, fetch

_ANSWER_LIMIT = 4 * 1024 * 1024
_MOST_WORDS = 300
_MOST_DASHBOARDS = 5000
"""As many as it shows at a time."""


class GrafanaError(Exception):
    """Grafana did not answer, or not as expected; ``str()`` says why."""


class CredentialsRefusedError(GrafanaError):
    """Grafana does not take the administrator's name or password."""


class ProvisioningRefusedError(GrafanaError):
    """Grafana refuses a file; ``str()`` is its own verdict."""


@dataclass(frozen=True)
class ShownSource:
    """A data source as Grafana shows it."""

    name: str
    settings: dict[str, Any]
    """Its ``jsonData``."""


@dataclass(frozen=True)
class Grafana:
    """One Grafana server."""

    session: aiohttp.ClientSession
    url: str
    """Base URL, without a slash at the end."""
    user: str
    password: str = field(repr=False)

    async def version(self) -> str:
        """Return the version that it says it has; empty if it keeps that to itself."""
        status, answer = await self._fetch("GET", "/api/health", proved=False)
        if status != HTTPStatus.OK or not isinstance(answer, dict):
            raise GrafanaError(f"/api/health: HTTP {status}")
        return str(answer.get("version", ""))

    async def data_sources(self) -> Sequence[ShownSource]:
        """Return the data sources that it has."""
        status, answer = await self._fetch("GET", "/api/datasources")
        try:
            return [ShownSource(str(each["name"]), dict(each["jsonData"] or {})) for each in answer]
        except (KeyError, TypeError, ValueError):
            raise GrafanaError(f"/api/datasources: HTTP {status}, not understood") from None

    async def reload_data_sources(self) -> None:
        """Have it read the file with its data sources; ``ProvisioningRefusedError`` if it is refused."""
        await self._reload("datasources")

    async def dashboards(self) -> frozenset[str]:
        """Return the uids of the dashboards that it has."""
        path = f"/api/search?type=dash-db&limit={_MOST_DASHBOARDS}"
        status, answer = await self._fetch("GET", path)
        try:
            return frozenset(str(each["uid"]) for each in answer)
        except (KeyError, TypeError):
            raise GrafanaError(f"/api/search: HTTP {status}, not understood") from None

    async def reload_dashboards(self) -> None:
        """Have it read the folders and files of its dashboards; ``ProvisioningRefusedError`` if refused."""
        await self._reload("dashboards")

    async def _reload(self, what: str) -> None:
        status, answer = await self._fetch("POST", f"/api/admin/provisioning/{what}/reload")
        if status != HTTPStatus.OK:
            said = answer.get("message") if isinstance(answer, dict) else None
            raise ProvisioningRefusedError(str(said or f"HTTP {status}")[:_MOST_WORDS])

    async def _fetch(self, method: str, path: str, *, proved: bool = True) -> tuple[int, Any]:
        """Return the status and the JSON of an answer, None where it is none."""
        proof = {"Authorization": basic_authorization(self.user, self.password)}
        try:
            status, body = await fetch(
                self.session,
                method,
                self.url + path,
                limit=_ANSWER_LIMIT,
                headers=proof if proved else {},
                # Not to whomever an answer may point to: the credentials are for this server alone.
                allow_redirects=False,
            )
        except NoAnswerError as error:
            raise GrafanaError(str(error)) from error
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise CredentialsRefusedError(f"HTTP {status}")
        try:
            return status, json.loads(body)
        except (ValueError, RecursionError):
            return status, None

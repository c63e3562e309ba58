"""Grafana's HTTP API, as far as the operator asks it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp

from firewatch.api.resource import Object
from firewatch.cluster.http import NoAnswerError, UntrustedError, fetch
from firewatch.cluster.trust import Trust

_ANSWER_LIMIT = 4 * 1024 * 1024
_MOST_WORDS = 300
_MOST_FOLDERS = 1000
_MOST_DASHBOARDS = 5000
"""As many as it shows at a time."""


class GrafanaError(Exception):
    """Grafana did not answer, or not as expected; ``str()`` says why."""


class CredentialsRefusedError(GrafanaError):
    """Grafana does not take what the operator proves itself with, or it may not do enough."""


class ProvisioningRefusedError(GrafanaError):
    """Grafana refuses a file; ``str()`` is its own verdict."""


class DashboardRefusedError(GrafanaError):
    """Grafana refuses a dashboard; ``str()`` is its own verdict."""


@dataclass(frozen=True)
class StoredDashboard:
    """A dashboard as Grafana has it."""

    tags: frozenset[str]
    version: int
    """Grows whenever somebody saves it."""


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
    authorization: str = field(repr=False)
    """Header by which the operator proves itself."""
    trust: Trust | None = None
    """By what the server's certificate is checked, if it serves HTTPS."""

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

    async def tagged(self, tag: str) -> Mapping[str, frozenset[str]]:
        """Return the tags of the dashboards that have this one, by uid."""
        query = {"type": "dash-db", "tag": tag, "limit": str(_MOST_DASHBOARDS)}
        status, answer = await self._fetch("GET", "/api/search", params=query)
        try:
            return {str(each["uid"]): frozenset(map(str, each["tags"])) for each in answer}
        except (KeyError, TypeError):
            raise GrafanaError(f"/api/search: HTTP {status}, not understood") from None

    async def dashboard(self, uid: str) -> StoredDashboard | None:
        """Return a dashboard; None if there is none."""
        status, answer = await self._fetch("GET", f"/api/dashboards/uid/{uid}")
        if status == HTTPStatus.NOT_FOUND:
            return None
        try:
            tags = frozenset(map(str, answer["dashboard"].get("tags") or ()))
            return StoredDashboard(tags, int(answer["meta"]["version"]))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise GrafanaError(f"/api/dashboards/uid: HTTP {status}, not understood") from None

    async def save_dashboard(self, content: Object, *, folder: str, message: str) -> int:
        """Make or replace a dashboard in the folder of this uid; return the version that it has then.

        ``DashboardRefusedError`` if Grafana does not take it.
        """
        body = {"dashboard": content, "folderUid": folder, "overwrite": True, "message": message}
        status, answer = await self._fetch("POST", "/api/dashboards/db", json=body)
        if status != HTTPStatus.OK:
            raise DashboardRefusedError(self._said(status, answer))
        try:
            return int(answer["version"])
        except (KeyError, TypeError, ValueError):
            raise GrafanaError("/api/dashboards/db: its answer is not understood") from None

    async def delete_dashboard(self, uid: str) -> None:
        """Take a dashboard away; it is fine if there is none."""
        status, answer = await self._fetch("DELETE", f"/api/dashboards/uid/{uid}")
        if status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            raise GrafanaError(f"/api/dashboards/uid: {self._said(status, answer)}")

    async def folders(self) -> Mapping[str, str]:
        """Return the uids of the uppermost folders by title."""
        status, answer = await self._fetch("GET", f"/api/folders?limit={_MOST_FOLDERS}")
        try:
            return {str(each["title"]): str(each["uid"]) for each in answer}
        except (KeyError, TypeError):
            raise GrafanaError(f"/api/folders: HTTP {status}, not understood") from None

    async def make_folder(self, title: str) -> str:
        """Make a folder; return its uid."""
        status, answer = await self._fetch("POST", "/api/folders", json={"title": title})
        if status != HTTPStatus.OK or not isinstance(answer, dict) or "uid" not in answer:
            raise GrafanaError(f"/api/folders: {self._said(status, answer)}")
        return str(answer["uid"])

    async def folder_permissions(self, uid: str) -> Sequence[Object]:
        """Return who may do what in a folder, as Grafana shows it."""
        status, answer = await self._fetch("GET", f"/api/folders/{uid}/permissions")
        if status != HTTPStatus.OK or not isinstance(answer, list):
            raise GrafanaError(f"/api/folders/permissions: {self._said(status, answer)}")
        return answer

    async def permit(self, uid: str, items: Sequence[Object]) -> None:
        """Let these, and nobody else but administrators, do what they say in a folder."""
        path = f"/api/folders/{uid}/permissions"
        status, answer = await self._fetch("POST", path, json={"items": [*items]})
        if status != HTTPStatus.OK:
            raise GrafanaError(f"/api/folders/permissions: {self._said(status, answer)}")

    async def reload_dashboards(self) -> None:
        """Have it read the folders and files of its dashboards; ``ProvisioningRefusedError`` if refused."""
        await self._reload("dashboards")

    async def _reload(self, what: str) -> None:
        status, answer = await self._fetch("POST", f"/api/admin/provisioning/{what}/reload")
        if status != HTTPStatus.OK:
            raise ProvisioningRefusedError(self._said(status, answer))

    async def _fetch(
        self, method: str, path: str, *, proved: bool = True, **options: Any
    ) -> tuple[int, Any]:
        """Return the status and the JSON of an answer, None where it is none."""
        proof = {"Authorization": self.authorization}
        try:
            status, body = await fetch(
                self.session,
                method,
                self.url + path,
                limit=_ANSWER_LIMIT,
                headers=proof if proved else {},
                # Not to whomever an answer may point to: the credentials are for this server alone.
                allow_redirects=False,
                **self._security(),
                **options,
            )
        except UntrustedError as error:
            words = self.trust.explain(error.code, str(error)) if self.trust else str(error)
            raise GrafanaError(words) from error
        except NoAnswerError as error:
            raise GrafanaError(str(error)) from error
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise CredentialsRefusedError(f"HTTP {status}")
        try:
            return status, json.loads(body)
        except (ValueError, RecursionError):
            return status, None

    def _security(self) -> dict[str, Any]:
        """Return how aiohttp is to check the server's certificate."""
        if self.trust is None:
            return {}
        if self.trust.context is None:
            raise GrafanaError(self.trust.problem)
        return {"ssl": self.trust.context, "server_hostname": self.trust.server_name}

    def _said(self, status: int, answer: Any) -> str:
        """Return what it says is wrong, unless it repeats what the operator proves itself with."""
        said = str(answer.get("message") or "") if isinstance(answer, dict) else ""
        if not said or self.authorization.rpartition(" ")[2] in said:
            return f"HTTP {status}"
        return said[:_MOST_WORDS]

"""The HTTP API of a stack's Prometheus, as far as the operator asks it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

import aiohttp

from firewatch.cluster.http import NoAnswerError, UntrustedError, fetch
from firewatch.cluster.trust import Trust

_PLAIN = {"Accept-Encoding": "identity"}
"""Packing costs both sides more than sending."""
_FORM = {**_PLAIN, "Content-Type": "application/x-www-form-urlencoded"}
_ANSWER_LIMIT = 32 * 1024 * 1024
_FAULTS = frozenset(
    {
        *("timeout", "canceled", "execution", "bad_data"),
        *("internal", "unavailable", "not_found", "not_acceptable"),
    }
)
"""Prometheus' own words for what is wrong."""


class PrometheusError(Exception):
    """Prometheus did not answer, or did not understand; ``str()`` says why."""


class CertificateError(PrometheusError):
    """The server's certificate is refused, or there is nothing to check it by."""


class BadQueryError(PrometheusError):
    """Prometheus refuses an expression; ``str()`` is its own verdict."""


@dataclass(frozen=True)
class RuleAlert:
    """An alert that a rule has at present."""

    labels: Mapping[str, str]
    state: str
    """``pending`` or ``firing``."""
    active_at: datetime
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    """Value of the expression; None if it is no finite number."""


@dataclass(frozen=True)
class RuntimeRule:
    """An alerting rule as the server runs it."""

    name: str
    group: str
    file: str
    expression: str
    labels: Mapping[str, str]
    health: str
    """``ok``, ``err`` or ``unknown`` (not evaluated yet)."""
    last_error: str
    last_evaluation: datetime | None
    interval: timedelta
    hold: timedelta
    """The rule's ``for``."""
    alerts: tuple[RuleAlert, ...]


@dataclass(frozen=True)
class ScrapedTarget:
    """A target as the server knows it."""

    url: str
    error: str
    """Why its last scrape failed; empty if it did not."""


@dataclass(frozen=True)
class Prometheus:
    """One Prometheus server."""

    session: aiohttp.ClientSession
    url: str
    """Base URL, without a slash at the end."""
    trust: Trust | None = None
    """By what the server's certificate is checked, if it serves HTTPS."""
    authorization: str = field(default="", repr=False)
    """Header by which the operator proves itself; empty for none."""

    async def configuration(self) -> str:
        """Return the configuration that the server runs, as YAML."""
        data = await self._get("/api/v1/status/config")
        return str(data["yaml"])

    async def version(self) -> str:
        """Return the server's version."""
        data = await self._get("/api/v1/status/buildinfo")
        return str(data["version"])

    async def started_at(self) -> datetime:
        """Return when the server's process started."""
        data = await self._get("/api/v1/status/runtimeinfo")
        return datetime.fromisoformat(data["startTime"])

    async def reload_succeeded(self) -> bool:
        """Tell whether the last reload of configuration and rules succeeded."""
        data = await self._get("/api/v1/status/runtimeinfo")
        return bool(data["reloadConfigSuccess"])

    async def check(self, expression: str) -> None:
        """Let the server parse an expression; ``BadQueryError`` if it refuses it."""
        status, body = await self._post_query("/api/v1/parse_query", expression)
        if status == HTTPStatus.NOT_FOUND:  # before version 3, which one of others may be
            status, body = await self._post_query("/api/v1/format_query", expression)
        if status != HTTPStatus.OK:
            _data(status, body)

    async def tree(self, expression: str) -> Any:
        """Return the server's syntax tree of an expression; ``BadQueryError`` if it refuses it."""
        return _data(*await self._post_query("/api/v1/parse_query", expression))

    async def has_series(self, query: str) -> bool:
        """Tell whether an instant query returns anything."""
        data = await self._get("/api/v1/query", [("query", query)])
        return bool(data["result"])

    async def samples(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and values of the series of an instant query."""
        data = await self._get("/api/v1/query", [("query", query)])
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    async def value(self, query: str) -> float | None:
        """Return the value of the one series of an instant query; None if there is none."""
        data = await self._get("/api/v1/query", [("query", query)])
        return float(data["result"][0]["value"][1]) if data["result"] else None

    async def by_label(self, query: str, label: str) -> dict[str, float]:
        """Return the values of an instant query by one label of their series."""
        data = await self._get("/api/v1/query", [("query", query)])
        return {
            str(sample["metric"].get(label, "")): float(sample["value"][1])
            for sample in data["result"]
        }

    async def largest_metrics(self) -> list[tuple[str, int]]:
        """Return the ten metrics with the most series in memory, with their numbers."""
        data = await self._get("/api/v1/status/tsdb", [("limit", "10")])
        return [(each["name"], int(each["value"])) for each in data["seriesCountByMetricName"]]

    async def targets(self, job: str) -> list[ScrapedTarget]:
        """Return the targets of one job."""
        parameters = [("state", "active"), ("scrapePool", job)]
        data = await self._get("/api/v1/targets", parameters)
        return [
            ScrapedTarget(target["scrapeUrl"], target.get("lastError", ""))
            for target in data["activeTargets"]
        ]

    async def alertmanagers(self) -> list[str]:
        """Return the addresses to which the server sends alerts at present."""
        data = await self._get("/api/v1/alertmanagers")
        return [str(each["url"]) for each in data["activeAlertmanagers"]]

    async def firing(self) -> set[str]:
        """Return the names of all alerts that fire."""
        data = await self._get("/api/v1/alerts")
        firing = (each["labels"] for each in data["alerts"] if each["state"] == "firing")
        return {labels["alertname"] for labels in firing}

    async def rules(
        self,
        *,
        names: Sequence[str] = (),
        groups: Sequence[str] = (),
        match: str = "",
    ) -> list[RuntimeRule]:
        """Return alerting rules: by name, by group, by a selector on the rules' labels, or all."""
        parameters = [
            ("type", "alert"),
            *(("rule_name[]", name) for name in names),
            *(("rule_group[]", group) for group in groups),
            *([("match[]", match)] if match else []),
        ]
        data = await self._get("/api/v1/rules", parameters)
        return [_rule(group, rule) for group in data["groups"] for rule in group.get("rules") or ()]

    async def _get(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> Any:
        status, body = await self._fetch("GET", path, params=parameters, headers=_PLAIN)
        return _data(status, body, is_quoted=not self.authorization)

    async def _post_query(self, path: str, expression: str) -> tuple[int, bytes]:
        """Send an expression in the body: it may be longer than an address should be."""
        body = f"query={quote_plus(expression)}".encode()
        return await self._fetch("POST", path, data=body, headers=_FORM)

    async def _fetch(self, method: str, path: str, **options: Any) -> tuple[int, bytes]:
        try:
            return await fetch(
                self.session,
                method,
                self.url + path,
                limit=_ANSWER_LIMIT,
                **self._security(),
                **self._signed(options),
            )
        except UntrustedError as error:
            words = self.trust.explain(error.code, str(error)) if self.trust else str(error)
            raise CertificateError(words) from error
        except NoAnswerError as error:
            raise PrometheusError(str(error)) from error

    def _signed(self, options: dict[str, Any]) -> dict[str, Any]:
        if not self.authorization:
            return options
        headers = {**options.get("headers", {}), "Authorization": self.authorization}
        # Not to whomever an answer may point to: the credentials are for this server alone.
        return {**options, "headers": headers, "allow_redirects": False}

    def _security(self) -> dict[str, Any]:
        """Return how aiohttp is to check the server's certificate."""
        if self.trust is None:
            return {}
        if self.trust.context is None:
            raise CertificateError(self.trust.problem)
        return {"ssl": self.trust.context, "server_hostname": self.trust.server_name}


def _data(status: int, body: bytes, *, is_quoted: bool = True) -> Any:
    """Return what an answer holds; an error tells the server's own words only where that is safe."""
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise PrometheusError(f"HTTP {status}, not JSON") from error
    except RecursionError:
        raise BadQueryError("the answer is nested too deeply") from None
    if not isinstance(answer, Mapping):
        raise PrometheusError(f"HTTP {status}, not the answer of a Prometheus")
    if answer.get("status") == "success":
        return answer.get("data")
    message = str(answer.get("error", f"HTTP {status}"))
    if not is_quoted:  # it may hold the credentials that it was sent
        kind = str(answer.get("errorType"))
        message = f"HTTP {status} ({kind})" if kind in _FAULTS else f"HTTP {status}"
    if status == HTTPStatus.BAD_REQUEST:
        raise BadQueryError(message)
    raise PrometheusError(message)


def _rule(group: Mapping[str, Any], rule: Mapping[str, Any]) -> RuntimeRule:
    return RuntimeRule(
        name=rule["name"],
        group=group["name"],
        file=group["file"],
        expression=rule["query"],
        labels=rule.get("labels") or {},
        health=rule["health"],
        last_error=rule.get("lastError", ""),
        last_evaluation=_moment(rule.get("lastEvaluation")),
        interval=timedelta(seconds=group["interval"]),
        hold=timedelta(seconds=rule.get("duration", 0)),
        alerts=tuple(map(_rule_alert, rule.get("alerts") or ())),
    )


def _rule_alert(alert: Mapping[str, Any]) -> RuleAlert:
    return RuleAlert(
        labels=alert["labels"],
        state=alert["state"],
        active_at=datetime.fromisoformat(alert["activeAt"]),
        annotations=alert.get("annotations") or {},
        value=_finite(alert.get("value")),
    )


def _finite(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _moment(text: str | None) -> datetime | None:
    """Return a time; Go's zero time means that there is none."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.year > 1 else None

"""What Alertmanager's webhook says (pure): payload version 4, alert by alert.

The status of the whole message says nothing about one alert in it (openfaas/faas#37).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from firewatch.respond.alerts import Alert, parse_webhook_alert

VERSION = "4"
_ALERT_LIMIT = 10_000


@dataclass(frozen=True)
class Message:
    """One message."""

    alerts: tuple[Alert, ...]
    truncated: bool
    """Whether there are alerts that it does not tell of."""
    problems: tuple[str, ...]
    """What is wrong with alerts that were left out."""


def parse_message(body: bytes, *, external: Collection[str], now: datetime) -> Message:
    """Read a message; ``ValueError`` or ``RecursionError`` if it is none."""
    content = json.loads(body)
    if not isinstance(content, Mapping) or content.get("version") != VERSION:
        raise ValueError(f"expected a message of Alertmanager's webhook, version {VERSION}")
    items = content.get("alerts")
    if not isinstance(items, list) or len(items) > _ALERT_LIMIT:
        raise ValueError(f"expected a list of at most {_ALERT_LIMIT} alerts")
    alerts, problems = _parse(items, external, now)
    truncated = content.get("truncatedAlerts") or 0
    is_truncated = isinstance(truncated, int) and truncated > 0
    return Message(tuple(alerts), is_truncated, tuple(problems))


def _parse(
    items: list[Any], external: Collection[str], now: datetime
) -> tuple[list[Alert], list[str]]:
    alerts: list[Alert] = []
    problems: list[str] = []
    for item in items:
        try:
            alerts.append(parse_webhook_alert(item, external=external, now=now))
        except ValueError as error:
            problems.append(str(error))
    return alerts, problems

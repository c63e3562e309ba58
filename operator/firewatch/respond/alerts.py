"""Alerts as they come in, and the one identity that they have whichever way they come (pure)."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from firewatch.api.triggers import Preset, Trigger
from firewatch.build import escalations, selftest, watchdog

PRESET_LABEL = "firewatch_preset"
PRESET_ALERTS: Mapping[Preset, frozenset[str]] = {
    Preset.CPU_HIGH: frozenset({"HighCPUUsage"}),
    Preset.MEMORY_HIGH: frozenset({"HighMemoryUsage"}),
    Preset.DISK_LOW: frozenset({"DiskSpaceLow"}),
    Preset.ERROR_RATE_HIGH: frozenset({"APIHighErrorRate"}),
    Preset.FAILURE_RATE_HIGH: frozenset({"AgentCoordinationFailures"}),
}
"""The runbook's alert names that count as a preset without its label."""
_NO_NEWS = frozenset({watchdog.ALERT, selftest.ALERT, escalations.ALERT})
"""Alerts that always fire, are a test, or are about another alert."""
_TOLD = ("summary", "description")
"""Annotations that messages to people may quote."""
_LONGEST = 256


class AlertState(StrEnum):
    """State of an alert at its source."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Alert:
    """One alert, without the labels that its source adds to everything."""

    identity: str
    name: str
    labels: Mapping[str, str]
    state: AlertState
    starts_at: datetime
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Its summary and description, if it has any."""
    value: float | None = None
    """What its rule measures, where more of it is worse; None if that is not known."""


def identify(labels: Mapping[str, str]) -> str:
    """Return the identity of an alert: a hash of its labels."""
    text = json.dumps(sorted(labels.items()), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def own_labels(labels: Mapping[str, str], external: Collection[str]) -> dict[str, str]:
    """Return the labels of an alert without the source's external and replica labels."""
    return {name: value for name, value in labels.items() if name not in external}


def parse_pushed(item: Any, *, external: Collection[str], now: datetime) -> Alert:
    """Read an alert as Prometheus pushes it to ``/api/v2/alerts``.

    It fires while ``endsAt`` lies ahead; Prometheus renews it about once a minute. ``ValueError``
    if it is not an alert.
    """
    if not isinstance(item, Mapping) or not isinstance(item.get("labels"), Mapping):
        raise ValueError("an alert is an object with labels")  # noqa: TRY004 - one error for bad input
    labels = _strings(item["labels"])
    ends_at = _time(item.get("endsAt"))
    state = AlertState.RESOLVED if ends_at is not None and ends_at <= now else AlertState.FIRING
    since = _time(item.get("startsAt")) or now
    return _alert(labels, external, state, since=since, annotations=item.get("annotations"))


def parse_webhook_alert(item: Any, *, external: Collection[str], now: datetime) -> Alert:
    """Read an alert of Alertmanager's webhook, which says itself whether it fires.

    ``ValueError`` if it is not an alert.
    """
    if not isinstance(item, Mapping) or not isinstance(item.get("labels"), Mapping):
        raise ValueError("an alert is an object with labels")  # noqa: TRY004 - one error for bad input
    if item.get("status") not in (AlertState.FIRING, AlertState.RESOLVED):
        raise ValueError("the status of an alert is firing or resolved")
    state, labels = AlertState(item["status"]), _strings(item["labels"])
    since = _time(item.get("startsAt")) or now
    return _alert(labels, external, state, since=since, annotations=item.get("annotations"))


def polled_alert(
    labels: Mapping[str, str],
    *,
    state: str,
    active_at: datetime,
    external: Collection[str],
    annotations: Mapping[str, str] | None = None,
    value: float | None = None,
) -> Alert:
    """Return an alert as the rules API of Prometheus lists it."""
    found = _alert(labels, external, AlertState(state), since=active_at, annotations=annotations)
    return replace(found, value=value)


def _alert(
    labels: Mapping[str, str],
    external: Collection[str],
    state: AlertState,
    *,
    since: datetime,
    annotations: Any,
) -> Alert:
    own = own_labels(labels, external)
    name = own.get("alertname", "")
    if not name:
        raise ValueError("an alert has the label alertname")
    return Alert(identify(own), name, own, state, since, _told(annotations))


def _told(annotations: Any) -> dict[str, str]:
    """Return what people may be told, cut to a length; whatever is no text is left out."""
    given = annotations if isinstance(annotations, Mapping) else {}
    texts = ((name, given.get(name)) for name in _TOLD)
    return {name: text[:_LONGEST] for name, text in texts if isinstance(text, str) and text}


def _strings(labels: Mapping[Any, Any]) -> dict[str, str]:
    if not all(isinstance(k, str) and isinstance(v, str) for k, v in labels.items()):
        raise ValueError("label names and values are strings")
    return dict(labels)


def _time(value: Any) -> datetime | None:
    """Read a time of the alerts API; its zero value means that there is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("a time is a text")  # noqa: TRY004 - one error for bad input
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    try:
        return moment.astimezone(UTC) if moment.year > 1 else None
    except OverflowError:
        raise ValueError(f"{value!r} is beyond all years") from None


def matches(trigger: Trigger, labels: Mapping[str, str]) -> bool:
    """Tell whether an alert with these labels starts the response."""
    return may_match(trigger, labels.get("alertname", ""), labels) and (
        trigger.labels.items() <= labels.items()
    )


def may_match(trigger: Trigger, alert_name: str, labels: Mapping[str, str]) -> bool:
    """Tell whether alerts of a rule with this name and these labels could start the response."""
    if trigger.preset is None:
        return alert_name == trigger.alert
    if trigger.preset is Preset.ALERT_CREATED:
        return is_news(alert_name)
    return labels.get(PRESET_LABEL) == trigger.preset or alert_name in PRESET_ALERTS[trigger.preset]


def is_news(alert_name: str) -> bool:
    """Tell whether an alert of this name says that something is the matter."""
    return alert_name not in _NO_NEWS

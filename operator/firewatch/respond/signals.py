"""Tell whether an alert fires, has resolved, or cannot be told (pure).

Resolved is only what Prometheus itself shows as resolved while it demonstrably has data. Everything
else holds: a response is never undone because something could not be seen.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from firewatch.api.responses import Trigger
from firewatch.respond.alerts import Alert, AlertState, matches, may_match

UNREACHABLE = "SourceUnreachable"
"""Reason of whatever follows from a Prometheus that cannot be asked."""
_STALE_INTERVALS = 3
_STALE_MARGIN = timedelta(seconds=5)


class Kind(StrEnum):
    """What a response may conclude."""

    FIRING = "Firing"
    RESOLVED = "Resolved"
    HOLD = "Hold"
    RULE_GONE = "RuleGone"


@dataclass(frozen=True)
class Signal:
    """The conclusion for one response, with its reason for people."""

    kind: Kind
    reason: str
    message: str
    alert: Alert | None = None
    count: int = 0
    """How many matching alerts fire."""


@dataclass(frozen=True)
class RuleState:
    """An alerting rule as its Prometheus runs it."""

    name: str
    labels: dict[str, str]
    healthy: bool
    error: str
    evaluated_at: datetime | None
    interval: timedelta
    hold: timedelta
    """The rule's ``for``."""
    has_data: bool | None
    """Whether every metric of the expression has a series; None when that could not be told."""
    alerts: tuple[Alert, ...]


@dataclass(frozen=True)
class SourceState:
    """What the last poll of a stack's Prometheus found."""

    polled_at: datetime
    """When the poll began: what was pushed before is known to it."""
    error: str = ""
    """Why the poll failed; empty if it succeeded."""
    started_at: datetime | None = None
    """When the Prometheus process started."""
    rules: tuple[RuleState, ...] = ()


@dataclass(frozen=True)
class Pushed:
    """An alert that was pushed, and when it arrived."""

    alert: Alert
    at: datetime


@dataclass(frozen=True)
class Source:
    """Everything known about the alerts of one stack."""

    state: SourceState | None = None
    pushed: dict[str, Pushed] = field(default_factory=dict)


def judge(trigger: Trigger, source: Source, now: datetime) -> Signal:
    """Return what a response with this trigger may conclude."""
    firing = sorted(_firing(trigger, source), key=lambda alert: alert.starts_at)
    if firing:
        return Signal(
            Kind.FIRING, "Firing", f"{firing[0].name} fires", firing[0], count=len(firing)
        )
    state = source.state
    if state is None:
        return _hold("NotPolled", "Prometheus has not been asked yet")
    if state.error:
        return _hold(UNREACHABLE, f"Prometheus cannot be asked: {state.error}")
    rules = [rule for rule in state.rules if may_match(trigger, rule.name, rule.labels)]
    if not rules:
        return Signal(
            Kind.RULE_GONE,
            "RuleGone",
            f"no rule named {trigger.alert or trigger.preset} is loaded in Prometheus",
        )
    return _unsettled(trigger, rules, state, now) or Signal(
        Kind.RESOLVED, "Resolved", "no matching alert is active"
    )


def _firing(trigger: Trigger, source: Source) -> Iterable[Alert]:
    state = source.state
    known: Collection[Alert] = () if state is None or state.error else _polled(state)
    for alert in known:
        if alert.state is AlertState.FIRING and matches(trigger, alert.labels):
            yield alert
    polled = {alert.identity for alert in known if alert.state is AlertState.FIRING}
    for push in source.pushed.values():
        newer = state is None or bool(state.error) or push.at > state.polled_at
        alert = push.alert
        if newer and alert.identity not in polled and matches(trigger, alert.labels):
            yield alert


def _polled(state: SourceState) -> list[Alert]:
    return [alert for rule in state.rules for alert in rule.alerts]


def _unsettled(
    trigger: Trigger, rules: list[RuleState], state: SourceState, now: datetime
) -> Signal | None:
    """Return why it cannot be told that the alert has resolved, if so."""
    for rule in rules:
        settled = max(rule.hold, 2 * rule.interval)
        if state.started_at is not None and now - state.started_at < settled:
            return _hold("SourceStarting", "Prometheus has only just started")
        if not rule.healthy:
            return _hold("RuleUnhealthy", f"rule {rule.name} fails: {rule.error}")
        fresh = _STALE_INTERVALS * rule.interval + _STALE_MARGIN
        if rule.evaluated_at is None or now - rule.evaluated_at > fresh:
            return _hold("RuleStale", f"rule {rule.name} is not being evaluated")
        if any(
            alert.state is AlertState.PENDING and matches(trigger, alert.labels)
            for alert in rule.alerts
        ):
            return _hold("Pending", f"{rule.name} is pending")
        if not rule.has_data:
            return _hold(
                "NoData", f"the metrics of rule {rule.name} have no data, so it proves nothing"
            )
    return None


def _hold(reason: str, message: str) -> Signal:
    return Signal(Kind.HOLD, reason, message)

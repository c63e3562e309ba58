"""Tell whether an alert fires, has resolved, or cannot be told (pure).

Resolved is only what Prometheus itself shows as resolved while it demonstrably has data. Everything
else holds: a response is never undone because something could not be seen.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from firewatch.api.recovery import Recovery
from firewatch.api.triggers import Preset, Trigger
from firewatch.respond.alerts import Alert, AlertState, matches, may_match
from firewatch.respond.heartbeats import Pulse
from firewatch.respond.load import Limit, Load, Sample, find_load

UNREACHABLE = "SourceUnreachable"
"""Reason of whatever follows from a Prometheus that cannot be asked."""
NOT_POLLED = "NotPolled"
"""Reason of what follows from one that has not been asked yet."""
NOT_LISTED = "NotAtAlertmanager"
"""Reason of what follows from an alert of which Alertmanager does not say yet whether it is muted."""
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
    names: tuple[str, ...] = ()
    """Names of those, the oldest first."""
    load: Load | None = None
    """What the target carries, where the alert's rule says that."""
    value: float | None = None
    """The worst that the rules of the alerts measure that fire, where more is worse."""


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
    limit: Limit | None = None
    """What it compares with a number."""
    samples: tuple[Sample, ...] = ()
    """What that is at present."""


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
    answers: Mapping[str, bool] = field(default_factory=dict)
    """Whether expressions of ``recovery.when`` return something."""
    muted: frozenset[str] = frozenset()
    """Identities of the alerts that Alertmanager mutes, if anybody heeds that; for a while after it has
    ceased to answer, of those that it muted.
    """
    muted_error: str = ""
    """Why Alertmanager could not be asked for them."""
    unanswered_since: datetime | None = None
    """Since when it does not answer."""
    unlisted: Mapping[str, datetime] = field(default_factory=dict)
    """Identities of alerts that Alertmanager is about to get, and since when that is waited for."""
    pulse: Pulse | None = None
    """What must be heard of the source."""
    pushes_missing: bool | None = False
    """Whether that is missing; None if it is too early to tell."""
    token_error: str = ""
    """Why nothing that its webhook posts can be taken."""


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
    muted: frozenset[str] = frozenset()
    """Identities of alerts that count as resolved, since Alertmanager mutes them."""
    doubtful: frozenset[str] = frozenset()
    """Identities of alerts of which it cannot be told yet whether it does."""


def heed_silences(source: Source) -> Source:
    """Return what is known about a source with the alerts out of account that are muted, or may be.

    What was pushed since counts once Prometheus and Alertmanager have been asked: only then it can be
    told whether it is muted. Where Prometheus cannot be asked, it counts at once.
    """
    state = source.state
    if state is None or state.error:
        return source
    if state.muted_error:
        return Source(state, doubtful=state.muted.union(state.unlisted))
    return Source(state, muted=state.muted, doubtful=frozenset(state.unlisted))


def judge(
    trigger: Trigger, source: Source, now: datetime, recovery: Recovery | None = None
) -> Signal:
    """Return what a response with this trigger may conclude, and when it is to recover."""
    firing = sorted(_firing(trigger, source), key=lambda alert: alert.starts_at)
    if firing:
        return Signal(
            Kind.FIRING,
            "Firing",
            f"{firing[0].name} fires",
            firing[0],
            count=len(firing),
            names=tuple(dict.fromkeys(alert.name for alert in firing)),
            value=max((a.value for a in firing if a.value is not None), default=None),
        )
    return _silent(trigger, source, now, recovery or Recovery())


def _silent(trigger: Trigger, source: Source, now: datetime, recovery: Recovery) -> Signal:
    """Return what may be concluded where no alert fires that counts."""
    state = source.state
    if state is None:
        return _hold(NOT_POLLED, "Prometheus has not been asked yet")
    if state.error:
        return _hold(UNREACHABLE, f"Prometheus cannot be asked: {state.error}")
    if trigger.preset is Preset.ALERT_CREATED:
        # Of all alerts together nothing else can be told; each is judged by its own name.
        resolved = Signal(Kind.RESOLVED, "Resolved", "no matching alert is active")
        return _doubted(trigger, source) or resolved
    rules = [rule for rule in state.rules if may_match(trigger, rule.name, rule.labels)]
    if not rules:
        return Signal(
            Kind.RULE_GONE,
            "RuleGone",
            f"no rule named {trigger.alert or trigger.preset} is loaded in Prometheus",
        )
    return (
        _unsettled(trigger, rules, state, now)
        or _doubted(trigger, source)
        or _not_yet(recovery, state)
        or _muted(trigger, source)
        or Signal(
            Kind.RESOLVED,
            "Resolved",
            "no matching alert is active",
            load=_load(trigger, rules, recovery),
        )
    )


def _doubted(trigger: Trigger, source: Source) -> Signal | None:
    """Return that the alert fires and may be silenced, if so."""
    doubted = {a.name for a in _active(trigger, source) if a.identity in source.doubtful}
    if not doubted:
        return None
    names = ", ".join(sorted(doubted))
    return _hold(NOT_LISTED, f"{names} fires, and Alertmanager does not say yet if it is silenced")


def _muted(trigger: Trigger, source: Source) -> Signal | None:
    """Return that the alert fires and does not count, if so.

    Whoever has muted it knows of the load, so that is not looked at.
    """
    names = sorted({alert.name for alert in _active(trigger, source)})
    if not names:
        return None
    message = f"{', '.join(names)} fires and is silenced, which counts as resolved here"
    return Signal(Kind.RESOLVED, "Silenced", message)


def judge_names(
    trigger: Trigger, source: Source, now: datetime, names: Iterable[str]
) -> dict[str, Signal]:
    """Return what may be concluded of each alert that the trigger means, by its name."""
    return {
        name: judge(trigger.model_copy(update={"alert": name, "preset": None}), source, now)
        for name in names
    }


def _not_yet(recovery: Recovery, state: SourceState) -> Signal | None:
    """Return that the user's own condition does not hold, if so."""
    if recovery.when is None:
        return None
    answer = state.answers.get(recovery.when)
    if answer is None:
        return _hold("RecoveryUnknown", "recovery.when could not be asked")
    return None if answer else _hold("RecoveryWhen", "recovery.when returns nothing yet")


def _load(trigger: Trigger, rules: Iterable[RuleState], recovery: Recovery) -> Load | None:
    """Return the load that comes nearest to its limit."""
    if recovery.when is not None or not recovery.load_aware:
        return None
    found = (find_load(rule.limit, rule.samples, trigger.labels) for rule in rules)
    return max(
        (load for load in found if load), key=lambda load: load.value / load.limit, default=None
    )


def _firing(trigger: Trigger, source: Source) -> Iterable[Alert]:
    """Return the alerts that fire and count."""
    left_out = source.muted | source.doubtful
    return (a for a in _active(trigger, source) if a.identity not in left_out)


def _active(trigger: Trigger, source: Source) -> Iterable[Alert]:
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


def errors_since(signal: Signal, source: Source) -> datetime | None:
    """Return since when the condition of the alert that fires holds; None if that is not known.

    Prometheus lists that moment; what it pushes says when the alert began to fire, which is later by
    the rule's ``for``.
    """
    alert, state = signal.alert, source.state
    if alert is None or state is None or state.error:
        return None
    listed = (each for each in _polled(state) if each.identity == alert.identity)
    if found := next(listed, None):
        return found.starts_at
    holds = [rule.hold for rule in state.rules if rule.name == alert.name]
    return alert.starts_at - max(holds) if holds else None


def _hold(reason: str, message: str) -> Signal:
    return Signal(Kind.HOLD, reason, message)

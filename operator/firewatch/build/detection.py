"""How long it takes until somebody is told (pure): from the first sample that shows the trouble.

That is at most one scrape and one evaluation, the alert's own ``for``, and the time for which
Alertmanager gathers a first message. Detection within five minutes is an objective of the runbook.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from firewatch.api.alerting import Alerting
from firewatch.api.alerts import AlertDetection, AlertPolicySpec, PrometheusRule, RuleWarning
from firewatch.api.resource import format_duration, parse_duration
from firewatch.api.routing import Route, RouteBranch, RouteLeaf
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.lint.findings import Scrapes
from firewatch.build.lint.rules import scrapes_of
from firewatch.build.lint.uses import find_uses
from firewatch.build.rules import ESCALATIONS_GROUP, Group, slo_period_group
from firewatch.build.slos import REMAINING

OBJECTIVE = timedelta(minutes=5)
_GROUP_WAIT = timedelta(seconds=30)
"""Alertmanager's own, where no route says otherwise (its docs/configuration.md)."""
_NONE = timedelta(0)


@dataclass(frozen=True)
class Pace:
    """How fast a stack goes from a sample to a message, and how far back it can look."""

    scrapes: Scrapes = field(default_factory=Scrapes)
    evaluation: timedelta = timedelta(seconds=15)
    group_wait: timedelta = _GROUP_WAIT
    """The longest of any route of the stack; 0 without Alertmanager."""
    kept: timedelta | None = None
    """For how long samples are kept, if that is known."""


@dataclass(frozen=True)
class _Detection:
    """What the time until an alert is told is made of."""

    scrape: timedelta
    evaluation: timedelta
    hold: timedelta
    group_wait: timedelta

    @property
    def total(self) -> timedelta:
        return self.scrape + self.evaluation + self.hold + self.group_wait

    def __str__(self) -> str:
        return (
            f"scrape {_text(self.scrape)} + evaluation {_text(self.evaluation)}"
            f" + for {_text(self.hold)} + group_wait {_text(self.group_wait)}"
        )


def pace_of(spec: MonitoringStackSpec, kept: str = "") -> Pace:
    """Return the pace of a stack; ``kept`` is its retention, where another than its own is in force."""
    metrics = spec.metrics
    if metrics is None:
        return Pace(group_wait=_stack_wait(spec.alerting))
    return Pace(
        scrapes_of(metrics),
        _span(metrics.evaluation_interval),
        _stack_wait(spec.alerting),
        _span(kept or metrics.retention.time),
    )


def find_detections(
    spec: AlertPolicySpec, groups: Iterable[Group], pace: Pace
) -> list[AlertDetection]:
    """Return how long it takes until each alert is told, the slowest first."""
    slowest: dict[str, timedelta] = {}
    for _, _, rule, found in _detections(spec, groups, pace):
        slowest[rule.alert or ""] = max(found.total, slowest.get(rule.alert or "", _NONE))
    ordered = sorted(slowest.items(), key=lambda item: (-item[1], item[0]))
    return [AlertDetection(alert=name, within=_text(total)) for name, total in ordered]


def detection_warnings(
    spec: AlertPolicySpec, groups: Iterable[Group], pace: Pace
) -> Iterator[RuleWarning]:
    """Yield the alerts that are told too late, and objectives over more time than there are samples of."""
    for group, index, rule, found in _detections(spec, groups, pace):
        if found.total > OBJECTIVE:
            yield RuleWarning(
                group=group,
                index=index,
                rule=rule.alert or "",
                code="DetectionBudgetExceeded",
                message=f"people are told up to {_text(found.total)} after the first sample that shows"
                f" it ({found}); the objective is {_text(OBJECTIVE)}: shorten for, where false alarms"
                " allow it",
            )
    yield from _windows_beyond_retention(spec, pace)


def _windows_beyond_retention(spec: AlertPolicySpec, pace: Pace) -> Iterator[RuleWarning]:
    for slo in spec.slos:
        if pace.kept is not None and _span(slo.window) > pace.kept:
            yield RuleWarning(
                group=slo_period_group(slo),
                index=0,
                rule=REMAINING,
                code="WindowBeyondRetention",
                message=f"objective {slo.name}: its window is {slo.window} and samples are kept for"
                f" {_text(pace.kept)}, so that the error budget counts only these; keep samples for"
                " longer, or choose a shorter window",
            )


def _detections(
    spec: AlertPolicySpec, groups: Iterable[Group], pace: Pace
) -> Iterator[tuple[str, int, PrometheusRule, _Detection]]:
    wait = max([pace.group_wait, *_waits(spec.routes)])
    for group in groups:
        if group.name == ESCALATIONS_GROUP:
            continue  # they tell of alerts that have been told
        for index, rule in enumerate(group.rules):
            if rule.alert:
                yield group.name, index, rule, _detection(group, rule, pace, wait)


def _detection(group: Group, rule: PrometheusRule, pace: Pace, wait: timedelta) -> _Detection:
    interval, offset = group.header.get("interval"), group.header.get("query_offset")
    scrapes = [pace.scrapes.of(use) for use in find_uses(rule.expr)]
    return _Detection(
        scrape=max(scrapes, default=pace.scrapes.interval),
        evaluation=(_span(interval) if interval else pace.evaluation) + _span(offset),
        hold=_span(rule.for_),
        group_wait=wait,
    )


def _stack_wait(alerting: Alerting | None) -> timedelta:
    if alerting is None:
        return _NONE
    root = alerting.route
    own = _span(root.group_wait) if root.group_wait else _GROUP_WAIT
    return max([own, *_waits(root.routes)])


def _waits(routes: Iterable[RouteLeaf]) -> Iterator[timedelta]:
    for route in routes:
        if route.group_wait:
            yield _span(route.group_wait)
        if isinstance(route, Route | RouteBranch):
            yield from _waits(route.routes)


def _span(text: str | None) -> timedelta:
    return timedelta(seconds=parse_duration(text)) if text else _NONE


def _text(span: timedelta) -> str:
    return format_duration(span.total_seconds())

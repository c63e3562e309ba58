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
class Detection:
    """What the time until an alert is told is made of."""

    group: str
    index: int
    """Place of the alert's rule in its group."""
    alert: str
    scrape: timedelta
    evaluation: timedelta
    hold: timedelta
    group_wait: timedelta

    @property
    def total(self) -> timedelta:
        """Return the time at most."""
        return self.scrape + self.evaluation + self.hold + self.group_wait

    def __str__(self) -> str:
        """Return its parts."""
        return (
            f"scrape {_text(self.scrape)} + evaluation {_text(self.evaluation)}"
            f" + for {_text(self.hold)} + group_wait {_text(self.group_wait)}"
        )


def pace_of(spec: MonitoringStackSpec, kept: str = "") -> Pace:
    """Return the pace of a stack; ``kept`` is its retention, where another than its own is in force."""
    metrics = spec.metrics
    if external := spec.external.prometheus:
        return Pace(
            Scrapes(_span(external.scrape_interval)),
            _span(external.evaluation_interval),
            _stack_wait(spec.alerting),
        )
    if metrics is None:
        return Pace(group_wait=_stack_wait(spec.alerting))
    return Pace(
        scrapes_of(metrics),
        _span(metrics.evaluation_interval),
        _stack_wait(spec.alerting),
        _span(kept or metrics.retention.time),
    )


def find_detections(spec: AlertPolicySpec, groups: Iterable[Group], pace: Pace) -> list[Detection]:
    """Return how long it takes until people are told of each alert of a policy."""
    wait = max([pace.group_wait, *_waits(spec.routes)])
    return [
        _detection(group, index, rule, pace=pace, wait=wait)
        for group in groups
        # Escalations tell of alerts that have been told.
        if group.name != ESCALATIONS_GROUP
        for index, rule in enumerate(group.rules)
        if rule.alert
    ]


def slowest(detections: Iterable[Detection]) -> list[AlertDetection]:
    """Return the time of each alert by its name, the slowest first."""
    times: dict[str, timedelta] = {}
    for each in detections:
        times[each.alert] = max(each.total, times.get(each.alert, _NONE))
    ordered = sorted(times.items(), key=lambda item: (-item[1], item[0]))
    return [AlertDetection(alert=name, within=_text(total)) for name, total in ordered]


def detection_warnings(
    spec: AlertPolicySpec, detections: Iterable[Detection], pace: Pace
) -> Iterator[RuleWarning]:
    """Yield the alerts that are told too late, and objectives over more time than there are samples of."""
    for each in detections:
        if each.total > OBJECTIVE:
            yield RuleWarning(
                group=each.group,
                index=each.index,
                rule=each.alert,
                code="DetectionBudgetExceeded",
                message=f"people are told up to {_text(each.total)} after the first sample that shows"
                f" it ({each}); the objective is {_text(OBJECTIVE)}: shorten for, where false alarms"
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


def _detection(
    group: Group, index: int, rule: PrometheusRule, *, pace: Pace, wait: timedelta
) -> Detection:
    interval, offset = group.header.get("interval"), group.header.get("query_offset")
    scrapes = [pace.scrapes.of(use) for use in find_uses(rule.expr)]
    return Detection(
        group=group.name,
        index=index,
        alert=rule.alert or "",
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

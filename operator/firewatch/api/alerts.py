"""AlertPolicy: what is wrong enough to tell somebody."""

from typing import Annotated

from pydantic import Field, JsonValue

from firewatch.api.alerting import LeftOut
from firewatch.api.receivers import Receiver
from firewatch.api.resource import (
    Column,
    Conditions,
    CustomKind,
    Duration,
    Interval,
    LabelName,
    Model,
    PrometheusModel,
    Rule,
    Status,
    rules,
)
from firewatch.api.routes import Inhibition, PolicyRoute
from firewatch.api.routing import TimeInterval
from firewatch.api.rule_tests import RuleTests
from firewatch.api.selection import StackRef
from firewatch.api.slos import Slo
from firewatch.api.thresholds import Threshold

_BY_NAME: dict[str, JsonValue] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}
Expression = Annotated[str, Field(min_length=1, max_length=8192)]
"""A PromQL expression."""
Text = Annotated[str, Field(max_length=4096)]
"""A text that may hold Prometheus templates."""


class PrometheusRule(
    PrometheusModel,
    json_schema_extra=rules(
        Rule("has(self.alert) != has(self.record)", "set exactly one of alert and record"),
        Rule(
            "!has(self.record) || !(has(self.for) || has(self.keep_firing_for)"
            " || has(self.annotations))",
            "a recording rule has no for, keep_firing_for or annotations",
        ),
    ),
):
    """An alerting or a recording rule, exactly as in a Prometheus rule file."""

    alert: str | None = Field(default=None, min_length=1, max_length=256)
    """Name of the alert."""
    record: str | None = Field(default=None, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=256)
    """Name of the series that a recording rule writes."""
    expr: Expression
    """PromQL expression."""
    for_: Duration | None = Field(default=None, alias="for")
    """How long the expression must hold before the alert fires."""
    keep_firing_for: Duration | None = None
    """How long the alert goes on firing after the expression has ceased to hold."""
    labels: dict[LabelName, Text] = Field(default={}, max_length=32)
    """Labels added to the alert or series."""
    annotations: dict[LabelName, Text] = Field(default={}, max_length=32)
    """Texts for people."""


class RuleGroup(PrometheusModel):
    """A group of rules, exactly as in a Prometheus rule file."""

    name: str = Field(min_length=1, max_length=256, pattern=r"^[^\n\r]+$")
    """Name of the group, unique in this policy."""
    interval: Interval | None = None
    """How often the group is evaluated; the stack's ``evaluationInterval`` when left out."""
    limit: int | None = Field(default=None, ge=0)
    """Most alerts or series that a rule may produce; 0 or left out is no limit."""
    query_offset: Duration | None = None
    """How far in the past the group is evaluated, for samples that arrive late."""
    labels: dict[LabelName, Text] = Field(default={}, max_length=32)
    """Labels added to every rule of the group; a rule's own labels win."""
    rules: list[PrometheusRule] = Field(max_length=256)
    """The rules, evaluated in this order."""


class AlertPolicySpec(
    Model,
    json_schema_extra=rules(
        Rule(
            "(has(self.groups) && size(self.groups) > 0)"
            " || (has(self.thresholds) && size(self.thresholds) > 0)"
            " || (has(self.slos) && size(self.slos) > 0)"
            " || (has(self.routes) && size(self.routes) > 0)"
            " || (has(self.inhibit) && size(self.inhibit) > 0)",
            "set groups, thresholds, slos, routes or inhibit: an empty policy does nothing",
        )
    ),
):
    """What is wrong enough to tell somebody."""

    stack_ref: StackRef | None = None
    """The MonitoringStack that runs the rules. When left out it is the only one of this
    namespace. One of another namespace has to be named: it is given the credentials of ``receivers``.
    """
    groups: list[RuleGroup] = Field(
        default=[],
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Rule groups in Prometheus' own format."""
    thresholds: list[Threshold] = Field(default=[], max_length=64)
    """Alerts in short form."""
    slos: list[Slo] = Field(default=[], max_length=16, json_schema_extra=_BY_NAME)
    """Service level objectives: how good a service is to be, over weeks. Each brings its error budget as
    a metric, and alerts when that is used up too fast.
    """
    runbook_url: str | None = Field(default=None, min_length=1, max_length=1024)
    """Where it is written what to do; the annotation ``runbook_url`` of every alert that has none."""
    receivers: list[Receiver] = Field(default=[], max_length=16, json_schema_extra=_BY_NAME)
    """Whom alerts are told, with Secrets of this namespace. Names of the stack's receivers can be used
    as well where the stack is of this namespace.
    """
    routes: list[PolicyRoute] = Field(default=[], max_length=32)
    """Which alerts are told to whom, besides whom the stack tells: the first route that matches is
    taken, unless it says ``continue``.
    """
    time_intervals: list[TimeInterval] = Field(
        default=[], max_length=16, json_schema_extra=_BY_NAME
    )
    """Times with a name, for routes that send or keep still by the clock."""
    inhibit: list[Inhibition] = Field(default=[], max_length=32)
    """Alerts that mute others while they fire."""
    tests: RuleTests | None = None
    """Unit tests of the rules, in Prometheus' own format. They are run by ``promtool`` of the stack's
    image whenever the rules or the tests change, and the rules are loaded once they pass; until then,
    and if they fail, those of before go on running.
    """


class RejectedRule(Status):
    """A rule that was left out, and why; the others run."""

    group: str = Field(max_length=256)
    """Name of the rule's group."""
    index: int = Field(ge=0)
    """Position of the rule in its group, from 0."""
    rule: str = Field(default="", max_length=256)
    """Name of the alert or series."""
    reason: str = Field(max_length=64)
    """One CamelCase word: BadExpression, BadTemplate, RejectedByServer, …"""
    message: str = Field(max_length=1024)
    """What is wrong with it."""


class RuleWarning(Status):
    """Advice on a rule; it runs all the same."""

    group: str = Field(max_length=256)
    """Name of the rule's group."""
    index: int = Field(ge=0)
    """Position of the rule in its group, from 0."""
    rule: str = Field(default="", max_length=256)
    """Name of the alert or series."""
    code: str = Field(max_length=64)
    """One CamelCase word: NoFor, ShortRateWindow, UnitSuffix, …"""
    message: str = Field(max_length=512)
    """What could be better, and how."""


class AlertDetection(Status):
    """How long it takes until people are told of an alert."""

    alert: str = Field(max_length=256)
    """Name of the alert; of several of one name the slowest counts."""
    within: str = Field(max_length=32)
    """At most, from the first sample that shows it to the first message: a scrape, an evaluation, the
    alert's ``for`` and the longest ``groupWait``.
    """


class RuleCounts(Status):
    """How many rules there are, and how many run."""

    total: int = Field(default=0, ge=0)
    """Rules in this policy, those of thresholds and objectives included."""
    loaded: int = Field(default=0, ge=0)
    """Rules that the server has confirmed."""


class TestsStatus(Status):
    """The last run of the policy's tests."""

    __test__ = False

    revision: str = Field(max_length=64)
    """Hash of the rules and tests that were run."""
    passed: bool
    """Whether all of them passed."""
    message: str = Field(default="", max_length=2048)
    """What promtool said, if not; the end of it, if it was long."""


class AlertPolicyStatus(Status):
    """What the operator has seen and done; written by the operator only."""

    observed_generation: int | None = Field(default=None, ge=0)
    """The ``metadata.generation`` that this status speaks of."""
    conditions: Conditions = Field(default=[])
    """Accepted, Tested (with ``tests``: they have passed), Applied, Loaded (Prometheus confirms that it
    runs these rules), Ready; with ``routes`` or ``inhibit`` also Routed (Alertmanager runs them).
    """
    stack: str | None = Field(default=None, max_length=320)
    """Name of the MonitoringStack that runs the rules, as ``namespace/name`` if it is in another
    namespace. A policy that moves to another stack runs in the old one until Prometheus of the new
    one has confirmed it.
    """
    rules: RuleCounts = RuleCounts()
    """How many rules there are, and how many run."""
    rejected: list[RejectedRule] = Field(default=[], max_length=50)
    """Rules that were left out (the first 50)."""
    left_out: list[LeftOut] = Field(default=[], max_length=20)
    """Receivers, routes and inhibitions that do not run, and why (the first 20)."""
    warnings: list[RuleWarning] = Field(default=[], max_length=20)
    """Advice on the rules (the first 20); ``firewatch lint`` says the same before they run.
    DetectionBudgetExceeded: people are told of the alert more than five minutes after the first sample
    that shows it. WindowBeyondRetention: an objective is over more time than samples are kept for.
    """
    detection: list[AlertDetection] = Field(default=[], max_length=50)
    """How long it takes until people are told of each alert, the slowest first (the first 50)."""
    tests: TestsStatus | None = None
    """The last run of ``spec.tests``."""


ALERT_POLICY = CustomKind(
    kind="AlertPolicy",
    plural="alertpolicies",
    singular="alertpolicy",
    short="apol",
    description="Alerting and recording rules that a MonitoringStack's Prometheus runs.",
    spec=AlertPolicySpec,
    status=AlertPolicyStatus,
    columns=(
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Stack", ".status.stack"),
        Column("Rules", ".status.rules.total", type="integer"),
        Column("Loaded", ".status.rules.loaded", type="integer"),
        Column("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
)

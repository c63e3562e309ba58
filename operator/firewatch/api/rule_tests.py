"""Unit tests of rules inside a policy, in Prometheus' own format of ``promtool test rules``."""

from typing import Annotated

from pydantic import Field

from firewatch.api.resource import Duration, Interval, PrometheusModel

_Labels = dict[str, Annotated[str, Field(max_length=4096)]]
_Expression = Annotated[str, Field(min_length=1, max_length=8192)]


class InputSeries(PrometheusModel):
    """A series that the tested rules see."""

    series: str = Field(min_length=1, max_length=2048)
    """Name and labels, as ``up{job="api"}``."""
    values: str = Field(min_length=1, max_length=8192)
    """One value each ``interval``, in promtool's short form: ``0+10x5``, ``1 _ stale``."""


class ExpectedAlert(PrometheusModel):
    """An alert that must fire."""

    exp_labels: _Labels = Field(default={}, max_length=32)
    """All its labels but ``alertname``."""
    exp_annotations: _Labels = Field(default={}, max_length=32)
    """All its annotations, as filled in."""


class AlertRuleTest(PrometheusModel):
    """What fires at a moment."""

    eval_time: Duration
    """The moment, counted from the start of the series."""
    alertname: str = Field(min_length=1, max_length=256)
    """Name of the alert."""
    exp_alerts: list[ExpectedAlert] = Field(default=[], max_length=64)
    """The alerts of this name that fire then, no more and no fewer; none when left out."""


class ExpectedSample(PrometheusModel):
    """A sample that an expression gives."""

    labels: str = Field(default="", max_length=2048)
    """Name and labels, as ``{job="api"}``."""
    value: float | None = None
    """Its value, 0 when left out."""
    histogram: str | None = Field(default=None, max_length=4096)
    """Its native histogram, in promtool's notation, instead of a value."""


class ExpressionTest(PrometheusModel):
    """What an expression gives at a moment."""

    expr: _Expression
    """PromQL expression; it can use the series that recording rules write."""
    eval_time: Duration
    """The moment, counted from the start of the series."""
    exp_samples: list[ExpectedSample] = Field(default=[], max_length=64)
    """The samples of the answer; none when left out."""


class RuleTest(PrometheusModel):
    """One test: series go in, alerts and samples are compared."""

    name: str | None = Field(default=None, min_length=1, max_length=256)
    """Name of the test; promtool names it if the test fails."""
    interval: Interval | None = None
    """Time between two values of the series; ``evaluation_interval`` when left out."""
    input_series: list[InputSeries] = Field(default=[], max_length=64)
    """The series that the rules see."""
    alert_rule_test: list[AlertRuleTest] = Field(default=[], max_length=64)
    """Which alerts fire, and when."""
    promql_expr_test: list[ExpressionTest] = Field(default=[], max_length=64)
    """What expressions give, and when."""
    external_labels: _Labels = Field(default={}, max_length=32)
    """External labels of the server, for templates."""
    external_url: str | None = Field(default=None, max_length=512)
    """Address of the server, for templates."""


class RuleTests(PrometheusModel):
    """Unit tests of the policy's rules, as in a file for ``promtool test rules``.

    Such a file can be pasted as it is but for ``rule_files``: the rules are those of this policy.
    """

    evaluation_interval: Interval | None = None
    """How often the rules are evaluated in the tests; 1m when left out."""
    group_eval_order: list[Annotated[str, Field(max_length=256)]] = Field(default=[], max_length=64)
    """Names of groups in the order in which they are evaluated."""
    fuzzy_compare: bool = False
    """Whether values that differ by rounding only count as equal."""
    tests: list[RuleTest] = Field(min_length=1, max_length=64)
    """The tests."""

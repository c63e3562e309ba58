"""The block ``slos`` of an AlertPolicy: how good a service is to be, and over which time."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from firewatch.api.resource import Interval, LabelName, Model, Rule, rules
from firewatch.api.thresholds import MetricName

SELECTOR_PATTERN = (
    r"^[a-zA-Z_:][a-zA-Z0-9_:]*"
    r"(\{([^{}\"'`\\]|\"([^\"\\\n]|\\.)*\"|'([^'\\\n]|\\.)*')*\})?$"
)
Selector = Annotated[str, Field(pattern=SELECTOR_PATTERN, min_length=1, max_length=1024)]
"""A metric and, in braces, which of its series: ``requests_total{status=~"5.."}``."""
_Value = Annotated[str, Field(min_length=1, max_length=256)]
_INDICATORS = ("events", "latency", "gauge")
_OWN_LABELS = ("slo", "slo_policy", "window", "long", "short", "severity")
_OWN = f"{', '.join(_OWN_LABELS)} are labels that Firewatch sets; choose others"


class Window(StrEnum):
    """The time over which an objective is to hold."""

    WEEK = "7d"
    TWO_WEEKS = "14d"
    FOUR_WEEKS = "28d"
    MONTH = "30d"
    QUARTER = "90d"


class Events(Model):
    """Events, some of which are bad."""

    total: Selector
    """Counter of all events, for example ``freeagentics_requests_total{job="api"}``."""
    bad: Selector
    """Counter of the bad ones, for example ``freeagentics_requests_total{job="api",status=~"5.."}``.
    It need not be there as long as none is bad.
    """


class Latency(Model):
    """Requests, of which those that take too long are bad."""

    histogram: MetricName
    """Name of the histogram without ``_bucket``, for example
    ``freeagentics_request_duration_seconds``.
    """
    below: Interval
    """How long a request may take. A bucket of the histogram must end there: where none does, nothing
    can be told, and the alert SLOBucketMissing says so.
    """
    match: dict[LabelName, _Value] = Field(default={}, max_length=16)
    """Labels that the series must have, each with this very value."""


class Gauge(Model):
    """A state that is 1 while it is good and 0 while it is bad."""

    metric: Selector
    """The series, for example ``probe_success{probe="api"}`` or ``up{job="prometheus"}``."""


class Slo(
    Model,
    json_schema_extra=rules(
        Rule(
            "[has(self.events), has(self.latency), has(self.gauge)].filter(x, x).size() == 1",
            "set exactly one of events, latency and gauge",
        ),
        Rule(
            "!has(self.minRate) || !has(self.gauge)",
            "minRate: a gauge has no events to count; leave it out",
        ),
        Rule(
            f"!has(self.by) || !self.by.exists(l, l in {[*_OWN_LABELS]})",
            f"by: {_OWN}",
        ),
        Rule(
            f"!has(self.labels) || !self.labels.exists(l, l in {[*_OWN_LABELS]})",
            f"labels: {_OWN}",
        ),
    ),
):
    """A service level objective: which share of events, or of the time, is to be good.

    It becomes recorded series (``slo:error:ratio`` over several windows,
    ``slo:error_budget_remaining:ratio``, ``slo:objective:ratio``) and the alert ErrorBudgetBurn, which
    fires when the error budget is used up too fast: within an hour or six with severity
    ``critical``, within one day or three with ``warning``.
    """

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    """Name of the objective; the label ``slo`` of its series and alerts."""
    objective: float = Field(gt=0, lt=100)
    """Percent that are to be good, for example 99.9. The rest is the error budget."""
    window: Window = Window.MONTH
    """Over which time: 7d, 14d, 28d, 30d or 90d. The windows of the alerts are in proportion to it.
    Prometheus must keep samples for as long, or the budget counts only what it has.
    """
    events: Events | None = None
    """Good are all events but those counted as bad."""
    latency: Latency | None = None
    """Good are requests that are fast enough. The objective 95 is the same as a 95th percentile below
    the limit.
    """
    gauge: Gauge | None = None
    """Good is the time in which a state is 1. Time without samples does not count."""
    by: list[LabelName] = Field(default=["job"], max_length=8)
    """Labels that tell apart what has an error budget by itself; with ``[]`` there is one for all."""
    min_rate: float | None = Field(default=None, ge=0, le=1e9)
    """Events per second, on average over the longer window of an alert, below which it does not fire:
    one failed request at night is 100 percent. 0.05, three a minute, when left out.
    """
    labels: dict[LabelName, _Value] = Field(default={}, max_length=16)
    """Labels added to the alerts, for example ``team: agents``."""

    @model_validator(mode="after")
    def _one_indicator(self) -> Self:
        # As the CEL rules above: the builder relies on it, whoever has read the resource.
        if sum(getattr(self, name) is not None for name in _INDICATORS) != 1:
            raise ValueError("set exactly one of events, latency and gauge")
        if self.gauge and self.min_rate is not None:
            raise ValueError("minRate: a gauge has no events to count; leave it out")
        for field, names in (("by", self.by), ("labels", self.labels)):
            if {*names} & {*_OWN_LABELS}:
                raise ValueError(f"{field}: {_OWN}")
        return self

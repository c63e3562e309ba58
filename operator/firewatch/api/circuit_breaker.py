"""The action ``circuitBreaker``: traffic is taken off what fails, and given back once that works again."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from firewatch.api.resource import Duration, Interval, LabelName, Model, Name, Rule, rules
from firewatch.api.target_ref import TargetRef
from firewatch.api.thresholds import MetricName, Percent

ConfigMapKey = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
"""A key of a ConfigMap."""
_Setting = Annotated[str, Field(max_length=1024)]


class Mechanism(StrEnum):
    """How a breaker takes traffic off what fails."""

    AUTO = "auto"
    FLAG = "flag"
    MESH = "mesh"
    ISOLATE = "isolate"
    FALLBACK = "fallback"
    ROLLBACK = "rollback"
    SHED = "shed"


class Measure(Model):
    """Where requests and errors of each pod are found.

    In counters with the labels ``namespace`` and ``pod``, as the scrape jobs of a MonitoringStack write them.
    """

    metric: MetricName = "freeagentics_requests_total"
    """Counter of all requests; the runbook's when left out."""
    error_label: LabelName = "status"
    """Label of the counter that holds the outcome of a request."""
    error_pattern: str = Field(default="5..", min_length=1, max_length=256)
    """Regular expression (RE2) that the label matches as a whole if the request failed."""
    window: Interval = "1m"
    """How far back is looked before the breaker is opened."""
    min_requests: int = Field(default=50, ge=1, le=1_000_000)
    """Below so many requests within the window nothing is opened, and a share that has answered fewer
    is tried on.
    """
    good_below: Percent = 5
    """A share is good if fewer than this many percent of its requests fail."""


class Fallback(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.target.kind) || self.target.kind in ['Deployment', 'StatefulSet']",
            "fallback.target is a Deployment or a StatefulSet: of other kinds it is not known which pods"
            " are theirs",
        ),
    ),
):
    """What answers instead."""

    target: TargetRef
    """Whose pods the Service selects instead; at least one of them must be ready, with the ports that the
    Service names.
    """


class Flag(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.halfOpen) || self.halfOpen != self.open",
            "halfOpen must differ from open, or nothing is tried",
        )
    ),
):
    """A setting that the application reads while it runs: a key of a ConfigMap that it mounts."""

    config_map: Name
    """Name of the ConfigMap."""
    key: ConfigMapKey
    """Its key; it need not be there before."""
    open: _Setting
    """What it says while the breaker is open."""
    half_open: _Setting | None = None
    """What it says while a share of the traffic is tried; what it said before when left out, so that all
    of the traffic is tried.
    """


class Shed(Model):
    """Fewer replicas, so that less of a load comes through."""

    replicas: int = Field(ge=0, le=1000)
    """How many are left while it is open; with 0 all of them go, and one comes back to be tried."""


class Rollback(Model):
    """The last rollout of a Deployment is undone, if the errors began with it."""

    within: Interval = "1h"
    """The alert's errors must have begun within this time after the rollout."""


class CircuitBreaker(
    Model,
    json_schema_extra=rules(
        Rule(
            "!(self.mechanism in ['flag', 'fallback', 'shed']) || "
            "(self.mechanism == 'flag' ? has(self.flag) : self.mechanism == 'fallback'"
            " ? has(self.fallback) : has(self.shed))",
            "mechanisms flag, fallback and shed need the field of that name",
        ),
    ),
):
    """Traffic is taken off what fails, tried again in small shares, and given back once these are good.

    Open: the mechanism is in force. Half-open: a share of the real traffic is tried, one pod where that can
    be. If fewer than ``measure.goodBelow`` percent of its requests fail, the next one is tried or the
    breaker closes, and what was changed is put back; else it is open again, for twice as long.
    """

    mechanism: Mechanism = Mechanism.AUTO
    """``flag``: the application is told by a key of a ConfigMap. ``mesh``: Istio or Linkerd is told to leave
    out pods that fail, where their proxies are in the target's pods. ``isolate``: pods that fail leave the
    Service, at most half of those that are ready. ``fallback``: the Service selects other pods.
    ``rollback``: the last rollout is undone, which stays so when the breaker closes. ``shed``: fewer
    replicas. ``auto``: the first of these that can work, in this order; flag, fallback and shed only if
    they are given here.
    """
    service: Name | None = None
    """The Service that leads to the target, for ``isolate`` and ``fallback``; the only one that selects its
    pods when left out.
    """
    measure: Measure = Measure()
    """How it is told whether a share works."""
    flag: Flag | None = None
    """The setting of the application."""
    fallback: Fallback | None = None
    """What answers instead."""
    rollback: Rollback = Rollback()
    """When the last rollout counts as the cause."""
    shed: Shed | None = None
    """How many replicas are left."""
    open_for: Interval = "30s"
    """How long it stays open at first."""
    open_for_most: Interval = "5m"
    """How long at most, however often it was opened again. To both a tenth may be added, so that several
    do not try in step.
    """
    try_for: Duration = "30s"
    """How long a share is tried at least."""
    give_up_after: Interval = "30m"
    """If it has not closed after this time, nothing more is tried, and a human is told."""
    depends_on: list[Name] = Field(default=[], max_length=32)
    """Names of targets that this one calls, or that call it: no breaker opens while one of theirs is open."""

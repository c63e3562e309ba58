"""The block ``synthetic`` of a MonitoringStack: endpoints that are probed from inside the cluster."""

from typing import Annotated

from pydantic import Field

from firewatch.api.blackbox import HttpProbe, ProbeTimeout
from firewatch.api.journeys import Journey, JourneyRunner
from firewatch.api.resource import (
    ConditionStatus,
    Interval,
    LabelName,
    Model,
    Status,
    rules,
)
from firewatch.api.scraping import AlertLabelValue, LabelValue, not_among

ProbeTarget = Annotated[
    str,
    Field(
        pattern=r"^([a-zA-Z]+://[^\s/?#@]+|[^\s/?#@]*[^\s/?#@:])([/?#][^\s]*)?$", max_length=1024
    ),
]
"""What is probed: a URL, ``host:port``, a host, or a DNS server. A user name in it is refused: it would
show in every alert.
"""

_OWN_LABELS = ("job", "probe", "instance")
_CHECK_LABELS = (*_OWN_LABELS, "severity", "slo", "slo_policy", "window", "long", "short")


class Probe(Model):
    """Targets that are probed in the same way."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    """Name of the check; it becomes the label ``probe``."""
    module: str = Field(default="http_2xx", pattern=r"^[a-zA-Z0-9_]+$", max_length=63)
    """Module of ``exporters.blackbox``: one of its own ``modules``, or http_2xx, http_post_2xx,
    tcp_connect or icmp, which are always there.
    """
    targets: list[ProbeTarget] = Field(min_length=1, max_length=256)
    """What is probed, each of them as the label ``instance``: URLs for prober http, ``host:port`` for
    tcp, hosts for icmp, DNS servers for dns. They show in every alert, so one with ``user:password@``
    is refused; the module's ``basicAuth`` is the place for that.
    """
    interval: Interval | None = None
    """How often; the stack's ``scrapeInterval`` when left out."""
    labels: dict[LabelName, LabelValue] = Field(
        default={},
        max_length=32,
        json_schema_extra=rules(not_among(_OWN_LABELS)),
    )
    """Labels added to every series of these targets."""


class HealthCheck(Model):
    """An endpoint of an API that is asked all the time.

    It brings three alerts, HealthCheckFailing, HealthCheckSlow and HealthCheckCertificateEnds, an objective with its error
    budget, and its availability in ``status.healthChecks``.
    """

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=48)
    """Name of the check; the label ``probe`` of its series and alerts, and the name of its objective."""
    url: str = Field(pattern=r"^https?://[^\s/?#@]+([/?#][^\s]*)?$", max_length=1024)
    """What is asked. It shows in every alert, so that one with ``user:password@`` is refused."""
    http: HttpProbe = HttpProbe()
    """The request, and what is expected of the answer."""
    interval: Interval = "30s"
    """How often it is asked."""
    timeout: ProbeTimeout = "5s"
    """How long an answer may take; then the check fails."""
    slow_above: Interval = "500ms"
    """Mean duration over five minutes above which HealthCheckSlow fires."""
    down_for: Interval = "2m"
    """How long it may fail until HealthCheckFailing fires."""
    certificate_days: int = Field(default=21, ge=1, le=365)
    """Days before the end of a certificate from which HealthCheckCertificateEnds fires."""
    objective: float = Field(default=99.9, gt=0, lt=100)
    """Percent of the time in 30 days in which it is to succeed."""
    labels: dict[LabelName, AlertLabelValue] = Field(
        default={},
        max_length=32,
        json_schema_extra=rules(not_among(_CHECK_LABELS)),
    )
    """Labels added to every series and alert, as ``team: payments``."""


class Availability(Status):
    """Percent of the checks that succeeded, or of those since there are any; looked at every ten minutes."""

    day: str = Field(default="", max_length=16)
    """Within 24 hours."""
    week: str = Field(default="", max_length=16)
    """Within 7 days."""
    month: str = Field(default="", max_length=16)
    """Within 30 days."""


class CheckStatus(Status):
    """How a health check or a journey stands."""

    name: str = Field(max_length=64)
    """Its name."""
    healthy: ConditionStatus
    """Whether it succeeds; Unknown while there is no answer yet."""
    message: str = Field(default="", max_length=512)
    """Why it fails."""
    availability: Availability = Availability()
    """How often it has succeeded."""


class Synthetic(Model):
    """Checks from outside of the application: by the blackbox exporter, and journeys by a runner."""

    probes: list[Probe] = Field(
        default=[],
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Endpoints to probe; ``probe_success`` of the job ``blackbox`` says how it went."""
    health_checks: list[HealthCheck] = Field(
        default=[],
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Endpoints of an API, each with its alerts, its objective and its availability; the job is
    ``health``.
    """
    journeys: list[Journey] = Field(
        default=[],
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Requests one after another, as a user's program sends them: register, log in, create something;
    the job is ``journeys``.
    """
    journey_runner: JourneyRunner = JourneyRunner()
    """The pod that takes the journeys."""

"""Scrape jobs of a MonitoringStack: where metrics are read, how, and how much at most."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from firewatch.api.http_client import ONE_IDENTITY, HttpClient
from firewatch.api.relabeling import Relabelings
from firewatch.api.resource import Interval, LabelName, Model, Name, Rule, SecretKey, rules

LabelValue = Annotated[str, Field(max_length=256)]
AlertLabelValue = Annotated[str, Field(pattern=r"^[^{}]+$", max_length=256)]
"""Value of a label of a rule, which Prometheus does not take for a template."""


def not_among(own: Sequence[str]) -> Rule:
    """Return the rule that labels of a user are none of those that Firewatch sets."""
    return Rule(
        f"!self.exists(k, k in {list(own)})",
        f"the labels {', '.join(own)} are set by Firewatch",
    )


Target = Annotated[
    str,
    Field(pattern=r"^[^\s/:]+(:[0-9]{1,5})?$|^\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?$", max_length=320),
]
"""``host`` or ``host:port``."""

_MetaName = Annotated[str, Field(max_length=317)]
_MetaValue = Annotated[
    str, Field(pattern=r"^([a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?)?$", max_length=63)
]
_ParameterName = Annotated[str, Field(pattern=r"^[^\s=&]+$", max_length=128)]


class Scheme(StrEnum):
    """Protocol of a scrape."""

    HTTP = "http"
    HTTPS = "https"


class Limits(Model):
    """How much one scrape may bring; a target that brings more is down, and the others are not."""

    sample_limit: int | None = Field(default=None, ge=1, le=100_000_000)
    """Most samples of one scrape, after ``metricRelabelings``."""
    target_limit: int | None = Field(default=None, ge=1, le=1_000_000)
    """Most targets of a job; with more, all targets of the job fail."""
    label_limit: int | None = Field(default=None, ge=1, le=10_000)
    """Most labels of a sample."""
    label_name_length_limit: int | None = Field(default=None, ge=1, le=65_536)
    """Longest name of a label, in bytes."""
    label_value_length_limit: int | None = Field(default=None, ge=1, le=1_048_576)
    """Longest value of a label, in bytes."""


class SelectorOperator(StrEnum):
    """How a requirement of a label selector is meant."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class SelectorRequirement(
    Model,
    json_schema_extra=rules(
        Rule(
            "(self.operator in ['In', 'NotIn']) == has(self.values)",
            "In and NotIn need values, Exists and DoesNotExist have none",
        )
    ),
):
    """One requirement of a label selector."""

    key: _MetaName
    """Name of the label."""
    operator: SelectorOperator
    """In, NotIn, Exists or DoesNotExist."""
    values: list[_MetaValue] = Field(default=[], max_length=16)
    """Values for In and NotIn."""


class LabelSelector(Model):
    """Labels that objects must have, as everywhere in Kubernetes; an empty one selects all."""

    match_labels: dict[_MetaName, _MetaValue] = Field(default={}, max_length=16)
    """Labels with their values."""
    match_expressions: list[SelectorRequirement] = Field(default=[], max_length=16)
    """Further requirements."""


class ScrapeProtocol(StrEnum):
    """A format of metrics."""

    PROMETHEUS_PROTO = "PrometheusProto"
    OPEN_METRICS_0 = "OpenMetricsText0.0.1"
    OPEN_METRICS_1 = "OpenMetricsText1.0.0"
    PROMETHEUS_TEXT_0 = "PrometheusText0.0.4"
    PROMETHEUS_TEXT_1 = "PrometheusText1.0.0"


_ONE_SOURCE = "set exactly one of targets, serviceSelector and podSelector"
_PORT = "serviceSelector and podSelector need port, and targets have it in each address"
_NAMESPACES = "namespaces go with serviceSelector and podSelector"


class ScrapeJob(
    HttpClient,
    Limits,
    json_schema_extra=rules(
        ONE_IDENTITY,
        Rule(
            "[has(self.targets), has(self.serviceSelector), has(self.podSelector)]"
            ".filter(x, x).size() == 1",
            _ONE_SOURCE,
        ),
        Rule("has(self.targets) != has(self.port)", _PORT),
        Rule("!has(self.targets) || !has(self.namespaces)", _NAMESPACES),
    ),
):
    """One job of Prometheus: where metrics are read, and how often.

    A target that brings more than the limits allow is down; all others are not touched by it.
    """

    name: str = Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]*$", min_length=1, max_length=63)
    """Name of the job; it becomes the label ``job``. The names of the stack's own jobs are taken:
    prometheus, node, blackbox, kube-state-metrics, kubelet, cadvisor, pushgateway,
    postgres and alertmanager.
    """
    targets: list[Target] = Field(default=[], max_length=256)
    """Addresses to scrape, as ``host:port``; hosts are resolved in the stack's namespace."""
    service_selector: LabelSelector | None = None
    """Services whose endpoints are scraped; series get the labels namespace, service and pod."""
    pod_selector: LabelSelector | None = None
    """Pods that are scraped; series get the labels namespace, pod and container."""
    port: str | None = Field(
        default=None, pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$", max_length=63
    )
    """Name or number of the port of the selected Services or pods."""
    namespaces: list[
        Annotated[str, Field(pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", max_length=63)]
    ] = Field(default=[], max_length=64)
    """Namespaces of the selected objects, ``*`` for all; the stack's own when left out. Others need
    the stack's namespace to be in ``clusterStacks.namespaces`` of the chart.
    """
    path: str = Field(default="/metrics", pattern=r"^/[^\s?#]*$", max_length=1024)
    """HTTP path of the metrics."""
    scheme: Scheme = Scheme.HTTP
    """``http`` or ``https``."""
    params: dict[_ParameterName, Annotated[list[LabelValue], Field(max_length=16)]] = Field(
        default={}, max_length=16
    )
    """Parameters of the request, each with its values."""
    interval: Interval | None = None
    """How often; the stack's ``scrapeInterval`` when left out."""
    timeout: Interval | None = None
    """How long one scrape may take; Prometheus' 10s, or the interval if shorter, when left out."""
    labels: dict[LabelName, LabelValue] = Field(default={}, max_length=32)
    """Labels added to every series of these targets."""
    honor_labels: bool = False
    """Lets labels of the target win over those of the job; otherwise they are renamed
    ``exported_…``.
    """
    honor_timestamps: bool = True
    """Takes the times that the target gives with its samples."""
    fallback_scrape_protocol: ScrapeProtocol | None = None
    """Format that is assumed when a target does not say which one it speaks."""
    relabelings: Relabelings = Field(default=[])
    """Relabelling of targets, before they are scraped."""
    metric_relabelings: Relabelings = Field(default=[])
    """Relabelling of samples, before they are stored."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        # The same as the CEL rules, for resources that no API server has seen.
        selectors = [s for s in (self.service_selector, self.pod_selector) if s is not None]
        if len(selectors) + bool(self.targets) != 1:
            raise ValueError(f"job {self.name}: {_ONE_SOURCE}")
        if bool(self.targets) == (self.port is not None):
            raise ValueError(f"job {self.name}: {_PORT}")
        if self.targets and self.namespaces:
            raise ValueError(f"job {self.name}: {_NAMESPACES}")
        return self


class RawScrapeConfigs(Model):
    """A key of a Secret that holds a list of scrape jobs in Prometheus' own words.

    They are copied into a Secret of the stack's own, which Prometheus mounts, so that they may hold
    credentials. A change is followed within a minute.
    """

    name: Name
    """Name of the Secret."""
    key: SecretKey
    """Key in the Secret."""

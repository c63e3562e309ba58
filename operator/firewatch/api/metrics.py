"""The block ``metrics`` of a MonitoringStack: Prometheus, its volume and its jobs."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from firewatch.api.resource import (
    Interval,
    LabelName,
    Model,
    Rule,
    parse_duration,
    rules,
)
from firewatch.api.workload import Storage, Workload

LabelValue = Annotated[str, Field(max_length=256)]
Target = Annotated[
    str,
    Field(pattern=r"^[^\s/:]+(:[0-9]{1,5})?$|^\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?$", max_length=320),
]
"""``host`` or ``host:port``."""


class Scheme(StrEnum):
    """Protocol of a scrape."""

    HTTP = "http"
    HTTPS = "https"


class ScrapeJob(Model):
    """One job of Prometheus: where metrics are read, and how often."""

    name: str = Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]*$", min_length=1, max_length=63)
    """Name of the job; it becomes the label ``job``. ``prometheus`` and ``node`` are taken."""
    targets: list[Target] = Field(min_length=1, max_length=256)
    """Addresses to scrape, as ``host:port``; hosts are resolved in the stack's namespace."""
    path: str = Field(default="/metrics", pattern=r"^/[^\s?#]*$", max_length=1024)
    """HTTP path of the metrics."""
    scheme: Scheme = Scheme.HTTP
    """``http`` or ``https``."""
    interval: Interval | None = None
    """How often; the stack's ``scrapeInterval`` when left out."""
    timeout: Interval | None = None
    """How long one scrape may take; Prometheus' 10s, or the interval if shorter, when left out."""
    labels: dict[LabelName, LabelValue] = Field(default={}, max_length=32)
    """Labels added to every series of these targets."""


class Retention(Model):
    """How long Prometheus keeps samples; whichever limit is reached first deletes."""

    time: Interval = "15d"
    """Oldest sample kept."""
    size: str | None = Field(default=None, pattern=r"^[0-9]+(MB|GB|TB|PB)$", max_length=16)
    """Largest total of all blocks, in Prometheus' units, for example ``40GB``."""


class Metrics(
    Workload,
    json_schema_extra=rules(
        Rule(
            "!has(self.scrapeJobs) || self.scrapeJobs.all(j, !(j.name in ['prometheus', 'node']))",
            "scrapeJobs: the names prometheus and node belong to jobs of the stack itself",
        ),
    ),
):
    """A Prometheus server with its volume and its jobs."""

    # The last ones would move or close what Firewatch, probes and other people's queries rely on.
    own_flags = frozenset(
        {
            *("config.file", "config.auto-reload", "config.auto-reload-interval"),
            *("storage.tsdb.path", "web.listen-address", "web.config.file", "agent"),
            *("web.route-prefix", "web.enable-lifecycle", "web.enable-admin-api"),
        }
    )

    storage: Storage | None = None
    """Volume for the samples; without it they are lost when the pod is rescheduled."""
    retention: Retention = Retention()
    """How long samples are kept."""
    external_labels: dict[LabelName, LabelValue] = Field(default={}, max_length=32)
    """Labels added to everything that leaves this Prometheus (alerts, remote data)."""
    scrape_interval: Interval = "15s"
    """How often jobs are scraped that do not say otherwise."""
    evaluation_interval: Interval = "15s"
    """How often rules are evaluated whose group does not say otherwise."""
    scrape_jobs: list[ScrapeJob] = Field(
        default=[],
        max_length=256,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """What is scraped besides Prometheus itself and the stack's exporters."""

    @model_validator(mode="after")
    def _timeouts_fit_intervals(self) -> Self:
        # Not a CEL rule: CEL's duration() does not know days and weeks.
        for job in self.scrape_jobs:
            interval = job.interval or self.scrape_interval
            if job.timeout and parse_duration(job.timeout) > parse_duration(interval):
                raise ValueError(
                    f"scrapeJobs: job {job.name}: timeout {job.timeout} is longer than the interval"
                    f" {interval}; lower it or raise the interval"
                )
        return self

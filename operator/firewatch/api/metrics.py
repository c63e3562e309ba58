"""The block ``metrics`` of a MonitoringStack: Prometheus, its volume and its jobs."""

from typing import Self

from pydantic import Field, model_validator

from firewatch.api.ingress import OpenIngress
from firewatch.api.remote_write import RemoteWrite
from firewatch.api.resource import (
    Interval,
    LabelName,
    Model,
    Rule,
    parse_duration,
    rules,
)
from firewatch.api.scraping import LabelValue, Limits, RawScrapeConfigs, ScrapeJob
from firewatch.api.web import Web
from firewatch.api.workload import Storage, Workload

RESERVED_JOBS = (
    *("prometheus", "node", "blackbox", "kube-state-metrics", "kubelet", "cadvisor", "pushgateway"),
    *("postgres", "alertmanager", "grafana", "health", "journeys", "rum"),
)
"""Names of the jobs that a stack makes by itself."""


class Retention(Model):
    """How long Prometheus keeps samples; whichever limit is reached first deletes."""

    time: Interval = "15d"
    """Oldest sample kept."""
    size: str | None = Field(default=None, pattern=r"^[0-9]+(MB|GB|TB|PB)$", max_length=16)
    """Largest total of all blocks, in Prometheus' units, for example ``40GB``."""


class Metrics(
    Workload,
    Limits,
    json_schema_extra=rules(
        Rule(
            f"!has(self.scrapeJobs) || self.scrapeJobs.all(j, !(j.name in {list(RESERVED_JOBS)}))",
            f"scrapeJobs: the names {', '.join(RESERVED_JOBS)} belong to jobs of the stack itself",
        ),
        Rule(
            "!has(self.externalLabels) || !('namespace' in self.externalLabels)",
            "externalLabels: the label namespace says whose an alert is; choose another name",
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

    ingress: OpenIngress | None = None
    """Name under which people reach Prometheus; only from inside of the cluster when left out."""
    replicas: int = Field(default=1, ge=1, le=5)
    """Servers that scrape and evaluate the same, each with a volume of its own. With more than one,
    everything that leaves them has the label ``prometheus_replica``, but for alerts, which are the
    same from each.
    """
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
    additional_scrape_configs: RawScrapeConfigs | None = None
    """Further jobs, for what ``scrapeJobs`` cannot say: a list of Prometheus' own ``scrape_configs``.
    A job that Prometheus would not take is left out and named by its place in the list.
    """
    sample_limit: int | None = Field(default=50_000, ge=1, le=100_000_000)
    """Most samples of one scrape, where a job does not say otherwise. An exporter that brings more is
    down, and the others are not.
    """
    target_limit: int | None = Field(default=10_000, ge=1, le=1_000_000)
    """Most targets of a job, where it does not say otherwise."""
    label_limit: int | None = Field(default=128, ge=1, le=10_000)
    """Most labels of a sample, where a job does not say otherwise."""
    label_name_length_limit: int | None = Field(default=512, ge=1, le=65_536)
    """Longest name of a label in bytes, where a job does not say otherwise."""
    label_value_length_limit: int | None = Field(default=8_192, ge=1, le=1_048_576)
    """Longest value of a label in bytes, where a job does not say otherwise."""
    remote_write: list[RemoteWrite] = Field(
        default=[],
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Servers that are sent every sample as it comes."""
    web: Web | None = None
    """How Prometheus serves its API and its pages; by plain HTTP when left out."""

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

"""The block ``packs`` of a MonitoringStack: alerting rules that come with Firewatch."""

from typing import Annotated

from pydantic import Field

from firewatch.api.http_client import HttpUrl
from firewatch.api.resource import Interval, Model
from firewatch.api.thresholds import Percent

_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Rate = Annotated[float, Field(ge=0, le=1e9)]


class Pack(Model):
    """Rules for one subject."""

    enabled: bool = True
    """Whether the rules run, once there is what they speak of; ``status.packs`` says whether they do."""


class NodePack(Pack):
    """Machines, by the job ``node``; it needs ``exporters.node``."""

    cpu_percent: Percent = 90
    """CPU in use, over ten minutes, above which NodeCpuHigh fires."""
    memory_percent: Percent = 90
    """Memory in use above which NodeMemoryHigh fires."""
    disk_free_percent: Percent = 10
    """Free space of a file system below which NodeDiskSpaceLow fires; of inodes NodeInodesLow."""
    disk_full_within: Interval = "1d"
    """NodeDiskFillsUp fires where a file system will be full within this time, as it filled in the last
    six hours.
    """


class KubernetesPack(Pack):
    """Workloads and nodes of the cluster; it needs ``exporters.kubeStateMetrics``."""

    pending_for: Interval = "15m"
    """How long a pod, a rollout or a node may take to get ready."""
    volume_free_percent: Percent = 10
    """Free space of a volume below which VolumeNearlyFull fires (by the job ``kubelet``)."""
    quota_percent: Percent = 90
    """Part of a ResourceQuota in use above which QuotaNearlyReached fires."""


class ApiPack(Pack):
    """The application's HTTP API, by the runbook's families; it needs ``freeagentics_requests_total``."""

    error_percent: Percent = 5
    """Share of answers with a status from 500 on above which ApiErrorsHigh fires."""
    latency_seconds: _Seconds = 0.5
    """95th percentile of the duration above which ApiSlow fires. It should be the end of a bucket of
    ``freeagentics_request_duration_seconds``: between two ends it is only estimated.
    """
    min_rate: _Rate = 0.05
    """Requests per second below which neither fires."""


class CoordinationPack(Pack):
    """The agents' coordination; it needs ``freeagentics_agent_coordination_success_total``."""

    failure_percent: Percent = 5
    """Share of attempts that fail above which CoordinationFailing fires."""
    min_rate: _Rate = 0.05
    """Attempts per second below which it does not fire."""


class DatabasePack(Pack):
    """PostgreSQL, by the job ``postgres``; it needs ``exporters.postgres``."""

    connections_percent: Percent = 80
    """Connections in use, of those that the server allows, above which DatabaseConnectionsHigh fires."""
    rollback_percent: Percent = 10
    """Share of transactions that are rolled back above which DatabaseRollbacksHigh fires."""
    statement_seconds: _Seconds = 1
    """Mean duration of a statement over ten minutes above which DatabaseStatementSlow fires."""
    replication_lag_seconds: _Seconds = 60
    """How far a replica may be behind."""


class SyntheticPack(Pack):
    """Probes from outside; it needs ``exporters.blackbox`` and ``synthetic.probes``."""

    down_for: Interval = "3m"
    """How long a probe may fail until ProbeFailing fires."""
    slow_seconds: _Seconds = 5
    """Duration of a probe above which ProbeSlow fires."""
    certificate_days: Annotated[int, Field(ge=1, le=365)] = 21
    """Days before its end from which CertificateEnds fires."""


class PrometheusPack(Pack):
    """The stack's own Prometheus: its storage, and what it throws away."""


class AlertmanagerPack(Pack):
    """The stack's own Alertmanager, by the job ``alertmanager``; it needs ``alerting``."""


class GrafanaPack(Pack):
    """The stack's own Grafana, by the job ``grafana``; it needs ``visualization``."""

    error_percent: Percent = 10
    """Share of its answers, or of those of a data source, with a status from 500 on above which
    GrafanaErrorsHigh or GrafanaDataSourceFailing fires.
    """


class FirewatchPack(Pack):
    """The operator, by a job of your own that scrapes its metrics; it needs ``firewatch_leading``."""


class WatchdogPack(Pack):
    """Monitoring itself: targets, scrapes, rules, notifications and remote writes."""

    down_for: Interval = "5m"
    """How long a target may be down until TargetDown fires."""
    silent_within: Interval = "1d"
    """JobSilent fires for this long after the last target of a job has gone."""
    scrape_seconds: _Seconds = 8
    """Duration of a scrape above which ScrapeSlow fires; after ten seconds most are given up."""
    remote_write_lag_seconds: _Seconds = 120
    """How far a remote write may be behind."""


class Packs(Model):
    """Packs of rules; all that are not turned off run where there is what they speak of."""

    runbook_url: HttpUrl | None = None
    """Where the pages of docs/runbooks are served; each alert then has the annotation
    ``runbook_url``, this and its name, as ``https://wiki.example/runbooks/NodeCpuHigh``. Without it the
    annotation ``runbook`` names the page.
    """
    node: NodePack = NodePack()
    """Machines."""
    kubernetes: KubernetesPack = KubernetesPack()
    """Workloads and nodes of the cluster."""
    api: ApiPack = ApiPack()
    """The application's HTTP API."""
    coordination: CoordinationPack = CoordinationPack()
    """The agents' coordination."""
    database: DatabasePack = DatabasePack()
    """PostgreSQL."""
    synthetic: SyntheticPack = SyntheticPack()
    """Probes."""
    prometheus: PrometheusPack = PrometheusPack()
    """The stack's Prometheus."""
    alertmanager: AlertmanagerPack = AlertmanagerPack()
    """The stack's Alertmanager."""
    grafana: GrafanaPack = GrafanaPack()
    """The stack's Grafana."""
    firewatch: FirewatchPack = FirewatchPack()
    """The operator."""
    watchdog: WatchdogPack = WatchdogPack()
    """Monitoring itself."""

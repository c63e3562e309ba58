"""MonitoringStack: what monitoring runs in a namespace."""

from typing import Annotated, Any

from pydantic import Field

from firewatch.api.alerting import Alerting, AlertingStatus
from firewatch.api.exporters import Exporters
from firewatch.api.external import External
from firewatch.api.metrics import Metrics
from firewatch.api.network import NetworkPolicies
from firewatch.api.packs import Packs
from firewatch.api.real_users import RealUserMonitoring
from firewatch.api.resource import (
    Column,
    Conditions,
    ConditionStatus,
    CustomKind,
    Model,
    ObjectRef,
    Rule,
    Status,
    rules,
)
from firewatch.api.selection import PolicySelection
from firewatch.api.synthetic import CheckStatus, Synthetic
from firewatch.api.visualization import Visualization, VisualizationStatus
from firewatch.api.workload import FREE, Registry

_Component = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=63)]

_SCRAPED = ("node", "blackbox", "kubeStateMetrics", "kubelet", "pushgateway", "postgres", "custom")


class MonitoringStackSpec(
    Model,
    json_schema_extra=rules(
        *(
            Rule(
                f"!has(self.exporters) || !has(self.exporters.{name}) || has(self.metrics)",
                f"exporters.{name} needs metrics: nothing would scrape it",
            )
            for name in _SCRAPED
        ),
        Rule(
            "!has(self.packs) || has(self.metrics)",
            "packs needs metrics: nothing would evaluate its rules",
        ),
        Rule(
            "!has(self.synthetic) || !has(self.synthetic.probes)"
            " || (has(self.exporters) && has(self.exporters.blackbox))",
            "synthetic.probes needs exporters.blackbox, which probes; write blackbox: {}",
        ),
        Rule(
            "!has(self.synthetic) || !has(self.synthetic.healthChecks)"
            " || (has(self.exporters) && has(self.exporters.blackbox))",
            "synthetic.healthChecks needs exporters.blackbox, which asks; write blackbox: {}",
        ),
        Rule(
            "!has(self.realUserMonitoring) || has(self.metrics)",
            "realUserMonitoring needs metrics: nothing would scrape what browsers tell",
        ),
        Rule(
            "!has(self.synthetic) || !has(self.synthetic.journeys) || has(self.metrics)",
            "synthetic.journeys needs metrics: nothing would scrape what they come to",
        ),
        Rule(
            "!has(self.metrics) || !has(self.external) || !has(self.external.prometheus)",
            "external.prometheus stands in place of metrics; remove one of the two",
        ),
        Rule(
            "!has(self.visualization) || !has(self.external) || !has(self.external.grafana)",
            "external.grafana stands in place of visualization; remove one of the two",
        ),
    ),
):
    """What monitoring runs in this namespace; every block can be left out."""

    paused: bool = False
    """Leaves everything as it is: nothing is written or deleted, while the status goes on telling
    how it stands.
    """
    overrides: dict[_Component, Annotated[dict[str, Any], Field(json_schema_extra=FREE)]] = Field(
        default={}, max_length=16
    )
    """Changes of finished workloads, by component as in ``status.components``, for what has no field
    here. Each is a merge patch of the StatefulSet, DaemonSet or Deployment; entries of containers,
    initContainers, env and volumes are found by name, of volumeMounts by mountPath and of ports by
    containerPort. Service accounts, host namespaces, hostPath, privileges, capabilities, tokens,
    owners and selectors may not be touched. One that goes too far, or that the API server refuses, is
    left out and named in the condition Accepted, reason OverrideRefused.
    """
    image_registry: Registry | None = None
    """Registry of every default image, in place of its own, for example ``registry.example:5000``;
    a block's ``image`` is taken as it stands.
    """
    image_pull_secrets: list[ObjectRef] = Field(default=[], max_length=8)
    """Secrets of this namespace with which the images are pulled."""

    metrics: Metrics | None = None
    """Prometheus."""
    exporters: Exporters = Exporters()
    """Exporters, each scraped by the stack's Prometheus."""
    policies: PolicySelection | None = None
    """AlertPolicies of other namespaces that this stack runs; none when left out."""
    alerting: Alerting | None = None
    """Alertmanager."""
    visualization: Visualization | None = None
    """Grafana."""
    external: External = External()
    """Servers that others run, in place of the stack's own."""
    packs: Packs | None = None
    """Alerting rules that come with Firewatch, by subject; none when left out. ``packs: {}`` has all of
    whose subjects there is something, and ``status.packs`` says why others do not run.
    """
    synthetic: Synthetic = Synthetic()
    """Checks from outside of the application."""
    real_user_monitoring: RealUserMonitoring | None = None
    """What browsers tell of pages and their users, as metrics of the job ``rum``."""
    network_policies: NetworkPolicies | None = None
    """Lets nothing reach the stack's pods but what is needed; no policies when left out."""


class ComponentStatus(Status):
    """One workload of the stack."""

    name: str = Field(max_length=64)
    """The program: prometheus, grafana, node-exporter, blackbox-exporter, kube-state-metrics, pushgateway,
    journeys, rum, postgres-exporter- and the name of a database's exporter, or exporter- and the name of one of your
    own.
    """
    ready: ConditionStatus
    """Whether every pod that should run is ready and up to date."""
    pods: str = Field(max_length=32)
    """Ready pods of wanted pods, as ``1/1``; ``external`` for a server that others run."""
    version: str = Field(default="", max_length=128)
    """Version that runs, as the server says; the tag of its image where it does not say."""
    endpoint: str = Field(default="", max_length=512)
    """Address inside the cluster, where it has one."""
    message: str = Field(default="", max_length=1024)
    """What is missing, when something is."""


class RulesStatus(Status):
    """Rules that the stack's Prometheus runs for AlertPolicies."""

    policies: int = Field(default=0, ge=0)
    """AlertPolicies that belong to this stack."""
    loaded: int = Field(default=0, ge=0)
    """AlertPolicies whose rules the server has confirmed."""


class PackStatus(Status):
    """A pack of alerting rules."""

    name: str = Field(max_length=64)
    """Name of the pack."""
    running: bool
    """Whether its rules run."""
    message: str = Field(default="", max_length=512)
    """Why they do not."""


class JobStatus(Status):
    """A job of the stack's Prometheus; looked at every ten minutes, every half if some do not answer."""

    name: str = Field(max_length=256)
    """Name of the job."""
    targets: int = Field(ge=0)
    """Targets that were found and are scraped."""
    up: int = Field(ge=0)
    """Targets whose last scrape succeeded."""
    rejected: int = Field(default=0, ge=0)
    """Targets whose samples were refused because they pass a limit."""
    limit_used: int = Field(default=0, ge=0)
    """How much of ``sampleLimit`` its largest target uses, in tens of percent, from 80 on."""
    message: str = Field(default="", max_length=512)
    """One of the targets that do not answer, and why, in Prometheus' words; of the job ``postgres``
    also the databases that let no exporter in.
    """


class MetricSize(Status):
    """A metric and how many series it has, in two digits."""

    name: str = Field(max_length=512)
    """Name of the metric."""
    series: int = Field(ge=0)
    """Series in memory, about."""


class VolumeStatus(Status):
    """A volume of the stack. Growing ``storage.size`` makes it grow; it never shrinks."""

    name: str = Field(max_length=253)
    """Name of its PersistentVolumeClaim."""
    size: str = Field(default="", max_length=32)
    """Size that it has; empty while there is no volume yet."""
    wanted: str = Field(max_length=32)
    """Size that the stack asks for."""
    message: str = Field(default="", max_length=1024)
    """How far growing has come, or why it stays as it is."""


class StackRetention(Status):
    """How long this stack's Prometheus keeps samples."""

    time: str = Field(max_length=32)
    """Oldest sample kept."""
    size: str = Field(default="", max_length=32)
    """Largest total of all blocks, in Prometheus' units; empty when only time counts."""
    policy: str = Field(default="", max_length=253)
    """The RetentionPolicy that says so; empty when it is ``metrics.retention`` of the stack."""


class MonitoringStackStatus(Status):
    """What the operator has seen and done; written by the operator only."""

    observed_generation: int | None = Field(default=None, ge=0)
    """The ``metadata.generation`` that this status speaks of."""
    conditions: Conditions = Field(default=[])
    """Accepted, Applied, StorageReady (volumes have the size that is wanted; StorageResizing while they
    grow), SecretsPresent, Available (pods run), Loaded (Prometheus confirms its configuration),
    Ready (all of them). With ``alerting`` also RoutesAccepted (receivers and routes are understood),
    AlertmanagerLoaded (every pod confirms its settings), Notifying (Prometheus sends to Alertmanager
    and no receiver is known to fail) and, with ``selfTest``, ReceiversVerified (each took the last test message).
    With ``visualization`` also GrafanaLoaded (every pod confirms its data sources) and
    DashboardsLoaded (every pod has its dashboards, and none is left out).
    """
    components: list[ComponentStatus] = Field(
        default=[],
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """The workloads of the stack."""
    prometheus_url: str | None = Field(default=None, max_length=512)
    """Address of Prometheus."""
    loaded_configuration: str = Field(default="", max_length=32)
    """Hash of the configuration that every ready Prometheus has confirmed last."""
    targets: str = Field(default="", max_length=32)
    """Targets that answer of all targets, as ``12/13``."""
    jobs: list[JobStatus] = Field(
        default=[],
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """What is scraped (the first 64 jobs)."""
    packs: list[PackStatus] = Field(
        default=[],
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Packs of alerting rules, and why some do not run."""
    largest_metrics: list[MetricSize] = Field(default=[], max_length=10)
    """The ten metrics with the most series; looked at every ten minutes, and written when one grows
    or shrinks by a quarter.
    """
    health_checks: list[CheckStatus] = Field(
        default=[],
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """The health checks, and how available what they ask has been."""
    journeys: list[CheckStatus] = Field(
        default=[],
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """The journeys, which step fails, and how often they have succeeded."""
    volumes: list[VolumeStatus] = Field(
        default=[],
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """The volumes of the stack."""
    retention: StackRetention | None = None
    """How long samples are kept, and which RetentionPolicy says so."""
    rules: RulesStatus = RulesStatus()
    """AlertPolicies of this stack."""
    alerting: AlertingStatus | None = None
    """How the notifications stand."""
    visualization: VisualizationStatus | None = None
    """How to get into Grafana."""


MONITORING_STACK = CustomKind(
    kind="MonitoringStack",
    plural="monitoringstacks",
    singular="monitoringstack",
    short="mstack",
    description="What monitoring runs in a namespace: Prometheus, its exporters, Alertmanager, Grafana.",
    spec=MonitoringStackSpec,
    status=MonitoringStackStatus,
    columns=(
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Targets", ".status.targets"),
        Column("Policies", ".status.rules.policies", type="integer"),
        Column("Loaded", ".status.rules.loaded", type="integer"),
        Column("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
    rules=(
        Rule(
            "size(self.metadata.name) <= 63",
            "metadata.name: at most 63 characters, since it is a label of every object of the stack",
        ),
    ),
)

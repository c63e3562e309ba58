"""MonitoringStack: what monitoring runs in a namespace."""

from pydantic import Field

from firewatch.api.alerting import Alerting, AlertingStatus
from firewatch.api.exporters import Exporters
from firewatch.api.metrics import Metrics
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
from firewatch.api.workload import Registry


class MonitoringStackSpec(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.exporters) || !has(self.exporters.node) || has(self.metrics)",
            "exporters.node needs metrics: nothing would scrape it",
        )
    ),
):
    """What monitoring runs in this namespace; every block can be left out."""

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


class ComponentStatus(Status):
    """One workload of the stack."""

    name: str = Field(max_length=64)
    """prometheus or node-exporter."""
    ready: ConditionStatus
    """Whether every pod that should run is ready and up to date."""
    pods: str = Field(max_length=32)
    """Ready pods of wanted pods, as ``1/1``."""
    message: str = Field(default="", max_length=1024)
    """What is missing, when something is."""


class RulesStatus(Status):
    """Rules that the stack's Prometheus runs for AlertPolicies."""

    policies: int = Field(default=0, ge=0)
    """AlertPolicies that belong to this stack."""
    loaded: int = Field(default=0, ge=0)
    """AlertPolicies whose rules the server has confirmed."""


class MonitoringStackStatus(Status):
    """What the operator has seen and done; written by the operator only."""

    observed_generation: int | None = Field(default=None, ge=0)
    """The ``metadata.generation`` that this status speaks of."""
    conditions: Conditions = Field(default=[])
    """Accepted, Applied, Available (pods run), Loaded (Prometheus confirms its configuration), Ready
    (all of them). With ``alerting`` also SecretsPresent, RoutesAccepted (receivers and routes are
    understood), AlertmanagerLoaded (every pod confirms its settings), Notifying (no receiver is
    known to fail) and, with ``selfTest``, ReceiversVerified (each took the last test message).
    """
    components: list[ComponentStatus] = Field(
        default=[],
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """The workloads of the stack."""
    prometheus_url: str | None = Field(default=None, max_length=512)
    """Address of Prometheus inside the cluster."""
    rules: RulesStatus = RulesStatus()
    """AlertPolicies of this stack."""
    alerting: AlertingStatus | None = None
    """How the notifications stand."""


MONITORING_STACK = CustomKind(
    kind="MonitoringStack",
    plural="monitoringstacks",
    singular="monitoringstack",
    short="mstack",
    description="What monitoring runs in a namespace: Prometheus, its exporters, Alertmanager.",
    spec=MonitoringStackSpec,
    status=MonitoringStackStatus,
    columns=(
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
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

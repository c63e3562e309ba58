"""The block ``exporters`` of a MonitoringStack."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from firewatch.api.blackbox import ProbeModule
from firewatch.api.metrics import RESERVED_JOBS
from firewatch.api.postgres import PostgresExporter
from firewatch.api.resource import Interval, Model, Name, Rule, SecretKeySelector, rules
from firewatch.api.scraping import Scheme
from firewatch.api.workload import Image, Storage, Workload


class NodeExporter(Workload):
    """Metrics of the machines, from a DaemonSet that sees the host read-only.

    It needs host network, host PID and a read-only mount of the host's root, so the namespace must
    allow the Pod Security level ``privileged``. It tolerates every taint unless ``tolerations`` is
    given.
    """

    own_flags = frozenset(
        {
            *("path.rootfs", "path.sysfs", "path.udev.data", "web.listen-address"),
            *("web.config.file", "collector.filesystem.mount-points-exclude"),
            *("collector.filesystem.fs-types-exclude", "collector.netdev.device-exclude"),
            "collector.netclass.ignored-devices",
        }
    )

    port: int = Field(default=9100, ge=1, le=65535)
    """Port on every node. The status says so when it is taken there."""


class BlackboxExporter(Workload):
    """The blackbox exporter, which probes the targets of ``synthetic.probes``.

    It pings without any privilege: its pods may open ICMP sockets by a sysctl that Kubernetes counts
    as safe.
    """

    own_flags = frozenset(
        {
            *("config.file", "config.check", "config.enable-auto-reload"),
            *("web.listen-address", "web.config.file", "web.route-prefix", "web.external-url"),
        }
    )

    modules: dict[Annotated[str, Field(pattern=r"^[a-zA-Z0-9_]+$", max_length=63)], ProbeModule] = (
        Field(default={}, max_length=32)
    )
    """Ways to probe, by name. The modules http_2xx, http_post_2xx, tcp_connect and icmp are always
    there; one of the same name takes their place.
    """


class Collector(StrEnum):
    """Kinds of objects that kube-state-metrics can report on with the rights that the chart gives.

    Secrets and ConfigMaps are not among them: to count them is to read them all.
    """

    CERTIFICATE_SIGNING_REQUESTS = "certificatesigningrequests"
    CRON_JOBS = "cronjobs"
    DAEMON_SETS = "daemonsets"
    DEPLOYMENTS = "deployments"
    ENDPOINT_SLICES = "endpointslices"
    HORIZONTAL_POD_AUTOSCALERS = "horizontalpodautoscalers"
    INGRESSES = "ingresses"
    JOBS = "jobs"
    LEASES = "leases"
    LIMIT_RANGES = "limitranges"
    MUTATING_WEBHOOK_CONFIGURATIONS = "mutatingwebhookconfigurations"
    NAMESPACES = "namespaces"
    NETWORK_POLICIES = "networkpolicies"
    NODES = "nodes"
    PERSISTENT_VOLUME_CLAIMS = "persistentvolumeclaims"
    PERSISTENT_VOLUMES = "persistentvolumes"
    POD_DISRUPTION_BUDGETS = "poddisruptionbudgets"
    PODS = "pods"
    REPLICA_SETS = "replicasets"
    REPLICATION_CONTROLLERS = "replicationcontrollers"
    RESOURCE_QUOTAS = "resourcequotas"
    SERVICES = "services"
    STATEFUL_SETS = "statefulsets"
    STORAGE_CLASSES = "storageclasses"
    VALIDATING_WEBHOOK_CONFIGURATIONS = "validatingwebhookconfigurations"
    VOLUME_ATTACHMENTS = "volumeattachments"


class KubeStateMetrics(Workload):
    """kube-state-metrics, which tells the state of the cluster's objects as metrics.

    It reads the whole cluster, so the namespace must be in ``clusterStacks.namespaces`` of the chart.
    """

    own_flags = frozenset(
        {
            *("port", "telemetry-port", "host", "telemetry-host", "resources", "namespaces"),
            *("kubeconfig", "apiserver", "config", "tls-config", "auth-filter"),
            *("custom-resource-state-config", "custom-resource-state-config-file"),
        }
    )

    collectors: list[Collector] = Field(default=[], max_length=32)
    """Kinds of objects to report on, in the plural; all when empty. Secrets and ConfigMaps are not on
    offer: to count them is to read them all.
    """
    namespaces: list[Annotated[Name, Field(max_length=63)]] = Field(default=[], max_length=64)
    """Namespaces whose objects are reported; all when empty."""
    interval: Interval | None = None
    """How often it is scraped; the stack's ``scrapeInterval`` when left out."""


class Cadvisor(Model):
    """cAdvisor, the part of kubelet that measures containers, scraped as the job ``cadvisor``."""

    enabled: bool = True
    """Whether containers are scraped."""
    interval: Interval | None = None
    """How often; the interval of ``kubelet``, or the stack's ``scrapeInterval``, when left out."""
    keep_all: bool = False
    """Whether every series is stored. By default those are left out that are large and hardly used:
    series without a pod, container_spec_*, container_tasks_state and the like, file-system details,
    and interfaces of the network plugin.
    """


class Kubelet(Model):
    """kubelet on every node, scraped as the job ``kubelet``, and its cAdvisor.

    Prometheus reads ``nodes/metrics`` in the whole cluster, so the namespace must be in
    ``clusterStacks.namespaces`` of the chart.
    """

    insecure_skip_verify: bool = False
    """Whether kubelets are believed without a certificate of the cluster's own authority. Where they
    sign their own (kubeadm without ``serverTLSBootstrap``, kind, minikube), scraping fails
    otherwise; but whoever can take over a node's address is then sent the token of Prometheus, which
    reads pods and metrics of nodes.
    """
    interval: Interval | None = None
    """How often; the stack's ``scrapeInterval`` when left out."""
    cadvisor: Cadvisor = Cadvisor()
    """Metrics of the containers."""


class Pushgateway(Workload):
    """Pushgateway, where jobs leave metrics that end before they could be scraped.

    Whoever reaches it can write to it: it asks for no password.
    """

    own_flags = frozenset(
        {
            *("web.listen-address", "web.config.file", "web.telemetry-path", "web.route-prefix"),
            *("web.external-url", "persistence.file", "web.enable-lifecycle"),
        }
    )

    storage: Storage | None = None
    """Volume for what was pushed; without it, it is lost when the pod goes."""
    interval: Interval | None = None
    """How often it is scraped; the stack's ``scrapeInterval`` when left out."""


class EnvVar(
    Model,
    json_schema_extra=rules(
        Rule(
            "!(has(self.value) && has(self.secretKeyRef))",
            "set value or secretKeyRef, not both",
        )
    ),
):
    """An environment variable."""

    name: str = Field(pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=128)
    """Name of the variable."""
    value: str | None = Field(default=None, max_length=4096)
    """Its value. Credentials do not belong here: everybody who may read the stack would see them."""
    secret_key_ref: SecretKeySelector | None = None
    """Key of a Secret of this namespace that holds the value."""


class CustomExporter(
    Workload,
    json_schema_extra=rules(
        Rule(
            f"!(self.name in {list(RESERVED_JOBS)})",
            f"name: {', '.join(RESERVED_JOBS)} belong to jobs of the stack itself",
        ),
        Rule(
            "!has(self.insecureSkipVerify) || !self.insecureSkipVerify"
            " || (has(self.scheme) && self.scheme == 'https')",
            "insecureSkipVerify is for scheme https",
        ),
    ),
):
    """Any exporter: one pod of an image of yours and a Service, scraped as a job of its name.

    The pod is hardened as all others: user 65534, a read-only root with an empty ``/tmp``, no
    capabilities and no token.
    """

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=24)
    """Name of the exporter; it becomes the label ``job``."""
    image: Image
    """Container image."""
    port: int = Field(ge=1, le=65535)
    """Port of the metrics."""
    path: str = Field(default="/metrics", pattern=r"^/[^\s?#]*$", max_length=1024)
    """HTTP path of the metrics."""
    scheme: Scheme = Scheme.HTTP
    """``http`` or ``https``."""
    insecure_skip_verify: bool = False
    """Take any certificate of the exporter, with scheme ``https``."""
    interval: Interval | None = None
    """How often it is scraped; the stack's ``scrapeInterval`` when left out."""
    args: list[Annotated[str, Field(max_length=4096)]] = Field(default=[], max_length=64)
    """Arguments of the container."""
    env: list[EnvVar] = Field(
        default=[],
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Environment of the container; credentials come from Secrets. Pods wait for a Secret that is
    missing, and the status names it.
    """


class Exporters(Model):
    """Programs that turn what they see into metrics."""

    node: NodeExporter | None = None
    """node_exporter on every node, scraped as the job ``node``."""
    blackbox: BlackboxExporter | None = None
    """The blackbox exporter, which ``synthetic.probes`` needs."""
    kube_state_metrics: KubeStateMetrics | None = None
    """The state of the cluster's objects, scraped as the job ``kube-state-metrics``."""
    kubelet: Kubelet | None = None
    """kubelet and cAdvisor of every node: the jobs ``kubelet`` and ``cadvisor``."""
    pushgateway: Pushgateway | None = None
    """Metrics left by short jobs, scraped as the job ``pushgateway``."""
    postgres: list[PostgresExporter] = Field(
        default=[],
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            **rules(
                Rule(
                    "self.all(a, self.exists_one(b, b.host == a.host"
                    " && b.port == a.port && b.database == a.database))",
                    "each database can be named once",
                )
            ),
        },
    )
    """PostgreSQL databases, scraped as the job ``postgres``, each with its own ``instance``:
    ``host:port/database``.
    """
    custom: list[CustomExporter] = Field(
        default=[],
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )
    """Exporters of your own."""

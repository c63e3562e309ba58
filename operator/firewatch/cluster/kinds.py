"""The kinds that Firewatch reads and writes, and the rights it needs for them.

One table feeds the client (paths), the watches and the chart's roles, so that the operator can do
what it does and nothing more.
"""

from dataclasses import dataclass
from enum import StrEnum

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import API_VERSION, GROUP
from firewatch.settings import LEASE_NAME, PROMETHEUS_ROLE, Settings


@dataclass(frozen=True)
class Kind:
    """A kind of the Kubernetes API."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """Return the API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """Return the version inside the group."""
        return self.api_version.rpartition("/")[2]


NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
POD = Kind("v1", "Pod", "pods")
SERVICE = Kind("v1", "Service", "services")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
SECRET = Kind("v1", "Secret", "secrets")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
PERSISTENT_VOLUME_CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
EVENT = Kind("v1", "Event", "events")
STATEFUL_SET = Kind("apps/v1", "StatefulSet", "statefulsets")
DAEMON_SET = Kind("apps/v1", "DaemonSet", "daemonsets")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
ROLLOUT = Kind("argoproj.io/v1alpha1", "Rollout", "rollouts")
HORIZONTAL_POD_AUTOSCALER = Kind(
    "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"
)
SCALED_OBJECT = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
DESTINATION_RULE = Kind("networking.istio.io/v1", "DestinationRule", "destinationrules")
SERVICE_PROFILE = Kind("linkerd.io/v1alpha2", "ServiceProfile", "serviceprofiles")
INGRESS = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
POD_DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
JOB = Kind("batch/v1", "Job", "jobs")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
CRD = Kind(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
)
TOKEN_REVIEW = Kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False)

MONITORING_STACK, ALERT_POLICY, AUTO_RESPONSE, RETENTION_POLICY = (
    Kind(API_VERSION, custom.kind, custom.plural) for custom in CUSTOM_KINDS
)
OWN_KINDS = (MONITORING_STACK, ALERT_POLICY, AUTO_RESPONSE, RETENTION_POLICY)

STACK_CHILDREN = (
    *(SERVICE_ACCOUNT, ROLE_BINDING, CONFIG_MAP, SERVICE, INGRESS, NETWORK_POLICY),
    *(POD_DISRUPTION_BUDGET, STATEFUL_SET, DAEMON_SET, DEPLOYMENT),
)
"""Kinds of objects that a stack is made of, in the order in which they are applied."""
FOREIGN_CHILDREN = (HTTP_ROUTE,)
"""Further ones that are not installed everywhere, and so not watched."""


TARGET_KINDS = (DEPLOYMENT, STATEFUL_SET, ROLLOUT)
"""Kinds that an AutoResponse can act on, whatever else the chart names."""
RESTARTED_KINDS = (DEPLOYMENT, STATEFUL_SET)
"""Those of them whose pods it can renew."""
BREAKER_KINDS = (DEPLOYMENT, STATEFUL_SET)
"""Those whose traffic it can take off, or lead to another."""
AUTOSCALER_KINDS = (HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT)
"""Kinds that scale them."""


def target_kind(settings: Settings, name: str) -> Kind | None:
    """Return the kind of that name if AutoResponses may act on it, here or by the chart."""
    further = (
        Kind(
            f"{each.group}/{each.version}" if each.group else each.version, each.kind, each.resource
        )
        for each in settings.extra_kinds
    )
    return next((kind for kind in (*TARGET_KINDS, *further) if kind.kind == name), None)


class Scope(StrEnum):
    """Where a right is bound."""

    CLUSTER = "cluster"
    """Cluster-wide, by a ClusterRoleBinding."""
    STACKS = "stacks"
    """In the namespaces of ``stacks.namespaces``."""
    TARGETS = "targets"
    """In the namespaces of ``targets.namespaces``."""
    RESTARTS = "restarts"
    """In the same, where ``targets.restart`` is set."""
    BREAKERS = "breakers"
    """In the same, where ``targets.circuitBreaker`` is set."""
    SOURCES = "sources"
    """In the namespaces of ``sources.namespaces``."""
    OWN = "own"
    """In the operator's own namespace."""


@dataclass(frozen=True)
class Right:
    """Verbs on one resource, and where they are granted."""

    scope: Scope
    kind: Kind
    verbs: tuple[str, ...]
    subresource: str = ""
    names: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """Return the resource as RBAC writes it, for example ``deployments/scale``."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


_READ = ("get", "list", "watch")
# Server-side apply of an object that is not there yet needs create beside patch.
_MADE = (*_READ, "create", "patch")
_SHARED = (SERVICE_ACCOUNT, ROLE_BINDING)
"""Children of all stacks of a namespace together: they go with the last of these."""

RIGHTS: tuple[Right, ...] = (
    *(Right(Scope.CLUSTER, kind, _READ) for kind in OWN_KINDS if kind is not ALERT_POLICY),
    # Never one alone: those of a stack are always judged together.
    Right(Scope.CLUSTER, ALERT_POLICY, ("list", "watch")),
    *(Right(Scope.CLUSTER, kind, ("patch",), "status") for kind in OWN_KINDS),
    Right(Scope.CLUSTER, AUTO_RESPONSE, ("patch",)),
    Right(Scope.CLUSTER, CRD, ("get",), names=tuple(f"{c.plural}.{GROUP}" for c in CUSTOM_KINDS)),
    Right(Scope.CLUSTER, TOKEN_REVIEW, ("create",)),
    *(Right(Scope.STACKS, kind, _MADE) for kind in _SHARED),
    *(
        Right(Scope.STACKS, kind, (*_MADE, "delete"))
        for kind in STACK_CHILDREN
        if kind not in _SHARED
    ),
    *(
        Right(Scope.STACKS, kind, ("get", "list", "create", "patch", "delete"))
        for kind in FOREIGN_CHILDREN
    ),
    # Never listed or watched: the user's are read by name, and ours have fixed names.
    Right(Scope.STACKS, SECRET, ("get", "create", "patch", "delete")),
    # Jobs run unit tests of rules; they are looked at only while one is under way.
    Right(Scope.STACKS, JOB, ("get", "list", "create", "patch", "delete")),
    Right(Scope.STACKS, POD, ("get", "list", "patch", "delete")),
    Right(Scope.STACKS, PERSISTENT_VOLUME_CLAIM, ("list", "patch")),
    # Why pods of a DaemonSet are refused stands in Events only.
    Right(Scope.STACKS, EVENT, ("create", "list")),
    Right(Scope.STACKS, CLUSTER_ROLE, ("bind",), names=(PROMETHEUS_ROLE,)),
    *(Right(Scope.TARGETS, kind, ("get",)) for kind in TARGET_KINDS),
    *(Right(Scope.TARGETS, kind, ("patch",), "scale") for kind in TARGET_KINDS),
    *(Right(Scope.TARGETS, kind, ("list", "patch")) for kind in AUTOSCALER_KINDS),
    Right(Scope.TARGETS, NAMESPACE, ("get",)),
    Right(Scope.TARGETS, EVENT, ("create",)),
    # The fence holds these patches to one annotation of the pod template.
    *(Right(Scope.RESTARTS, kind, ("patch",)) for kind in RESTARTED_KINDS),
    Right(Scope.RESTARTS, POD_DISRUPTION_BUDGET, ("list",)),
    # The fence holds these patches to the fields that circuit breakers change.
    Right(Scope.BREAKERS, SERVICE, ("list", "patch")),
    Right(Scope.BREAKERS, POD, ("list", "patch")),
    Right(Scope.BREAKERS, CONFIG_MAP, ("get", "list", "patch")),
    Right(Scope.BREAKERS, REPLICA_SET, ("list",)),
    Right(Scope.BREAKERS, DESTINATION_RULE, ("list", "create", "delete")),
    Right(Scope.BREAKERS, SERVICE_PROFILE, ("list",)),
    Right(Scope.BREAKERS, DEPLOYMENT, ("patch",)),
    Right(Scope.BREAKERS, POD_DISRUPTION_BUDGET, ("list",)),
    # Credentials of a Prometheus that people run, and the token of its Alertmanager's webhook.
    Right(Scope.SOURCES, SECRET, ("get",)),
    Right(Scope.SOURCES, CONFIG_MAP, ("get",)),
    # Whom an AutoResponse there has told, or could not.
    Right(Scope.SOURCES, EVENT, ("create",)),
    Right(Scope.OWN, LEASE, ("get", "patch"), names=(LEASE_NAME,)),
    # RBAC cannot hold a creation to a name; the fence does.
    Right(Scope.OWN, LEASE, ("create",)),
)

RELEASE_RIGHTS: tuple[Right, ...] = (
    Right(Scope.CLUSTER, AUTO_RESPONSE, ("get", "list", "patch")),
    Right(Scope.CLUSTER, AUTO_RESPONSE, ("patch",), "status"),
    Right(Scope.OWN, POD, ("list",)),
    # The chart knows the name.
    Right(Scope.OWN, DEPLOYMENT, ("patch",), "scale", names=("$operator",)),
)
"""What it takes to stop the operator and to give back what is owed, beside the rights on targets."""

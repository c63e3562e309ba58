"""What a breaker has to know of its target and of what stands around it (data only)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from firewatch.respond.circuit.levers import Lever, Seen


@dataclass(frozen=True)
class Pod:
    """A pod that has not ended and is not about to."""

    name: str
    labels: Mapping[str, str]
    is_ready: bool = True
    ports: frozenset[str] = frozenset()
    """Names of the ports of its containers."""
    config_maps: frozenset[str] = frozenset()
    """Names of the ConfigMaps that are among its files."""
    replica_set: str = ""
    """Name of the ReplicaSet that it is of; empty if it is of none."""


@dataclass(frozen=True)
class Backend:
    """A workload that may stand behind a Service."""

    kind: str
    name: str
    selector: Mapping[str, str]
    """Labels by which it knows its pods."""
    pods: tuple[Pod, ...] = ()
    is_simple: bool = True
    """Whether it knows them by labels alone, and by no expression."""

    @property
    def ready(self) -> list[Pod]:
        """Return the pods that are ready, by name."""
        return sorted((pod for pod in self.pods if pod.is_ready), key=lambda pod: pod.name)

    def __str__(self) -> str:
        """Return kind and name."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Service:
    """A Service of the namespace."""

    name: str
    selector: Mapping[str, str]
    ports: frozenset[str] = frozenset()
    """Names of ports of the pods that it leads to."""

    def selects(self, pod: Pod) -> bool:
        """Tell whether it leads to a pod, once that is ready."""
        return bool(self.selector) and self.selector.items() <= pod.labels.items()


@dataclass(frozen=True)
class ConfigMap:
    """A ConfigMap of the namespace."""

    name: str
    data: Mapping[str, str] | None
    is_immutable: bool = False


@dataclass(frozen=True)
class Revision:
    """A state of a Deployment that it can be in, or has been."""

    replica_set: str
    number: int
    """Of the rollout that led to it last."""
    began: datetime
    """When its pods began to be there."""
    lacking: str = ""
    """What it needs and there is not any more, or cannot be told; empty if it can be gone back to."""


@dataclass(frozen=True)
class Mesh:
    """The service mesh whose proxies are in the pods of a target."""

    name: str
    """``Istio`` or ``Linkerd``."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """What of somebody else's says already how the mesh treats a Service, by name of that."""


class Traffic(NamedTuple):
    """What a pod has answered within some time."""

    requests: float
    errors: float


@dataclass(frozen=True)
class World:
    """A target as the API server and Prometheus show it now."""

    target: Backend
    replicas: int
    services: tuple[Service, ...] = ()
    """Those of the namespace."""
    is_paused: bool = False
    scaled_by: str = ""
    """What scales it, for people; empty if nothing does."""
    kept_by: str = ""
    """What keeps it as it should be, as Argo CD, for people; empty if nothing is recognised."""
    fallback: Backend | None = None
    mesh: Mesh | None = None
    config_map: ConfigMap | None = None
    revisions: tuple[Revision, ...] = ()
    """The newest first; the first one is the present one."""
    disruptions_allowed: int | None = None
    """How many pods its PodDisruptionBudgets let go; None without any."""
    traffic: Mapping[str, Traffic] | None = None
    """By pod, within the window before now; None if Prometheus cannot tell."""
    unmeasured: str = ""
    """Why it cannot."""
    counters: Mapping[str, Traffic] | None = None
    """By pod, since its counters began; None if Prometheus cannot tell."""
    errors_since: datetime | None = None
    """When the alert's condition began to hold."""
    names: frozenset[str] = frozenset()
    """Of the pods of the namespace, also of those that have left the target."""
    seen: Mapping[Lever, Seen] = field(default_factory=dict)
    """What stands in the fields that are held, or may be."""

"""Settings of the operator's process, read once from the environment."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FIELD_MANAGER = "firewatch"
"""Field manager of every write."""

MANAGED_BY = {"app.kubernetes.io/managed-by": "firewatch"}
"""Label of every object that the operator makes."""

STACK_LABEL = "monitoring.freeagentics.io/stack"
"""Label with the name of the stack, on every object and pod of it."""

PROMETHEUS_ROLE = "firewatch-prometheus"
"""ClusterRole of the chart with what a stack's Prometheus may read, bound in the stack's namespace;
the ServiceAccount and the RoleBinding there have the same name.
"""

KUBE_STATE_METRICS_ROLE = "firewatch-kube-state-metrics"
"""ServiceAccount of kube-state-metrics; the chart binds the ClusterRole of that name to it in
``clusterStacks.namespaces``.
"""

RECEIVER_AUDIENCE = "firewatch-receiver"
"""Audience of the token with which Prometheus proves itself to the alert receiver."""


LEASE_NAME = "firewatch"
"""Lease in the operator's namespace; whoever holds it acts, and the other replicas stand by."""


EXTRA_KINDS = "FIREWATCH_EXTRA_KINDS"
"""Variable with the chart's ``targets.extraKinds``, as JSON."""


@dataclass(frozen=True)
class ExtraKind:
    """A further kind that AutoResponses may act on, by its scale subresource."""

    group: str
    """API group; empty for the core group."""
    version: str
    """Version in which it is read."""
    kind: str
    """Kind as an AutoResponse names it."""
    resource: str
    """Its plural, as in the API's paths."""


@dataclass(frozen=True)
class Settings:
    """Everything about the process that is not in a resource."""

    namespace: str
    """Namespace that the operator runs in."""
    pod: str
    """Name of the pod that the process runs in."""
    image: str
    """Image that it runs from, for programs of stacks that are in it too; empty if unknown."""
    address: str
    """``host:port`` at which the other replicas reach this one's alert receiver; empty if unknown."""
    stack_namespaces: tuple[str, ...]
    """Namespaces where stacks may run; ``("*",)`` is every namespace."""
    cluster_stack_namespaces: tuple[str, ...]
    """Namespaces whose stacks may read the whole cluster: the chart has bound rights there."""
    target_namespaces: tuple[str, ...]
    """Namespaces where AutoResponses may change workloads; ``("*",)`` is every namespace."""
    restarts: bool
    """Whether AutoResponses may restart workloads there."""
    breakers: bool
    """Whether AutoResponses may open circuit breakers there."""
    extra_kinds: tuple[ExtraKind, ...]
    """Further kinds that AutoResponses may act on there."""
    source_namespaces: tuple[str, ...]
    """Namespaces whose AutoResponses may name Secrets of their own, for a source or whom they tell."""
    receiver: str
    """``host:port`` at which Prometheus reaches the operator's alert receiver."""
    receiver_port: int
    """Port that the alert receiver listens on."""
    receiver_tls: str
    """Folder with the receiver's certificate and key; empty means plain HTTP."""
    health_port: int
    """Port of ``/healthz``, ``/readyz`` and ``/metrics``."""
    kubeconfig: str
    """Path of a kubeconfig; empty means the pod's own ServiceAccount."""
    workers: int
    """How many resources are worked on at the same time."""
    namespace_actions: int
    """How many targets of a namespace AutoResponses may raise within an hour."""
    cluster_actions: int
    """The same for the whole cluster."""
    max_targets: int
    """How many targets of a namespace may be changed at the same time."""
    max_failures: int
    """How many episodes of a namespace may end badly within an hour before nothing more is begun."""
    max_breakers: int
    """How many circuit breakers of a namespace may be open at the same time."""
    api_server: str
    """Address of the API server as pods know it, where no message may be sent; empty if unknown."""

    @property
    def receiver_host(self) -> str:
        """Return the name that the receiver's certificate must have."""
        return self.receiver.rpartition(":")[0].strip("[]")

    def grants_stacks(self, namespace: str) -> bool:
        """Tell whether stacks may run in the namespace."""
        return _granted(self.stack_namespaces, namespace)

    def grants_sources(self, namespace: str) -> bool:
        """Tell whether AutoResponses of the namespace may name Secrets of their own."""
        return _granted(self.source_namespaces, namespace)

    def grants_targets(self, namespace: str) -> bool:
        """Tell whether AutoResponses may change workloads in the namespace."""
        return _granted(self.target_namespaces, namespace)


def _granted(namespaces: tuple[str, ...], namespace: str) -> bool:
    return "*" in namespaces or namespace in namespaces


def parse_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings; ``ValueError`` names the variable that is wrong."""
    namespace = environment.get("FIREWATCH_NAMESPACE", "firewatch")
    receiver_port = _port(environment, "FIREWATCH_RECEIVER_PORT", 9095)
    return Settings(
        namespace=namespace,
        pod=environment.get("FIREWATCH_POD", "firewatch"),
        image=environment.get("FIREWATCH_IMAGE", ""),
        address=_address(environment.get("FIREWATCH_POD_IP", ""), receiver_port),
        stack_namespaces=_names(environment, "FIREWATCH_STACK_NAMESPACES"),
        cluster_stack_namespaces=_names(environment, "FIREWATCH_CLUSTER_STACK_NAMESPACES"),
        target_namespaces=_names(environment, "FIREWATCH_TARGET_NAMESPACES"),
        restarts=_truth(environment, "FIREWATCH_TARGET_RESTARTS"),
        breakers=_truth(environment, "FIREWATCH_TARGET_BREAKERS"),
        extra_kinds=parse_extra_kinds(environment.get(EXTRA_KINDS, "")),
        source_namespaces=_names(environment, "FIREWATCH_SOURCE_NAMESPACES"),
        receiver=environment.get(
            "FIREWATCH_RECEIVER", f"firewatch-receiver.{namespace}.svc:{receiver_port}"
        ),
        receiver_port=receiver_port,
        receiver_tls=environment.get("FIREWATCH_RECEIVER_TLS", ""),
        health_port=_port(environment, "FIREWATCH_HEALTH_PORT", 8080),
        kubeconfig=environment.get("KUBECONFIG", ""),
        workers=_number(environment, "FIREWATCH_WORKERS", 16),
        namespace_actions=_number(environment, "FIREWATCH_NAMESPACE_ACTIONS_PER_HOUR", 10),
        cluster_actions=_number(environment, "FIREWATCH_CLUSTER_ACTIONS_PER_HOUR", 30),
        max_targets=_number(environment, "FIREWATCH_MAX_TARGETS", 5),
        max_failures=_number(environment, "FIREWATCH_MAX_FAILURES", 5),
        max_breakers=_number(environment, "FIREWATCH_MAX_BREAKERS", 1),
        api_server=environment.get("KUBERNETES_SERVICE_HOST", ""),
    )


_FORMS = {
    "group": re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?"),
    "version": re.compile(r"[a-z0-9]+"),
    "kind": re.compile(r"[A-Z][A-Za-z0-9]*"),
    "resource": re.compile(r"[a-z][a-z0-9]*"),
}


def parse_extra_kinds(text: str) -> tuple[ExtraKind, ...]:
    """Read the kinds that the chart grants further; ``ValueError`` says what is wrong."""
    try:
        entries = json.loads(text) if text else []
    except ValueError as error:
        raise ValueError(f"{EXTRA_KINDS} is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise ValueError(f"{EXTRA_KINDS}: expected a list, not {text!r}")  # noqa: TRY004
    found = tuple(_extra_kind(entry) for entry in entries)
    kinds = [each.kind for each in found]
    if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        raise ValueError(
            f"{EXTRA_KINDS}: {twice[0]} stands there twice; AutoResponses name no group"
        )
    return found


def _extra_kind(entry: Any) -> ExtraKind:
    fields = {"version": "v1", **entry} if isinstance(entry, dict) else {}
    for name, form in _FORMS.items():
        value = fields.get(name)
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValueError(f"{EXTRA_KINDS}: {entry!r} has no {name} such as there are")
    return ExtraKind(**{name: fields[name] for name in _FORMS})


def _address(host: str, port: int) -> str:
    if not host:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _names(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(sorted(filter(None, environment.get(name, "").replace(",", " ").split())))


def _truth(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "false")
    if text not in ("true", "false"):
        raise ValueError(f"{name}={text!r}: expected true or false")
    return text == "true"


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name}={text!r}: expected a whole number above 0")
    return int(text)


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    port = _number(environment, name, default)
    if port > 65535:  # noqa: PLR2004
        raise ValueError(f"{name}={port}: expected a port from 1 to 65535")
    return port

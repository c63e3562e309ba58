"""NetworkPolicies: nothing reaches a stack's pods but what is needed."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

from firewatch.api.network import NetworkPolicies
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.alertmanager import MESH_PORT
from firewatch.build.cluster_scope import granted_kube_state_metrics
from firewatch.build.objects import Part, Stack
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import usable_databases, usable_journeys, usable_real_users
from firewatch.settings import STACK_LABEL

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_EVERYBODY: Sequence[Object] = ()


@dataclass(frozen=True)
class _Opening:
    """Who reaches the pods of an application."""

    name: str
    """Name of its workload, which is that of the policy too."""
    application: str
    entrances: Sequence[Object]
    """Rules of the policy."""
    is_closed_outwards: bool = False
    """Whether its pods may reach nothing themselves."""


def build_network_policies(
    stack: Stack, wanted: NetworkPolicies, surroundings: Surroundings
) -> list[Object]:
    """Return a policy that lets nothing in, and for each application one with what it needs."""
    people = [_peer(each) for each in wanted.model_dump(mode="json", by_alias=True)["allowFrom"]]
    openings = [
        *_servers(stack, people, surroundings),
        *_programs(stack, people, surroundings),
    ]
    return [_closed(stack), *(_policy(stack, opening) for opening in openings)]


def _servers(stack: Stack, people: list[Object], around: Surroundings) -> Iterator[_Opening]:
    """Yield who reaches the servers: each other, the operator and people."""
    spec = stack.spec
    prometheus, alertmanager, grafana = (
        _pods(stack, each) for each in (names.PROMETHEUS, names.ALERTMANAGER, names.GRAFANA)
    )
    operator = {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: around.operator_namespace}}}
    if spec.metrics:
        peers = [operator, prometheus, grafana, *people]
        yield _Opening(
            names.prometheus_name(stack.name),
            names.PROMETHEUS,
            [_entrance(names.PROMETHEUS_PORT, peers)],
        )
    if spec.alerting:
        peers = [operator, prometheus, grafana, *people]
        mesh = _entrance(MESH_PORT, [alertmanager], protocols=("TCP", "UDP"))
        yield _Opening(
            names.alertmanager_name(stack.name),
            names.ALERTMANAGER,
            [_entrance(names.ALERTMANAGER_PORT, peers), mesh],
        )
    if spec.visualization:
        peers = [operator, prometheus, *people]
        yield _Opening(
            names.grafana_name(stack.name), names.GRAFANA, [_entrance(names.GRAFANA_PORT, peers)]
        )


def _programs(stack: Stack, people: list[Object], around: Surroundings) -> Iterator[_Opening]:
    """Yield who reaches the programs that Prometheus scrapes: it alone, but for two."""
    exporters, name = stack.spec.exporters, stack.name
    prometheus = _pods(stack, names.PROMETHEUS)

    def scraped(workload: str, application: str, port: int) -> _Opening:
        return _Opening(workload, application, [_entrance(port, [prometheus])])

    if exporters.blackbox:
        yield scraped(names.blackbox_name(name), names.BLACKBOX_EXPORTER, names.BLACKBOX_PORT)
    if granted_kube_state_metrics(stack, around):
        workload = names.kube_state_metrics_name(name)
        yield scraped(workload, names.KUBE_STATE_METRICS, names.KUBE_STATE_METRICS_PORT)
    for database in usable_databases(stack, around):
        workload = names.postgres_exporter_name(name, database.name)
        application = names.postgres_exporter(database.name)
        yield scraped(workload, application, names.POSTGRES_EXPORTER_PORT)
    for exporter in exporters.custom:
        workload = names.custom_exporter_name(name, exporter.name)
        yield scraped(workload, names.custom_exporter(exporter.name), exporter.port)
    if usable_journeys(stack, around):
        yield scraped(names.journeys_name(name), names.JOURNEYS, names.JOURNEYS_PORT)
    if exporters.pushgateway:
        # Whoever pushes is in this namespace, or let in by name.
        peers = [{"podSelector": {}}, *people]
        yield _Opening(
            names.pushgateway_name(name),
            names.PUSHGATEWAY,
            [_entrance(names.PUSHGATEWAY_PORT, peers)],
            is_closed_outwards=True,
        )
    if usable_real_users(stack, around):
        entrances = [
            _entrance(names.RUM_PORT, _EVERYBODY),
            _entrance(names.RUM_METRICS_PORT, [prometheus]),
        ]
        yield _Opening(names.rum_name(name), names.RUM, entrances, is_closed_outwards=True)


def _entrance(port: int, peers: Sequence[Object], *, protocols: Sequence[str] = ("TCP",)) -> Object:
    """Return a rule that lets peers reach a port, everybody if none is named."""
    ports = [{"protocol": protocol, "port": port} for protocol in protocols]
    return {**({"from": deepcopy([*peers])} if peers else {}), "ports": ports}


def _pods(stack: Stack, application: str) -> Object:
    return {"podSelector": {"matchLabels": names.selector(stack.name, application)}}


def _peer(peer: Object) -> Object:
    """Return a peer without what is not set; an empty selector selects all."""
    return {
        name: {inner: value for inner, value in part.items() if value}
        for name, part in peer.items()
        if part is not None
    }


def _closed(stack: Stack) -> Object:
    part = Part(stack, names.closed_name(stack.name), names.NETWORK, names.NETWORK)
    labels = {STACK_LABEL: names.stack_label(stack.name)}
    spec = {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"]}
    return _network_policy(part, spec)


def _policy(stack: Stack, opening: _Opening) -> Object:
    part = Part(stack, opening.name, opening.application, names.NETWORK)
    types = ["Ingress", *(["Egress"] if opening.is_closed_outwards else [])]
    spec = {
        "podSelector": {"matchLabels": part.selector()},
        "policyTypes": types,
        "ingress": [*opening.entrances],
    }
    return _network_policy(part, spec)


def _network_policy(part: Part, spec: Object) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": part.meta(),
        "spec": spec,
    }

"""A MonitoringStack as Kubernetes objects."""

from collections.abc import Sequence

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.alertmanager import build_alertmanager
from firewatch.build.blackbox import build_blackbox
from firewatch.build.cluster_scope import granted_kube_state_metrics
from firewatch.build.custom_exporter import build_custom_exporter
from firewatch.build.grafana.data_sources import data_source_files
from firewatch.build.grafana.files import settings_files
from firewatch.build.grafana.workload import build_grafana
from firewatch.build.ingresses import build_ingresses
from firewatch.build.journeys import build_journeys
from firewatch.build.kube_state_metrics import build_kube_state_metrics
from firewatch.build.mounted_files import FileRef, find_files
from firewatch.build.network_policies import build_network_policies
from firewatch.build.node_exporter import build_node_exporter
from firewatch.build.objects import Stack, shared_meta
from firewatch.build.overrides import override_all
from firewatch.build.postgres_exporter import build_postgres_exporter
from firewatch.build.prometheus import build_prometheus
from firewatch.build.pushgateway import build_pushgateway
from firewatch.build.raw_scrapes import raw_scrapes_source
from firewatch.build.real_users import build_real_users
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import usable_databases, usable_journeys, usable_real_users
from firewatch.settings import KUBE_STATE_METRICS_ROLE, PROMETHEUS_ROLE


def build_stack(stack: Stack, surroundings: Surroundings) -> list[Object]:
    """Return the objects of one stack, in the order in which they are applied.

    Overrides that go too far are left out; ``left_out`` names them.
    """
    plain = build_plain(stack, surroundings)
    return [*override_all(stack.spec.overrides, plain).objects]


def named_files(stack: Stack) -> frozenset[FileRef]:
    """Return the keys of Secrets and ConfigMaps whose absence or change is to be noticed."""
    spec = stack.spec
    parts = (
        *(spec.metrics, spec.exporters.postgres, spec.synthetic.journeys),
        *(spec.real_user_monitoring, spec.external),
    )
    found = {ref for part in parts for ref in find_files(part)}
    if source := raw_scrapes_source(spec.metrics):
        found.add(source)
    if wanted := spec.visualization:
        found |= {*settings_files(stack.name, wanted).values(), *data_source_files(stack, wanted)}
    return frozenset(found)


def build_plain(stack: Stack, surroundings: Surroundings) -> list[Object]:
    """Return the objects of one stack without its overrides."""
    objects: list[Object] = []
    if stack.spec.metrics:
        objects += build_prometheus(stack, stack.spec.metrics, surroundings)
    objects += _build_exporters(stack, surroundings)
    if journeys := usable_journeys(stack, surroundings):
        objects += build_journeys(stack, journeys, surroundings)
    if real_users := usable_real_users(stack, surroundings):
        objects += build_real_users(stack, real_users, surroundings)
    if stack.spec.alerting:
        objects += build_alertmanager(stack, stack.spec.alerting)
    if stack.spec.visualization:
        objects += build_grafana(stack, stack.spec.visualization, surroundings)
    objects += build_ingresses(stack, surroundings)
    if stack.spec.network_policies:
        objects += build_network_policies(stack, stack.spec.network_policies, surroundings)
    return objects


def _build_exporters(stack: Stack, surroundings: Surroundings) -> list[Object]:
    exporters = stack.spec.exporters
    objects: list[Object] = []
    if exporters.node:
        objects.append(
            build_node_exporter(stack, exporters.node, last_words=surroundings.node_last_words)
        )
    if exporters.blackbox:
        objects += build_blackbox(stack, exporters.blackbox)
    if state := granted_kube_state_metrics(stack, surroundings):
        objects += build_kube_state_metrics(stack, state)
    if exporters.pushgateway:
        objects += build_pushgateway(stack, exporters.pushgateway)
    for database in usable_databases(stack, surroundings):
        objects += build_postgres_exporter(stack, database, surroundings)
    for exporter in exporters.custom:
        objects += build_custom_exporter(stack, exporter)
    return objects


def build_shared(stacks: Sequence[Stack]) -> list[Object]:
    """Return what the stacks of one namespace share: the identities under which their pods read.

    It is built from all of them at once, so that two stacks never undo each other's writes.
    """
    objects = []
    if servers := [stack for stack in stacks if stack.spec.metrics]:
        objects += [_prometheus_account(servers), _role_binding(servers)]
    if states := [stack for stack in stacks if stack.spec.exporters.kube_state_metrics]:
        objects.append(_state_account(states))
    return objects


def _prometheus_account(owners: Sequence[Stack]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": shared_meta(PROMETHEUS_ROLE, owners[0].namespace, owners),
    }


def _state_account(owners: Sequence[Stack]) -> Object:
    """Return the account of kube-state-metrics, to which the chart alone gives rights."""
    metadata = shared_meta(
        KUBE_STATE_METRICS_ROLE,
        owners[0].namespace,
        owners,
        application=names.KUBE_STATE_METRICS,
    )
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def _role_binding(owners: Sequence[Stack]) -> Object:
    namespace = owners[0].namespace
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": shared_meta(PROMETHEUS_ROLE, namespace, owners),
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": PROMETHEUS_ROLE,
        },
        "subjects": [{"kind": "ServiceAccount", "name": PROMETHEUS_ROLE, "namespace": namespace}],
    }

"""A MonitoringStack as Kubernetes objects."""

from collections.abc import Sequence

from firewatch.api.resource import Object
from firewatch.build.alertmanager import build_alertmanager
from firewatch.build.node_exporter import build_node_exporter
from firewatch.build.objects import Stack, shared_meta
from firewatch.build.overrides import override_all
from firewatch.build.prometheus import build_prometheus
from firewatch.build.surroundings import Surroundings
from firewatch.settings import PROMETHEUS_ROLE


def build_stack(stack: Stack, surroundings: Surroundings) -> list[Object]:
    """Return the objects of one stack, in the order in which they are applied.

    Overrides that go too far are left out; ``left_out`` names them.
    """
    plain = build_plain(stack, surroundings)
    return [*override_all(stack.spec.overrides, plain).objects]


def build_plain(stack: Stack, surroundings: Surroundings) -> list[Object]:
    """Return the objects of one stack without its overrides."""
    objects: list[Object] = []
    if stack.spec.metrics:
        objects += build_prometheus(stack, stack.spec.metrics, surroundings)
    if stack.spec.exporters.node:
        objects.append(build_node_exporter(stack, stack.spec.exporters.node))
    if stack.spec.alerting:
        objects += build_alertmanager(stack, stack.spec.alerting)
    return objects


def build_shared(stacks: Sequence[Stack]) -> list[Object]:
    """Return what the stacks of one namespace share: the identity of their Prometheus servers.

    It is built from all of them at once, so that two stacks never undo each other's writes.
    """
    owners = [stack for stack in stacks if stack.spec.metrics]
    if not owners:
        return []
    namespace = owners[0].namespace
    return [_service_account(namespace, owners), _role_binding(namespace, owners)]


def _service_account(namespace: str, owners: Sequence[Stack]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": shared_meta(PROMETHEUS_ROLE, namespace, owners),
    }


def _role_binding(namespace: str, owners: Sequence[Stack]) -> Object:
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

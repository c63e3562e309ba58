"""Blocks of a stack that read the whole cluster, and whether they may.

The chart binds the rights for them in ``clusterStacks.namespaces`` only. Elsewhere they are left
out of what is built, so that the rest of the stack runs.
"""

from firewatch.api.exporters import Kubelet, KubeStateMetrics
from firewatch.build.objects import Stack
from firewatch.build.surroundings import Surroundings


def granted_kubelet(stack: Stack, surroundings: Surroundings) -> Kubelet | None:
    """Return the block ``exporters.kubelet`` if there is one and it may be used."""
    granted = surroundings.grants_cluster_scope(stack.namespace)
    return stack.spec.exporters.kubelet if granted else None


def granted_kube_state_metrics(stack: Stack, surroundings: Surroundings) -> KubeStateMetrics | None:
    """Return the block ``exporters.kubeStateMetrics`` if there is one and it may be used."""
    granted = surroundings.grants_cluster_scope(stack.namespace)
    return stack.spec.exporters.kube_state_metrics if granted else None


def blocks_without_cluster_scope(stack: Stack, surroundings: Surroundings) -> list[str]:
    """Return the blocks that are left out because the namespace does not have the rights."""
    if surroundings.grants_cluster_scope(stack.namespace):
        return []
    exporters = stack.spec.exporters
    blocks = {
        "exporters.kubeStateMetrics": exporters.kube_state_metrics,
        "exporters.kubelet": exporters.kubelet,
    }
    return [name for name, block in blocks.items() if block]

"""Whether the node exporter's pods are to say what they ended with.

That is the only sign of a node's port which a program outside of Kubernetes has taken. But asking for
it is a change of the pod template: a DaemonSet that was made without it, and that runs well, is left
as it is, so that no upgrade of the operator restarts it.
"""

from firewatch.build import names
from firewatch.build.node_exporter import LAST_WORDS
from firewatch.build.objects import Stack
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import DAEMON_SET
from firewatch.reconcile.components import daemon_set


async def gather_last_words(cluster: Cluster, stack: Stack) -> bool:
    """Tell whether the pods are to say it."""
    if stack.spec.exporters.node is None:
        return True
    name = names.node_exporter_name(stack.name)
    try:
        live = await cluster.get(DAEMON_SET, stack.namespace, name)
    except NotFoundError:
        return True
    container = live["spec"]["template"]["spec"]["containers"][0]
    return bool(
        container.get("terminationMessagePolicy") == LAST_WORDS or not daemon_set(live).available
    )

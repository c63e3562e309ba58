"""The Grafana pods of a stack: who answers, and as whom the operator asks them."""

from collections.abc import Sequence
from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.cluster.grafana import Grafana
from firewatch.cluster.http import basic_authorization
from firewatch.reconcile.context import Context
from firewatch.reconcile.secrets import HeldFile
from firewatch.reconcile.servers import gather_ready_pods, pod_url


@dataclass(frozen=True)
class GrafanaPod:
    """A ready Grafana pod."""

    pod: Object
    api: Grafana

    @property
    def uid(self) -> str:
        """Return the pod's uid."""
        return str(self.pod["metadata"]["uid"])

    @property
    def settings(self) -> str:
        """Return the hash of what it read when it started."""
        annotations = self.pod["metadata"].get("annotations", {})
        return str(annotations.get(names.SECRETS_ANNOTATION, ""))


async def gather_grafana_pods(
    context: Context, stack: Stack, password: HeldFile | None
) -> Sequence[GrafanaPod]:
    """Read the stack's ready Grafana pods; ``password`` is the administrator's."""
    assert stack.spec.visualization
    user = stack.spec.visualization.admin.user
    text = password.content.decode(errors="replace").strip() if password else ""
    pods = await gather_ready_pods(
        context.cluster, namespace=stack.namespace, stack=stack.name, application=names.GRAFANA
    )
    proof = basic_authorization(user, text)
    return [
        GrafanaPod(pod, Grafana(context.session, pod_url(pod, names.GRAFANA_PORT), proof))
        for pod in pods
    ]

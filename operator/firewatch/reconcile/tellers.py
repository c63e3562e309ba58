"""The Alertmanager pods of a stack: having them run what was written."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from firewatch.api.conditions import Finding, bad, good, unknown
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.alertmanager_config import config_revision
from firewatch.cluster.alertmanager import (
    Alertmanager,
    AlertmanagerError,
    ReloadRefusedError,
    State,
)
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import ALERTMANAGER_LOADED
from firewatch.reconcile.servers import gather_ready_pods, pod_url

RELOAD_FAILED = "ReloadFailed"
_PAUSES = (0.3, 0.5, 1.0, 2.0)
"""Seconds between tries: each reload makes Alertmanager gather its groups anew."""


@dataclass(frozen=True)
class Teller:
    """A ready Alertmanager pod."""

    pod: Object
    api: Alertmanager

    @property
    def uid(self) -> str:
        """Return the pod's uid."""
        return str(self.pod["metadata"]["uid"])

    async def state(self) -> State | None:
        """Return what it says of itself, or None if it does not answer."""
        try:
            return await self.api.state()
        except AlertmanagerError:
            return None

    async def runs(self, revision: str) -> bool:
        """Tell whether it runs the configuration with this hash."""
        state = await self.state()
        return state is not None and config_revision(state.configuration) == revision


async def gather_tellers(context: Context, *, namespace: str, stack: str) -> list[Teller]:
    """Read the stack's ready Alertmanager pods."""
    pods = await gather_ready_pods(
        context.cluster, namespace=namespace, stack=stack, application=names.ALERTMANAGER
    )
    return [
        Teller(pod, Alertmanager(context.session, pod_url(pod, names.ALERTMANAGER_PORT)))
        for pod in pods
    ]


@dataclass(frozen=True)
class Mesh:
    """The ready Alertmanager pods, as they describe themselves."""

    version: str
    """The oldest that a pod says it has; empty if none says anything."""
    lonely: Sequence[str]
    """Names of the pods whose mesh does not have all ready pods yet."""


async def gather_mesh(tellers: Sequence[Teller]) -> Mesh:
    """Ask every ready pod for itself; one that does not answer has been named before."""
    found = [(each, state) for each in tellers if (state := await each.state())]
    return Mesh(
        version=min((state.version for _, state in found), default=""),
        lonely=[
            each.pod["metadata"]["name"] for each, state in found if state.peers < len(tellers)
        ],
    )


async def confirm_notifications(
    context: Context, revision: str, tellers: Sequence[Teller], *, patient: bool = False
) -> Finding:
    """Have every ready pod run the configuration; return whether it does.

    With ``patient`` a refusal counts only once the files must have reached the pod: it may be of
    those before.
    """
    if not tellers:
        return unknown(ALERTMANAGER_LOADED, "NoServer", "no Alertmanager pod is ready yet")
    verdict: Finding | None = None
    for pause in (*_PAUSES, 0.0):
        behind = [each for each in tellers if not await each.runs(revision)]
        if not behind:
            context.nudges.settle(tellers, names.CONFIG_ANNOTATION)
            message = "every Alertmanager pod confirms that it runs these settings"
            return good(ALERTMANAGER_LOADED, "Loaded", message)
        await context.nudges.nudge(
            context.cluster,
            behind,
            annotation=names.CONFIG_ANNOTATION,
            revision=revision,
            now=context.clock(),
        )
        verdict = await _reload(behind)
        if verdict and not (patient and verdict.reason == RELOAD_FAILED):
            return verdict
        if pause:
            await asyncio.sleep(pause)
    if verdict:
        return verdict
    message = "an Alertmanager pod has not taken up these settings yet"
    return unknown(ALERTMANAGER_LOADED, "Reloading", message)


async def _reload(tellers: Sequence[Teller]) -> Finding | None:
    """Have pods read their files; return what one of them says against it."""
    for teller in tellers:
        pod = teller.pod["metadata"]["name"]
        try:
            await teller.api.reload()
        except ReloadRefusedError as error:
            message = f"Alertmanager refuses its settings and goes on with those before: {error}"
            return bad(ALERTMANAGER_LOADED, RELOAD_FAILED, message)
        except AlertmanagerError as error:
            return unknown(ALERTMANAGER_LOADED, "NoAnswer", f"pod {pod} does not answer: {error}")
    return None

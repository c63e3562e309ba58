"""The Alertmanager pods of a stack: having them run what was written."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from firewatch.api.conditions import Finding, bad, good, unknown
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.alertmanager_config import config_revision
from firewatch.cluster.alertmanager import Alertmanager, AlertmanagerError, ReloadRefusedError
from firewatch.cluster.kinds import POD
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import ALERTMANAGER_LOADED
from firewatch.reconcile.servers import is_ready, pod_url

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

    async def runs(self) -> str | None:
        """Return the hash of the configuration that it runs, or None if it cannot be told."""
        try:
            return config_revision(await self.api.configuration())
        except AlertmanagerError:
            return None


async def gather_tellers(context: Context, *, namespace: str, stack: str) -> list[Teller]:
    """Read the stack's ready Alertmanager pods."""
    labels = names.selector(stack, names.ALERTMANAGER)
    return [
        Teller(pod, Alertmanager(context.session, pod_url(pod, names.ALERTMANAGER_PORT)))
        for pod in await context.cluster.list(POD, namespace, labels)
        if "deletionTimestamp" not in pod["metadata"] and is_ready(pod)
    ]


async def oldest_version(tellers: Sequence[Teller]) -> str:
    """Return the oldest version that a ready pod says it has; empty if none says anything."""
    found = []
    for teller in tellers:
        try:
            found.append(await teller.api.version())
        except AlertmanagerError:
            continue
    return min(found, default="")


async def gather_lonely(tellers: Sequence[Teller]) -> list[str]:
    """Return the names of the ready pods whose mesh does not have all ready pods yet."""
    return [
        teller.pod["metadata"]["name"]
        for teller in tellers
        if await _is_lonely(teller, len(tellers))
    ]


async def _is_lonely(teller: Teller, ready: int) -> bool:
    try:
        return await teller.api.peers() < ready
    except AlertmanagerError:
        return False  # that it does not answer is said elsewhere


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
        behind = [each for each in tellers if await each.runs() != revision]
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

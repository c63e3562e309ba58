"""When Prometheus refuses its rules: noticing it, and the search for the culprits."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from firewatch.build.bisection import Bisection, Phase
from firewatch.build.rules import digest
from firewatch.cluster.prometheus import PrometheusError
from firewatch.reconcile.delivery import LiveSlots, Proof
from firewatch.reconcile.policies import Scene
from firewatch.reconcile.rule_work import Memory
from firewatch.reconcile.servers import Server

_log = logging.getLogger(__name__)

_SOON = timedelta(seconds=0.5)
"""Sooner after a write a reload is hardly over."""
_LATE = timedelta(seconds=8)
"""By then every pod has its files, so that a failing reload is due to them."""
_PAUSE = timedelta(minutes=10)
"""How long no search begins after the rules of policies have turned out not to be to blame."""


async def is_refused(memory: Memory, behind: Sequence[Server], now: datetime) -> bool:
    """Tell whether a server has refused what was last written.

    Its API says whether the last reload failed, not which that was: it counts if the one before
    had succeeded, or if so much time has passed that the last one must have been ours.
    """
    if memory.written_at is None or now - memory.written_at < _SOON:
        return False
    if memory.no_search_before and now < memory.no_search_before:
        return False
    late = now - memory.written_at >= _LATE
    for server in behind:
        if (late or server.uid in memory.healthy) and not await _reloads(server):
            return True
    return False


async def _reloads(server: Server) -> bool:
    try:
        return await server.api.reload_succeeded()
    except PrometheusError:
        return True


async def advance_search(
    scene: Scene, memory: Memory, proof: Proof, now: datetime
) -> dict[str, str]:
    """Begin, go on with or end the search; return the digests of the culprits at its end."""
    search = memory.search
    if search is None:
        if await is_refused(memory, proof.behind, now):
            memory.search = _start(scene, memory, proof, now)
        return {}
    if _is_delivered(scene.slots, search):
        if not proof.behind:
            search.loaded()
        elif await is_refused(memory, proof.behind, now):
            search.refused()
    if not search.over:
        return {}
    memory.search = None
    if search.phase is Phase.HOPELESS:
        _log.warning("Prometheus of %s refuses even no rules at all", scene.stack.name)
        memory.no_search_before = now + _PAUSE
        return {}
    return {name: digest(text) for name, text in search.culprits.items()}


def _start(scene: Scene, memory: Memory, proof: Proof, now: datetime) -> Bisection | None:
    files = scene.slots.files()
    suspects = {n: t for n, t in files.items() if (n, digest(t)) not in proof.loaded}
    good = {
        name: text
        for name, text in {**files, **memory.sound}.items()
        if name in files and (name, digest(text)) in proof.loaded
    }
    if not suspects:
        memory.no_search_before = now + _PAUSE
        return None
    return Bisection.start(good, suspects)


def _is_delivered(live: LiveSlots, search: Bisection) -> bool:
    """Tell whether the slots hold what the search last asked for."""
    attempts = {revision.partition("-")[2] for revision in live.revisions.values()}
    wanted = search.attempt.removeprefix("-")
    return live.files() == search.files() and (attempts or {""}) == {wanted}

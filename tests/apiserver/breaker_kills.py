"""The operator killed at writes of an episode of a circuit breaker, each time in another namespace."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import CONFIG_MAP, DEPLOYMENT, DESTINATION_RULE, POD, SERVICE
from tests.apiserver.killing import Mortal, survive
from tests.apiserver.town import Town, breaker, is_bad, nobody

_CHANGED = (POD, SERVICE, CONFIG_MAP, DEPLOYMENT, DESTINATION_RULE)
_SAMPLE = 4
"""One in so many kill points is taken, unless FIREWATCH_WHOLE_SWEEP is set."""


async def kill_at_writes(
    cluster: KubernetesCluster, make_town: Callable[[], Awaitable[Town]], mechanism: str
) -> None:
    """Check that all is as in an episode without a kill: what there is, what was written, and what is told."""
    calm, count = await _play(cluster, await make_town(), mechanism, None)
    step = 1 if os.environ.get("FIREWATCH_WHOLE_SWEEP") else _SAMPLE
    points = [number + part for number in range(count) for part in (0, 0.5)][::step]
    for point in points:
        found, _ = await _play(cluster, await make_town(), mechanism, point)
        assert found == calm, f"killed at {point} of {count}"
    print(f"{mechanism}: {len(points)} of {2 * count} kill points")


async def _play(
    cluster: KubernetesCluster, town: Town, mechanism: str, die_at: float | None
) -> tuple[object, int]:
    """Play an episode, in which the operator dies once; return what it comes to, and how many writes it had."""
    writes, calm = Mortal(cluster, die_at=die_at), town.episodes
    await calm.response("break", actions=breaker(mechanism))
    town.fails = is_bad(mechanism)
    await town.serve(30)
    town.episodes = replace(calm, cluster=writes)

    async def cured() -> None:
        town.fails = nobody
        await town.until_closed()

    for part in (partial(town.live, 1), cured):
        await survive(town.episodes, writes, part)
    assert die_at is None or writes.die_at is None, "it was not killed"
    events = await town.episodes.events("break")
    # Kubelet is hurried once for each write of a flag, or not, if the operator dies just then.
    changes = [each for each in writes.seen(*_CHANGED) if each != "merge Pod"]
    return (await town.state(), events, changes), len(writes.writes)

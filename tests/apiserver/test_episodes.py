"""Episodes at a real API server: what is written, and that being killed changes nothing of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster, Write
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT
from tests.apiserver.episodes import Episodes
from tests.apiserver.world import Recorder

pytestmark = pytest.mark.usefixtures("crds")


class Death(BaseException):
    """The process is killed: nothing catches it."""


@dataclass
class Mortal(Recorder):
    """The operator's writes, as they pass; ``die_at`` ends the process before or after one."""

    die_at: float | None = None
    """Before the write of this number, or after it if half is added."""

    async def write(self, write: Write) -> Object:
        number = len(self.writes)
        if self.die_at == number:
            raise Death
        answer = await super().write(write)
        if self.die_at == number + 0.5:
            raise Death
        return answer

    def seen(self) -> list[str]:
        """Return what kind of writes there were."""
        return [f"{w.verb} {w.kind.kind} {w.subresource}".rstrip() for w in self.writes]

    @property
    def on_target(self) -> int:
        """Return how many of them changed the target."""
        return sum(write.kind is DEPLOYMENT for write in self.writes)


async def one(episodes: Episodes) -> None:
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    await episodes.response()


async def test_a_response_that_is_applied_while_its_alert_fires_acts_at_once(
    cluster: KubernetesCluster, namespace: str
) -> None:
    writes = Mortal(cluster)
    episodes = Episodes(writes, namespace)
    await one(Episodes(cluster, namespace, responses=episodes.responses, targets=episodes.targets))
    assert await episodes.status() == {}
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    assert (await episodes.status())["state"] == "Active"
    assert writes.seen() == [
        "jsonPatch AutoResponse",
        "jsonPatch AutoResponse status",
        "jsonPatch Deployment scale",
        "jsonPatch AutoResponse status",
        "create Event",
        "create Event",
    ]


async def test_an_alert_that_was_seen_before_a_response_was_applied_proves_nothing(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = Episodes(cluster, namespace)
    episodes.alert(firing=True)
    episodes.now += timedelta(seconds=5)
    await one(episodes)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2
    episodes.alert(firing=False)
    await episodes.step()
    assert (await episodes.status())["state"] == "Idle"
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    target = {"name": "another"}
    await episodes.patch(AUTO_RESPONSE, {"spec": {"target": target}}, "scale")
    episodes.now += timedelta(seconds=1)
    await episodes.workload(DEPLOYMENT, "another")
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT, "another"))["replicas"] == 2
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2, "given back at once"


async def test_killed_before_and_after_every_write_the_end_is_the_same(
    cluster: KubernetesCluster, namespaces: Callable[[], str]
) -> None:
    """Kill at each write of an episode in turn; go on with nothing but what the cluster holds."""

    async def end(die_at: float | None) -> tuple[object, int]:
        calm = Episodes(cluster, namespaces())
        await one(calm)
        before = await calm.spec(DEPLOYMENT)
        writes = Mortal(cluster, die_at=die_at)
        await _live(replace(calm, cluster=writes), writes)
        assert await calm.spec(DEPLOYMENT) == before
        assert [each for each in calm.responses if "ledger" in await calm.status(each)] == []
        return ([await calm.events(name) for name in calm.responses], writes.on_target), len(
            writes.writes
        )

    undisturbed, count = await end(None)
    points = [number + half for number in range(count) for half in (0, 0.5)]
    for point in points:
        found, _ = await end(point)
        assert found == undisturbed, f"killed at write {point} of {count}"
    print(f"{len(points)} kill points")


async def _live(episodes: Episodes, writes: Mortal) -> None:
    """Take an episode from its alert to its end; begin again after a death."""

    async def survive(part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except Death:
            writes.die_at = None
            episodes.restart()
            await part()

    episodes.alert(firing=True)
    for _ in range(3):
        await survive(episodes.step)
    await survive(episodes.until_over)

"""Episodes at a real API server: what is written, and that being killed changes nothing of it."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster, KubernetesCluster, Labels, Write
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT, Kind
from tests.apiserver.conftest import Kubectl
from tests.apiserver.episodes import Episodes

pytestmark = pytest.mark.usefixtures("crds")


class Death(BaseException):
    """The process is killed: nothing catches it."""


@dataclass
class Writes:
    """The operator's writes, as they pass; ``die_at`` ends the process before or after one."""

    inner: Cluster
    seen: Sequence[str] = ()
    die_at: float | None = None
    """Before the write of this number, or after it if half is added."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return await self.inner.get(kind, namespace, name)

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        labels: Labels | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
        keep: Callable[[Object], Object] = lambda item: item,
    ) -> "list[Object]":
        return await self.inner.list(
            kind, namespace, labels, fields=fields, metadata_only=metadata_only, keep=keep
        )

    async def write(self, write: Write) -> Object:
        number = len(self.seen)
        if self.die_at == number:
            raise Death
        self.seen = (*self.seen, f"{write.verb} {write.kind.kind} {write.subresource}".rstrip())
        answer = await self.inner.write(write)
        if self.die_at == number + 0.5:
            raise Death
        return answer

    @property
    def on_target(self) -> int:
        """Return how many of them changed the target."""
        return sum(DEPLOYMENT.kind in each for each in self.seen)


@pytest.fixture
def namespaces(kubectl: Kubectl, numbers: Iterator[int]) -> Callable[[], str]:
    """Return a function that makes namespaces."""

    def make() -> str:
        name = f"test-{next(numbers)}"
        kubectl("create", "namespace", name)
        return name

    return make


async def one(episodes: Episodes) -> None:
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    await episodes.response()


async def test_a_response_that_is_applied_while_its_alert_fires_acts_at_once(
    cluster: KubernetesCluster, namespace: str
) -> None:
    writes = Writes(cluster)
    episodes = Episodes(writes, namespace)
    await one(Episodes(cluster, namespace, responses=episodes.responses, targets=episodes.targets))
    assert await episodes.status() == {}
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    assert (await episodes.status())["state"] == "Active"
    assert list(writes.seen) == [
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
        writes = Writes(cluster, die_at=die_at)
        await _live(replace(calm, cluster=writes), writes)
        assert await calm.spec(DEPLOYMENT) == before
        assert [each for each in calm.responses if "ledger" in await calm.status(each)] == []
        return ([await calm.events(name) for name in calm.responses], writes.on_target), len(
            writes.seen
        )

    undisturbed, count = await end(None)
    points = [number + half for number in range(count) for half in (0, 0.5)]
    for point in points:
        found, _ = await end(point)
        assert found == undisturbed, f"killed at write {point} of {count}"
    print(f"{len(points)} kill points")


async def _live(episodes: Episodes, writes: Writes) -> None:
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

"""Being killed at a write, for real as far as the cluster is concerned: nothing else is left."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.cluster.client import Cluster, Labels, Write
from firewatch.cluster.kinds import Kind
from tests.apiserver.episodes import Episodes


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

    def on(self, *kinds: Kind) -> Sequence[str]:
        """Return those that change objects of some kinds."""
        names = {kind.kind for kind in kinds}
        return [each for each in self.seen if each.split()[1] in names]


async def live(episodes: Episodes, writes: Writes) -> None:
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

"""Being killed at a write, for real as far as the cluster is concerned: nothing else is left."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.cluster.client import Write
from firewatch.cluster.kinds import Kind
from tests.apiserver.episodes import Episodes
from tests.apiserver.world import Recorder


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

    def seen(self, *kinds: Kind) -> Sequence[str]:
        """Return what kind of writes there were, of some kinds of objects if any are named."""
        return [
            f"{write.verb} {write.kind.kind} {write.subresource}".rstrip()
            for write in self.writes
            if not kinds or write.kind in kinds
        ]


async def survive(episodes: Episodes, writes: Mortal, part: Callable[[], Awaitable[None]]) -> None:
    """Do a part of an episode, and begin it again after a death."""
    try:
        await part()
    except Death:
        writes.die_at = None
        episodes.restart()
        await part()


async def live(episodes: Episodes, writes: Mortal, *further: Callable[[], Awaitable[None]]) -> None:
    """Take an episode from its alert to its end, and further; begin again after a death."""
    episodes.alert(firing=True)
    for _ in range(3):
        await survive(episodes, writes, episodes.step)
    for part in (episodes.until_over, *further):
        await survive(episodes, writes, part)

"""The operator, run so that it kills itself with SIGKILL before or after one of its writes.

``FIREWATCH_TEST_KILL`` is ``before:N`` or ``after:N`` for the Nth write of an episode, from 1;
``FIREWATCH_TEST_WRITES`` is a file that gets one line per such write.
"""

import os
import signal
import sys
from pathlib import Path

from firewatch import __main__ as operator
from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster, Verb, Write

_BROKEN = frozenset({"ConfigMap", "Pod", "Service"})
"""Kinds of which a circuit breaker patches a field; stacks apply such objects as a whole."""
_EPISODE = frozenset({"AutoResponse", "Deployment", "Event", "HorizontalPodAutoscaler"})
"""Kinds that an episode writes to; of StatefulSets only the replicas, since stacks have some too."""


class Cut:
    """Counts the writes of an episode and ends the process at one of them."""

    def __init__(self, point: str, record: Path | None) -> None:
        side, _, number = point.partition(":")
        self._side = side
        self._number = int(number or 0)
        self._record = record
        self._count = 0

    def count(self, write: Write) -> int:
        """Return the number of a write."""
        self._count += 1
        if self._record is not None:
            path = f"{write.verb} {write.kind.kind}/{write.subresource}".rstrip("/")
            with self._record.open("a", encoding="utf-8") as file:
                file.write(f"{path}\n")
        return self._count

    def reach(self, side: str, number: int) -> None:
        """End the process if this is the point."""
        if (side, number) == (self._side, self._number):
            os.kill(os.getpid(), signal.SIGKILL)


def _is_of_an_episode(change: Write) -> bool:
    kind = change.kind.kind
    if kind in _BROKEN:
        return change.verb is Verb.JSON_PATCH
    return kind in _EPISODE or (kind, change.subresource) == ("StatefulSet", "scale")


def install(cut: Cut) -> None:
    """Put the cut into the one function that every write passes."""
    write = KubernetesCluster.write

    async def cut_write(self: KubernetesCluster, change: Write) -> Object:
        if not _is_of_an_episode(change):
            return await write(self, change)
        number = cut.count(change)
        cut.reach("before", number)
        answer = await write(self, change)
        cut.reach("after", number)
        return answer

    setattr(KubernetesCluster, write.__name__, cut_write)


if __name__ == "__main__":
    record = os.environ.get("FIREWATCH_TEST_WRITES")
    install(Cut(os.environ.get("FIREWATCH_TEST_KILL", ""), Path(record) if record else None))
    sys.exit(operator.main())

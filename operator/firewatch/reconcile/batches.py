"""When changed policies are handed out: one at once, many together (pure).

Each delivery has Prometheus read all of its rules anew, which takes it seconds when they are
thousands, and what changes in the middle of that waits for its end. So while policies come in, they
are held until no more come.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

_QUIET = timedelta(seconds=0.3)
"""No policy having changed for so long, the others need not wait for more."""
_LONGEST = timedelta(seconds=5)
"""After so long they are handed out although more come, if deliveries are quick."""
_DELIVERIES = 5
"""If they are slow, after the time that so many of them take."""
_LONGEST_OF_ALL = timedelta(seconds=30)
"""However long deliveries take: a server may be down."""
_REST = 3
"""How much longer than it worked the handing out rests."""
_LONGEST_REST = timedelta(seconds=0.5)


@dataclass
class _Batch:
    changes: int = 0
    """Policies that have changed since the last were handed out."""
    first: datetime | None = None
    last: datetime | None = None
    rest_until: datetime | None = None


@dataclass
class Batches:
    """The changes of policies that have not been handed out, by namespace."""

    _batches: dict[str, _Batch] = field(default_factory=dict)

    def note(self, namespace: str, now: datetime) -> None:
        """Note that a policy has changed."""
        batch = self._batches.setdefault(namespace, _Batch())
        batch.changes += 1
        batch.first, batch.last = batch.first or now, now

    def wait(self, namespace: str, now: datetime, delivery: timedelta) -> timedelta:
        """Return how long to wait before policies are handed out; nothing if it is time.

        ``delivery`` is how long servers take at present to load what is handed out.
        """
        batch = self._batches.get(namespace, _Batch())
        times = [now, batch.rest_until or now]
        if batch.changes > 1 and batch.first and batch.last:
            longest = min(max(_LONGEST, _DELIVERIES * delivery), _LONGEST_OF_ALL)
            times.append(min(batch.last + _QUIET, batch.first + longest))
        return max(times) - now

    def begin(self, namespace: str) -> None:
        """Start anew: what changes from now on is not handed out yet."""
        self._batches[namespace] = _Batch()

    def rest(self, namespace: str, began: datetime, ended: datetime) -> None:
        """Leave others their turn after policies have been handed out."""
        batch = self._batches.setdefault(namespace, _Batch())
        batch.rest_until = ended + min(_LONGEST_REST, _REST * (ended - began))

    def forget(self, namespace: str) -> None:
        """Forget a namespace without policies."""
        self._batches.pop(namespace, None)

"""How often somebody may send: token buckets, for each client and for all together."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from firewatch.api.real_users import RumLimits

_MOST_CLIENTS = 10_000
"""Beyond so many, the one that was not heard of for longest is forgotten, and begins anew."""
_MINUTE = 60.0


@dataclass
class _Bucket:
    tokens: float
    filled_at: float

    def take(self, now: float, *, rate: float, most: float) -> bool:
        """Take a token, if there is one; ``rate`` come back each second, up to ``most``."""
        self.tokens = min(most, self.tokens + (now - self.filled_at) * rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Limiter:
    """Tells whether a request may be taken in."""

    def __init__(self, limits: RumLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._all = _Bucket(limits.total_per_second, clock())
        self._clients: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Tell whether a request of a client may be taken in, and count it.

        The client's own limit comes first: one that sends too much takes nothing from the others.
        """
        now, most = self._clock(), self._limits.client_per_minute
        bucket = self._clients.pop(client, None) or _Bucket(most, now)
        self._clients[client] = bucket
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)
        total = self._limits.total_per_second
        return bucket.take(now, rate=most / _MINUTE, most=most) and self._all.take(
            now, rate=total, most=total
        )

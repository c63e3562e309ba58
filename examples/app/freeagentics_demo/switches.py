"""What requests switch on and off: errors and CPU load."""

import hashlib
import time
from collections import Counter
from threading import Event, Thread

MAX_THREADS = 64
MAX_SECONDS = 3600.0
_BLOCK = bytes(1 << 20)
_ROUNDING = 1e-9


class Faults:
    """Errors in an exact share of the requests to each endpoint, spread evenly."""

    def __init__(self) -> None:
        self.ratio = 0.0
        self._seen: Counter[str] = Counter()

    def switch(self, ratio: float) -> None:
        """Fail this share of the requests from now on."""
        self.ratio = ratio
        self._seen.clear()

    def strike(self, endpoint: str) -> bool:
        """Count a request and tell whether it has to fail."""
        self._seen[endpoint] += 1
        return self._failed(self._seen[endpoint]) > self._failed(self._seen[endpoint] - 1)

    def _failed(self, seen: int) -> int:
        return int(seen * self.ratio + _ROUNDING)


class Load:
    """Threads that burn CPU until they are switched off or their time is over.

    They hash large blocks: hashlib lets go of the interpreter lock meanwhile, so that each thread
    keeps a core of its own busy and requests are still answered.
    """

    def __init__(self) -> None:
        self._stop = Event()
        self._threads: list[Thread] = []

    @property
    def threads(self) -> int:
        """Return how many threads burn CPU at present."""
        return sum(thread.is_alive() for thread in self._threads)

    def switch(self, threads: int, seconds: float) -> None:
        """Burn CPU with so many threads, for so long at most; 0 threads ends it."""
        self._stop.set()
        self._stop = Event()
        deadline = time.monotonic() + seconds
        self._threads = [
            Thread(target=_burn, args=(self._stop, deadline), daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()


def _burn(stop: Event, deadline: float) -> None:
    while not stop.is_set() and time.monotonic() < deadline:
        hashlib.sha256(_BLOCK)

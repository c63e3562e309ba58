"""Whether this replica leads: the election, in a thread of its own.

A pass over thousands of policies holds the event loop, and its requests the connections, for longer
than a renewal may be late. So the election has a loop and a connection of its own, and the rest of the
process reads from one number whether it may act.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from firewatch.cluster.client import connect
from firewatch.cluster.election import Election, Place
from firewatch.cluster.event_loop import EventLoop
from firewatch.cluster.lease import Candidate
from firewatch.metrics import Metrics
from firewatch.settings import Settings

_log = logging.getLogger(__name__)

_LEAVE_SECONDS = 5.0
"""How long giving up the Lease may take; then it runs out by itself."""


class Leadership(threading.Thread):
    """Takes part in the election; the thread ends only when told to, or if it fails.

    To be made in the event loop that is to hear of it.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, *, ended: Callable[[], object]
    ) -> None:
        super().__init__(name="leadership", daemon=True)
        self._settings = settings
        self._metrics = metrics
        self._ended = ended
        # A container that is started again has the name of the one before it.
        self._candidate = Candidate(f"{settings.pod}_{secrets.token_hex(4)}")
        self._others = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._loop = EventLoop()
        self._leaving = asyncio.Event()
        self.failure: BaseException | None = None
        """What ended the election, if it was not ``leave``."""

    def holds(self) -> bool:
        """Tell whether this replica may act at this moment; from any thread."""
        return self._candidate.holds(time.monotonic())

    def leader(self) -> str:
        """Return ``host:port`` of the receiver of another replica that leads, empty if unknown."""
        known = self._candidate.known
        is_other = known is not None and known.holder != self._candidate.identity
        return known.address if known is not None and is_other else ""

    def term(self) -> int:
        """Return which of its terms this replica leads in, from 1; 0 if in none."""
        return self._candidate.term(time.monotonic())

    async def change(self, term: int) -> int:
        """Wait until it is another term than this; return which."""
        while (found := self.term()) == term:
            self._changed.clear()
            await self._changed.wait()
        return found

    async def leave(self) -> None:
        """Give up the Lease, so that another replica acts at once, and end.

        By then nothing of this one may act any more.
        """
        with suppress(RuntimeError):  # its loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._leaving.set)
        await asyncio.to_thread(self.join, _LEAVE_SECONDS)

    def run(self) -> None:
        """Take part in the election until told to leave."""
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._take_part())
        except BaseException as error:  # noqa: BLE001 - the main thread reports it and ends
            self.failure = error
        finally:
            self._ended()

    async def _take_part(self) -> None:
        place = Place(self._settings.namespace, self._settings.address)
        async with connect(self._settings.kubeconfig, self._metrics) as cluster:
            election = Election(cluster, self._candidate, place, notice=self._notice)
            await election.run(self._leaving)

    def _notice(self, term: int) -> None:
        _log.info("%s %s the Lease", self._candidate.identity, "holds" if term else "does not hold")
        self._metrics.leading.set(bool(term))
        self._others.call_soon_threadsafe(self._changed.set)

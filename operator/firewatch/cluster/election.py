"""The election: one replica's requests about the Lease, and their answers.

The requests go one after another, each within a time that leaves room for another before the Lease is
lost. An answer that does not come says nothing: the write may have been accepted, or may be yet.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.errors import ClusterError, ConflictError
from firewatch.cluster.find import find
from firewatch.cluster.kinds import LEASE
from firewatch.cluster.lease import (
    Candidate,
    Move,
    Record,
    build_change,
    build_lease,
    parse_record,
)
from firewatch.settings import LEASE_NAME

_log = logging.getLogger(__name__)

_STEP_SECONDS = 1.5
"""How long a step may take: after one that is lost, another fits into RENEW_SECONDS."""
_RELEASE_TRIES = 3


@dataclass(frozen=True)
class Place:
    """Where the Lease is, and where whoever holds it is reached."""

    namespace: str
    address: str
    """``host:port`` of this replica's alert receiver."""


class Election:
    """Takes part in the election for one candidate; ``notice`` is told its term whenever that changes."""

    def __init__(
        self,
        cluster: Cluster,
        candidate: Candidate,
        place: Place,
        *,
        notice: Callable[[int], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._candidate = candidate
        self._place = place
        self._notice = notice
        self._clock = clock
        self._term = 0
        self._problem = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Take part until told to stop; then give up what is held, so that another may act at once."""
        while not stop.is_set():
            began = self._clock()
            await self.step()
            self._tell()
            await _wait(stop, self._candidate.pause(began, self._clock()))
        self._candidate.resign()
        self._tell()
        await self.release()

    async def step(self) -> None:
        """Look at the Lease, and take or renew it if that is allowed."""
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                await self._step()
        except ConflictError:
            self._candidate.doubt()  # somebody else was first, or an answer of before was lost
        except (ClusterError, TimeoutError) as error:
            self._candidate.doubt()
            self._complain(str(error) or f"no answer within {_STEP_SECONDS} s")
        else:
            self._complain("")

    async def release(self) -> None:
        """Give up the Lease if this replica holds it, and has stopped to act."""
        for _ in range(_RELEASE_TRIES):
            try:
                async with asyncio.timeout(_STEP_SECONDS):
                    known = await self._look()
                    if known is None or known.holder != self._candidate.identity:
                        return
                    await self._write(known, "", "")
            except (ClusterError, TimeoutError) as error:
                # Unless it succeeds at last, the others wait until the Lease has run out.
                _log.warning("the Lease could not be given up: %r", error)
            else:
                return

    async def _step(self) -> None:
        candidate = self._candidate
        if candidate.move(self._clock()) is Move.LOOK:
            await self._look()
        match candidate.move(self._clock()):
            case Move.CREATE:
                await self._create()
            case Move.WRITE if candidate.known is not None:
                sent = self._clock()
                taken = await self._write(candidate.known, candidate.identity, self._place.address)
                candidate.wrote(taken, sent=sent, now=self._clock())

    async def _look(self) -> Record | None:
        live = await find(self._cluster, LEASE, self._place.namespace, LEASE_NAME)
        record = parse_record(live) if live else None
        self._candidate.saw(record, self._clock())
        return record

    async def _create(self) -> None:
        body = build_lease(self._place.namespace, datetime.now(UTC))
        write = Write(Verb.CREATE, LEASE, self._place.namespace, LEASE_NAME, body)
        self._candidate.saw(parse_record(await self._cluster.write(write)), self._clock())

    async def _write(self, known: Record, holder: str, address: str) -> Record:
        body = build_change(known, holder, address, datetime.now(UTC))
        write = Write(Verb.MERGE, LEASE, self._place.namespace, LEASE_NAME, body)
        return parse_record(await self._cluster.write(write))

    def _tell(self) -> None:
        term = self._candidate.term(self._clock())
        if term != self._term:
            self._term = term
            self._notice(term)

    def _complain(self, problem: str) -> None:
        """Say what is wrong with the requests, once and not with each of them."""
        if problem and not self._problem:
            _log.warning("the Lease can be neither read nor renewed: %s", problem)
        self._problem = problem


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return

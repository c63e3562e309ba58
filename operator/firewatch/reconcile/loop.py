"""The level-triggered loop: events only wake a key, a pass looks at everything anew.

A key is worked on by one task at a time. Waking a key that is being worked on makes it run once
more afterwards; waking it often before it runs makes it run once.
"""

import asyncio
import heapq
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from firewatch.api.resource import Again, Key
from firewatch.cluster.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    NotLeadingError,
    UnreachableError,
)
from firewatch.metrics import Metrics

_log = logging.getLogger(__name__)

RESYNC_SECONDS = 600.0
"""How often a key is looked at when nothing wakes it, give or take a tenth."""
_BACKOFF_FIRST = 1.0
_BACKOFF_LIMIT = 300.0
_STALL_SECONDS = 30.0
"""After so long without a turn the loop itself does not work."""
_LONGEST_PASS_SECONDS = 120.0
"""A pass over ten thousand policies takes half a minute on a busy machine."""
_END_SECONDS = 20.0
"""How long a pass may take to notice that it has been ended."""
_OTHERS_DOING = (ConflictError, ForbiddenError, NotFoundError, UnreachableError)
"""Failures of which the words say everything, as while a namespace and its RoleBindings go."""


Pass = Callable[[Key], Awaitable[float | None]]
"""A pass over a key. It returns the seconds until the next one, None for the usual resync, or
``math.inf`` if there is nothing left to look after. ``Again`` says that it is not over before the
next one.
"""


class _Ending(StrEnum):
    """How a pass has ended, as it is counted."""

    OK = "ok"
    AGAIN = "again"
    NOT_LEADING = "notLeading"
    ERROR = "error"


@dataclass
class _Entry:
    """What the loop knows about a key."""

    due: float | None = None
    running: bool = False
    again: bool = False
    failures: int = 0
    started: float = math.inf
    """When the pass that is under way has got its turn; never if none has."""
    waiting: list[asyncio.Future[bool]] = field(default_factory=list)
    """Who waits for the end of the next pass that begins, or of one that is to be taken once more."""


class Loop:
    """Runs passes over keys; knows no kind."""

    def __init__(
        self,
        passes: Mapping[str, Pass],
        metrics: Metrics,
        *,
        workers: int,
        resync: float = RESYNC_SECONDS,
    ) -> None:
        self._passes = passes
        self._metrics = metrics
        self._resync = resync
        self._workers = workers
        self._limit = asyncio.Semaphore(workers)
        self._entries: dict[Key, _Entry] = {}
        self._queue: list[tuple[float, Key]] = []
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._beat = time.monotonic()

    def wake(self, key: Key) -> None:
        """Run a pass over the key as soon as possible."""
        entry = self._entry(key)
        if entry.running:
            entry.again = True
        else:
            self._schedule(key, entry, time.monotonic())

    async def pass_over(self, key: Key) -> bool:
        """Have a pass over the key begin as soon as possible; return whether it succeeded.

        One that is to be taken once more is waited for until it has come to its end.
        """
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._entry(key).waiting.append(ended)
        self.wake(key)
        return await ended

    def knows(self, kind: str) -> bool:
        """Tell whether there is a pass for keys of this kind."""
        return kind in self._passes

    def keys(self, kind: str, namespace: str = "") -> list[Key]:
        """Return the keys of a kind, in one namespace or in all."""
        return [k for k in self._entries if k.kind == kind and namespace in ("", k.namespace)]

    def is_crowded(self) -> bool:
        """Tell whether keys wait for others to have had their turn."""
        return len(self._tasks) > self._workers

    def stalled(self) -> str:
        """Return what does not move any more, and for how long, or nothing.

        A pass may take long while the API server is away: callers ask whether it answers.
        """
        now = time.monotonic()
        if now - self._beat > _STALL_SECONDS:
            return f"the reconcile loop has not moved for {_STALL_SECONDS:.0f} s"
        for key, entry in self._entries.items():
            if now - entry.started > _LONGEST_PASS_SECONDS:
                return f"the pass over {key} has not ended for {_LONGEST_PASS_SECONDS:.0f} s"
        return ""

    async def run(self) -> None:
        """Work until cancelled; passes that are under way end then, wherever they are.

        Every pass bears that between any two of its requests, as it bears being killed.
        """
        try:
            while True:
                self._beat = time.monotonic()
                self._start_due()
                await self._wait()
        finally:
            await self._end()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_END_SECONDS)
        for key, entry in [*self._entries.items()]:
            _tell(entry.waiting, succeeded=False)
            self._forget(key)

    def _entry(self, key: Key) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
            self._metrics.loop.keys.labels(key.kind).inc()
        return entry

    def _forget(self, key: Key) -> None:
        if self._entries.pop(key, None) is not None:
            self._metrics.loop.keys.labels(key.kind).dec()

    def _schedule(self, key: Key, entry: _Entry, due: float) -> None:
        if entry.due is None or due < entry.due:
            entry.due = due
            heapq.heappush(self._queue, (due, key))
            self._changed.set()

    def _start_due(self) -> None:
        now = time.monotonic()
        while self._queue and self._queue[0][0] <= now:
            due, key = heapq.heappop(self._queue)
            entry = self._entries.get(key)
            if entry is None or entry.due != due or entry.running:
                continue  # an earlier time has replaced this one
            entry.due = None
            entry.running = True
            task = asyncio.create_task(self._work(key, entry), name=str(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _wait(self) -> None:
        self._changed.clear()
        delay = min(1.0, self._queue[0][0] - time.monotonic()) if self._queue else 1.0
        if delay > 0:
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def _work(self, key: Key, entry: _Entry) -> None:
        async with self._limit:
            entry.started = time.monotonic()
            waiting, entry.waiting = entry.waiting, []
            try:
                end, result = await self._run_pass(key, entry)
            except asyncio.CancelledError:
                _tell(waiting, succeeded=False)
                raise
        entry.running, entry.started = False, math.inf
        if end is _Ending.AGAIN:
            entry.waiting = [*waiting, *entry.waiting]
        else:
            _tell(waiting, succeeded=end is _Ending.OK)
        if entry.again:
            entry.again = False
            self._schedule(key, entry, time.monotonic())
        elif result == math.inf:
            self._forget(key)
        else:
            self._schedule(key, entry, time.monotonic() + self._delay(result, entry))

    async def _run_pass(self, key: Key, entry: _Entry) -> tuple[_Ending, float | None]:
        """Take a pass; return how it has ended, and what it says of the next."""
        result: float | None = None
        with self._metrics.loop.seconds.labels(key.kind).time():
            try:
                result = await self._passes[key.kind](key)
            except Exception as error:  # noqa: BLE001
                # The loop outlives every pass: the failure is logged, counted and tried again.
                end = _end_of(key, _first(error))
            else:
                end = _Ending.AGAIN if isinstance(result, Again) else _Ending.OK
        entry.failures = entry.failures + 1 if end is _Ending.ERROR else 0
        self._metrics.loop.passes.labels(key.kind, end).inc()
        return end, result

    def _delay(self, result: float | None, entry: _Entry) -> float:
        if entry.failures:
            return min(_BACKOFF_LIMIT, _BACKOFF_FIRST * 2.0 ** (entry.failures - 1))
        if result is not None:
            return result
        return self._resync * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret


def _first(error: Exception) -> Exception:
    """Return the first of failures that a TaskGroup has gathered, if the words of all say everything."""
    if (
        isinstance(error, ExceptionGroup)
        and error.split((*_OTHERS_DOING, NotLeadingError))[1] is None
    ):
        return _first(error.exceptions[0])
    return error


def _end_of(key: Key, error: Exception) -> _Ending:
    """Return what a failure means; log it, and where it was if that is nothing that is to be expected."""
    if isinstance(error, NotLeadingError):
        # No failure: whoever leads takes this pass, or this replica when it does.
        return _Ending.NOT_LEADING
    if isinstance(error, _OTHERS_DOING):
        _log.warning("pass over %s failed: %s", key, error)
    else:
        _log.error("pass over %s failed", key, exc_info=error)
    return _Ending.ERROR


def _tell(waiting: Iterable[asyncio.Future[bool]], *, succeeded: bool) -> None:
    for each in waiting:
        if not each.done():  # whoever waited may have given up
            each.set_result(succeeded)

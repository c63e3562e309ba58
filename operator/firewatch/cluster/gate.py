"""What is under way, counted, so that an orderly end can wait for it and let nothing more begin."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Counts what has gone through and is not over; whoever begins something asks first if it is open."""

    def __init__(self) -> None:
        self.is_open = True
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Count what is done meanwhile as under way."""
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def close(self, seconds: float) -> None:
        """Let nothing begin any more, and wait at most so long for what is under way."""
        self.is_open = False
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return  # as if the process had been killed in the middle of it

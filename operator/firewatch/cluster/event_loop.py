"""The event loop that every thread runs on: uvloop, but each socket is closed once only."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in an event loop of its own; return what it returns."""
    return uvloop.run(work, loop_factory=EventLoop)


class EventLoop(uvloop.Loop):
    """uvloop, to which a socket that is handed over belongs from then on, whatever becomes of it.

    uvloop remembers a socket object that it was given only once the connection has come about. If that is
    lost before, as when a server dies while it accepts, it closes the descriptor, and the object that knows
    nothing of it closes it once more when it is collected: by then it is another connection's, of any
    thread. That one hears nothing any more, or libuv aborts the process. aiohttp hands over all of its
    sockets. (uvloop 0.23.0; its issue 738 tells of the same for connections that are cancelled.)
    """

    async def create_connection(self, *arguments: Any, sock: Any = None, **options: Any) -> Any:
        """Connect as asyncio says; a socket that is given must not be used any more."""
        try:
            return await super().create_connection(*arguments, sock=sock, **options)
        finally:
            if sock is not None:
                sock.detach()

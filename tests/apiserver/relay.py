"""A wire to the API server that can be cut, or go silent."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Relay:
    """Passes connections on to a port of this machine, from a port of its own."""

    target: int
    port: int = 0
    _connections: set["_Connection"] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None

    def cut(self) -> int:
        """Close all connections that there are; return how many."""
        return self._now("close")

    def silence(self) -> int:
        """Pass nothing on any more over the connections that there are; return how many."""
        return self._now("freeze")

    def _now(self, deed: str) -> int:
        async def act() -> int:
            found = [*self._connections]
            for connection in found:
                getattr(connection, deed)()
            return len(found)

        assert self._loop
        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(timeout=10)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the relay's thread, soon."""
        assert self._loop
        self._loop.call_soon_threadsafe(function)

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Accept connections until told to stop; then end those that there are."""
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, "127.0.0.1")
        self.port = server.sockets[0].getsockname()[1]
        ready()
        await stop.wait()
        server.close()
        while self._connections:
            for connection in self._connections:
                connection.close()
            await asyncio.sleep(0.01)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        connection = _Connection(writer, back)
        self._connections.add(connection)
        try:
            await asyncio.gather(connection.carry(reader, back), connection.carry(there, writer))
        finally:
            await connection.end()
            self._connections.discard(connection)


@dataclass(eq=False)
class _Connection:
    ours: asyncio.StreamWriter
    theirs: asyncio.StreamWriter
    frozen: bool = False

    async def carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on what comes until the connection ends."""
        try:
            while data := await source.read(65536):
                if not self.frozen:
                    sink.write(data)
                    await sink.drain()
        except ConnectionError:
            return
        finally:
            self.close()

    def freeze(self) -> None:
        self.frozen = True

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()

    async def end(self) -> None:
        """Close both sides and wait until they are."""
        self.close()
        await asyncio.gather(
            self.ours.wait_closed(), self.theirs.wait_closed(), return_exceptions=True
        )


@contextmanager
def relaying(target: int) -> Iterator[Relay]:
    """Run a relay in a thread."""
    relay = Relay(target)
    ready, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=lambda: asyncio.run(relay.serve(ready.set, stop)))
    thread.start()
    try:
        assert ready.wait(timeout=10)
        yield relay
    finally:
        relay.call(stop.set)
        thread.join(timeout=10)

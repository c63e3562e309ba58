"""The event loop: a socket that it is given is closed once, whatever becomes of the connection."""

import asyncio
import gc
import os
import socket
import ssl
import struct
import threading
from collections.abc import Iterator

import pytest

from firewatch.cluster.event_loop import run

_CONNECTIONS = 200
_AT_ONCE = struct.pack("ii", 1, 0)
"""``SO_LINGER``: whoever closes a socket with it resets the connection."""


@pytest.fixture
def dying() -> Iterator[tuple[str, int]]:
    """Provide the address of a server that resets every connection as soon as it has accepted it."""
    with socket.create_server(("127.0.0.1", 0), backlog=_CONNECTIONS) as server:

        def serve() -> None:
            for _ in range(_CONNECTIONS):
                connection, _ = server.accept()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()
        thread.join()


async def connect(address: tuple[str, int]) -> socket.socket:
    """Try to connect by TLS as aiohttp does; return the socket that was handed over."""
    loop = asyncio.get_running_loop()
    given = socket.socket()
    given.setblocking(False)
    try:
        await loop.sock_connect(given, address)
        context = ssl.create_default_context()
        with pytest.raises(ConnectionError):
            await loop.create_connection(
                asyncio.Protocol, sock=given, ssl=context, server_hostname="server"
            )
    except ConnectionError:  # even before it was handed over
        given.close()
    return given


async def connect_often(address: tuple[str, int]) -> list[socket.socket]:
    """Connect side by side."""
    return await asyncio.gather(*(connect(address) for _ in range(_CONNECTIONS)))


def test_connections_that_are_lost_at_once_close_nothing_of_others(
    dying: tuple[str, int],
) -> None:
    given = run(connect_often(dying))
    assert {each.fileno() for each in given} == {-1}, "who has handed it over, has it no more"
    # What is opened now gets the numbers of the sockets.
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(_CONNECTIONS)]
    given.clear()
    gc.collect()
    for each in others:
        os.close(each)  # fails if it has been closed

"""Connections to the API server that stay small."""

import socket

import aiohttp

_RECEIVED_AT_ONCE = 32 * 1024


def narrow_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket that hands over some tens of KiB at a time.

    For as long as a connection lives, OpenSSL and uvloop keep buffers as large as what has ever been
    read at once: half a MiB each after a page of a long list, and such lists take turns on all of them.
    """
    family, kind, protocol, *_ = address
    found = socket.socket(family, kind, protocol)
    found.setblocking(False)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED_AT_ONCE)
    return found

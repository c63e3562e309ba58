"""Where no message may be sent, whatever name leads there: the operator stands in a special place.

It is asked for each connection, when the name has been resolved, so that no name server can answer
differently the next time.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import AddrInfoType

_log = logging.getLogger(__name__)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    ipaddress.ip_address(each) for each in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")
)
"""Where clouds tell a node about itself besides 169.254.169.254, which is link-local."""
_CARRIERS = tuple(
    ipaddress.IPv6Network(each)
    for each in ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
"""Networks of IPv6 whose addresses end with one of IPv4, to which a gateway or the kernel may take what
is sent there: mapped, compatible, translated, and NAT64.
"""
_LAST_FOUR_BYTES = 0xFFFFFFFF
_LOOK_UP_SECONDS = 60.0
"""How often it is looked up where the API server's name leads."""
_MOST_ADDRESSES = 3
"""How many addresses of a name are tried one after another; each may take its time."""


class ForbiddenAddressError(OSError):
    """Nothing may be sent to an address; ``str()`` says why."""


@dataclass
class Guard:
    """Tells whether a message may be sent to an address."""

    api_server: str = ""
    """Address or name of the API server as pods know it; empty if that is unknown."""
    service: str = "kubernetes.default.svc"
    """Its other name, for where it has one: some providers give pods that of their load balancer."""
    allows_loopback: bool = False
    """Whether it may be sent to this very machine, as tests do."""
    _known: dict[str, frozenset[_Address]] = field(default_factory=dict, init=False, repr=False)
    """Where the API server is, by the names that lead there."""

    def __post_init__(self) -> None:
        """Take an address for what it is."""
        try:
            self._known[self.api_server] = frozenset([ipaddress.ip_address(self.api_server)])
        except ValueError:
            return  # a name, or nothing

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Know meanwhile where the API server is, also if it has a name, which may lead elsewhere later."""
        if not self.api_server or self.api_server in self._known:
            yield
            return
        await self._look_up()
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait([following])

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_UP_SECONDS)
            await self._look_up()

    async def _look_up(self) -> None:
        """Look up where the names lead; what cannot be found stays as it was."""
        loop = asyncio.get_running_loop()
        for name in (self.api_server, self.service):
            try:
                found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            except OSError as error:
                _log.warning("%s, where no message may be sent, is not found: %s", name, error)
                continue
            self._known[name] = frozenset(ipaddress.ip_address(str(i[4][0])) for i in found)

    def check(self, text: str) -> None:
        """Raise ``ForbiddenAddressError`` if nothing may be sent there."""
        for address in _forms(ipaddress.ip_address(text)):
            self._check(address)

    def _check(self, address: _Address) -> None:
        # A thread that sends a mail asks as well.
        if any(address in known for known in tuple(self._known.values())):
            raise ForbiddenAddressError("it leads to the API server; name another server")
        if address.is_loopback and self.allows_loopback:
            return
        if address.is_loopback or address.is_unspecified:
            raise ForbiddenAddressError("it leads to the operator itself; name another server")
        if address.is_link_local or address.is_multicast or address in _METADATA:
            raise ForbiddenAddressError("it leads to the node's own network; name another server")

    def make_socket(self, info: AddrInfoType) -> socket.socket:
        """Return a socket for a connection that aiohttp is about to make."""
        family, kind, protocol, _, address = info
        self.check(str(address[0]))
        return socket.socket(family, kind, protocol)

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect to a server, by the first of its addresses that answers."""
        problem: OSError = OSError("its name leads to no address")
        found_there = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for info in found_there[:_MOST_ADDRESSES]:
            self.check(str(info[4][0]))
            found = socket.socket(*info[:3])
            try:
                found.settimeout(timeout)
                found.connect(info[4])
            except OSError as error:
                found.close()
                problem = error
                continue
            return found
        raise problem


def _forms(address: _Address) -> list[_Address]:
    """Return an address, and the one of IPv4 that it may stand for."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    inner = address.sixtofour
    if any(address in carrier for carrier in _CARRIERS):
        inner = ipaddress.IPv4Address(int(address) & _LAST_FOUR_BYTES)
    return [address, inner] if inner else [address]

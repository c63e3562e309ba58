"""Where no message may be sent, whatever name leads there: the operator stands in a special place.

It is asked for each connection, when the name has been resolved, so that no name server can answer
differently the next time.
"""

import ipaddress
import socket
from dataclasses import dataclass

from aiohttp import AddrInfoType

_METADATA = frozenset(
    ipaddress.ip_address(each) for each in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")
)
"""Where clouds tell a node about itself besides 169.254.169.254, which is link-local."""
_MOST_ADDRESSES = 3
"""How many addresses of a name are tried one after another; each may take its time."""


class ForbiddenAddressError(OSError):
    """Nothing may be sent to an address; ``str()`` says why."""


@dataclass(frozen=True)
class Guard:
    """Tells whether a message may be sent to an address."""

    api_server: str = ""
    """Address of the API server as pods know it."""
    allows_loopback: bool = False
    """Whether it may be sent to this very machine, as tests do."""

    def check(self, text: str) -> None:
        """Raise ``ForbiddenAddressError`` if nothing may be sent there."""
        address = ipaddress.ip_address(text)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if address.is_loopback and self.allows_loopback:
            return
        if address.is_loopback or address.is_unspecified:
            raise ForbiddenAddressError("it leads to the operator itself; name another server")
        if address.is_link_local or address.is_multicast or address in _METADATA:
            raise ForbiddenAddressError("it leads to the node's own network; name another server")
        if str(address) == self.api_server:
            raise ForbiddenAddressError("it leads to the API server; name another server")

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

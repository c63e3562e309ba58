"""Where no message may be sent, however the address is written."""

import socket
from contextlib import closing

import pytest

from firewatch.respond.guard import ForbiddenAddressError, Guard

GUARD = Guard(api_server="10.96.0.1")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"),
        *("169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "224.0.0.1"),
        *("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "10.96.0.1", "::ffff:10.96.0.1"),
        # By NAT64, by 6to4, and in forms that nobody uses any more.
        *(
            "64:ff9b::169.254.169.254",
            "64:ff9b::a60:1",
            "64:ff9b:1::127.0.0.1",
            "2002:a9fe:a9fe::1",
        ),
        *("2002:7f00:1::", "::127.0.0.1", "::ffff:0:10.96.0.1"),
    ],
)
def test_nothing_is_sent_to_the_operator_its_node_or_the_api_server(address: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="name another server"):
        GUARD.check(address)


@pytest.mark.parametrize(
    "address",
    [
        *("10.96.0.2", "192.168.1.1", "93.184.216.34", "2001:db8::1"),
        *("64:ff9b::93.184.216.34", "2002:5db8:d822::1"),
    ],
)
def test_other_servers_may_be_told_those_of_the_cluster_too(address: str) -> None:
    GUARD.check(address)


def test_a_name_is_judged_by_where_it_leads() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        for host in ("localhost", "127.0.0.1", "2130706433"):
            with pytest.raises(ForbiddenAddressError):
                GUARD.connect(host, port, timeout=1)
        allowed = Guard(allows_loopback=True)
        allowed.connect("127.0.0.1", port, timeout=1).close()
    with pytest.raises(ConnectionRefusedError):
        allowed.connect("127.0.0.1", port, timeout=1)
    with pytest.raises(ForbiddenAddressError):
        allowed.connect("169.254.169.254", 80, timeout=1)


async def test_an_api_server_that_has_a_name_is_found_by_it() -> None:
    guard = Guard(api_server="localhost", service="localhost", allows_loopback=True)
    guard.check("127.0.0.1")
    async with guard.watching():
        with pytest.raises(ForbiddenAddressError, match="API server"):
            guard.check("127.0.0.1")
        guard.check("127.0.0.2")


def test_an_api_server_is_known_however_its_address_is_written() -> None:
    guard = Guard(api_server="FD00:0::0001")
    with pytest.raises(ForbiddenAddressError, match="API server"):
        guard.check("fd00::1")

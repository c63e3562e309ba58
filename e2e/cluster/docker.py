"""Asks a Docker daemon over its socket whether it is there, and where its network is."""

import http.client
import json
import os
import socket
from dataclasses import dataclass
from typing import Any

from e2e.cluster.interface import ClusterError

_DEFAULT = "unix:///var/run/docker.sock"
_TIMEOUT = 5.0


@dataclass(frozen=True)
class Docker:
    """The daemon at an address such as `unix:///var/run/docker.sock` or `tcp://host:2375`."""

    host: str

    def answers(self) -> bool:
        """Tell whether a daemon answers; a socket that nobody listens on is not one."""
        try:
            status, _ = self._get("/_ping")
        except (OSError, http.client.HTTPException, ClusterError):
            return False
        return status == 200

    def gateway(self, network: str) -> str | None:
        """Return this machine's IPv4 address in a network of the daemon, if it has one."""
        status, body = self._get(f"/networks/{network}")
        if status != 200:
            return None
        found: Any = json.loads(body)
        gateways = [str(each.get("Gateway", "")) for each in found["IPAM"]["Config"] or ()]
        return next((each for each in gateways if each.count(".") == 3), None)

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        scheme, _, rest = self.host.partition("://")
        if scheme == "unix":
            return _UnixConnection(rest)
        if scheme == "tcp":
            host, _, port = rest.partition(":")
            return http.client.HTTPConnection(host, int(port or 2375), timeout=_TIMEOUT)
        raise ClusterError(f"DOCKER_HOST is {self.host!r}; only unix:// and tcp:// are looked at.")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


def docker() -> Docker:
    """Return the daemon that this user's docker talks to."""
    return Docker(os.environ.get("DOCKER_HOST") or _DEFAULT)

"""Webhooks that come to a replica which stands by are handed on to the one that leads.

The Service spreads messages over all replicas, and a message may be answered with 200 only once it
stands in a ledger, which only one of them writes. So the others ask that one, with the sender's own
credentials, and answer what it answers.
"""

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

_log = logging.getLogger(__name__)

RELAYED = "Firewatch-Relayed"
"""Header of a message that has been handed on once; it is not handed on again."""
_TIMEOUT = aiohttp.ClientTimeout(total=7, connect=1)
"""Above what the other waits for its own passes, below Alertmanager's patience of 10 s."""
_TEXT_LIMIT = 1024
_VERDICTS = frozenset({HTTPStatus.OK, HTTPStatus.BAD_REQUEST})
"""Answers of a receiver that are passed on. All others are a reason to try again later: to whatever
else it is told, Alertmanager does not send again. So is 401: this replica knows the sender, and the
other has not read the AutoResponse or the Secret yet that says who it is.
"""


@dataclass(frozen=True)
class Verdict:
    """How a message was answered."""

    status: HTTPStatus
    text: str


@dataclass(frozen=True)
class ClientTls:
    """How the receiver of another replica is checked: all have the same certificate."""

    context: ssl.SSLContext | None
    """None while there is nothing to trust: then nothing is handed on."""
    server_name: str
    """Name that it must have; it is found by its address."""


@dataclass(frozen=True)
class Relay:
    """Hands messages on."""

    session: aiohttp.ClientSession
    leads: Callable[[], bool]
    """Tells whether this replica leads, so that nothing need be handed on."""
    leader: Callable[[], str]
    """Returns ``host:port`` of the receiver of whoever leads; empty if that is not known."""
    tls: Callable[[], ClientTls] | None = None
    """Returns how the other's certificate is checked; None if receivers speak plain HTTP."""

    async def send(
        self, namespace: str, token: str, body: bytes, *, relayed: bool = False
    ) -> Verdict:
        """Hand a message for a namespace on; return the answer, 503 if there is none."""
        address = self.leader()
        if relayed or not address:
            return _again("no replica leads at present")
        tls = self.tls() if self.tls else None
        if tls is not None and tls.context is None:
            return _again("the replica that leads cannot be trusted yet")
        url = f"{'https' if tls else 'http'}://{address}/webhook/{namespace}"
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            RELAYED: "1",
        }
        try:
            async with self.session.post(
                url,
                data=body,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
                ssl=tls.context if tls and tls.context else True,
                server_hostname=tls.server_name if tls else None,
            ) as answer:
                text = (await answer.content.read(_TEXT_LIMIT)).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("a message could not be handed on to %s: %r", address, error)
            return _again("the replica that leads does not answer")
        if answer.status not in _VERDICTS:
            return _again(text)
        return Verdict(HTTPStatus(answer.status), text)


def _again(text: str) -> Verdict:
    return Verdict(HTTPStatus.SERVICE_UNAVAILABLE, text)

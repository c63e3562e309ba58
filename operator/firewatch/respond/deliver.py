"""Sending one message to one address, once, within a time.

What went wrong is told in our own words: an answer may hold whatever a server likes, credentials that it
was sent among them, and what is told stands in statuses and logs.
"""

import asyncio
import smtplib
import socket
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from http import HTTPStatus

import aiohttp

from firewatch.respond.addresses import HttpWay, MailWay, Way
from firewatch.respond.guard import ForbiddenAddressError, Guard
from firewatch.respond.messages import Letter, mail

_SECONDS = 10.0
"""How long a server may take for an answer."""
_MAIL_SECONDS = 60.0
"""How long a mail may take, its turn and all steps together; each step may take half of it. Some servers
look through a mail before they take it, and one that is given up meanwhile is sent again.
"""
_ANSWER_LIMIT = 4096
_MAILS_AT_A_TIME = 8
_WORDS = frozenset(
    {
        *("invalid_payload", "user_not_found", "channel_not_found", "channel_is_archived"),
        *("action_prohibited", "posting_to_general_channel_denied", "no_service", "no_service_id"),
        *("no_team", "team_disabled", "invalid_token", "no_text", "rollup_error"),
    }
)
"""Answers of Slack's incoming webhooks that say what is wrong."""
_REFUSED_LOGIN = "it refuses the credentials; correct them, or ask who runs it"


class DeliveryError(Exception):
    """A message was not taken; ``str()`` says why and what to do."""

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait
        """For how many seconds the server asks to be left alone."""


@dataclass(frozen=True)
class Courier:
    """Brings messages to their addresses."""

    session: aiohttp.ClientSession
    guard: Guard
    mails: Executor
    """Each mail takes a thread while it is sent; names are looked up in others, for everybody."""

    async def deliver(self, way: Way, letter: Letter) -> str:
        """Send a message; return what is to be said although it was taken.

        ``DeliveryError`` if it was not.
        """
        if isinstance(way, MailWay):
            return await self._mail(way, letter)
        return await self._post(way, letter)

    async def _post(self, way: HttpWay, letter: Letter) -> str:
        try:
            refusal = await self._ask(way, letter)
        except TimeoutError:
            raise DeliveryError(f"no answer within {_SECONDS:.0f} s ({way.place})") from None
        except aiohttp.ClientError as error:
            raise DeliveryError(f"{_no_connection(error)} ({way.place})") from None
        if refusal is not None:
            raise refusal
        return ""

    async def _ask(self, way: HttpWay, letter: Letter) -> DeliveryError | None:
        """Post a message; return what the server has against it."""
        async with self.session.post(
            way.url,
            json=way.render(letter),
            headers=way.headers,
            ssl=way.tls.context or True,
            server_hostname=way.tls.server_name,
            # Not to whomever an answer may point to.
            allow_redirects=False,
        ) as answer:
            is_taken = answer.status < HTTPStatus.MULTIPLE_CHOICES
            return None if is_taken else await _refusal(way, answer)

    async def _mail(self, way: MailWay, letter: Letter) -> str:
        try:
            refused = await self._hand_over(way, letter)
        except TimeoutError:
            raise DeliveryError(f"{way.place} has not taken it in time; look after it") from None
        except smtplib.SMTPException as error:
            raise DeliveryError(f"{way.place}: {_mail_problem(error)}") from None
        except OSError as error:
            raise DeliveryError(f"{way.place}: {_os_problem(error)}") from None
        except ValueError:
            raise DeliveryError("no mail can be made of it; correct its addresses") from None
        if refused:
            return f"{way.place} refuses {refused} of {len(way.recipients)} addresses; correct them"
        return ""

    async def _hand_over(self, way: MailWay, letter: Letter) -> int:
        """Send a mail in a thread of its own; return how many of the recipients are refused."""
        content = mail(letter, sender=way.sender, recipients=way.recipients)
        loop, line = asyncio.get_running_loop(), _Line()
        try:
            async with asyncio.timeout(_MAIL_SECONDS):
                return await loop.run_in_executor(
                    self.mails, _send_mail, way, content, self.guard, line
                )
        finally:
            # A server that says a byte now and then would keep the thread when nobody waits any more.
            line.cut()


@asynccontextmanager
async def open_courier(guard: Guard) -> AsyncIterator[Courier]:
    """Open what messages are sent by, apart from everything else that the operator asks."""
    connector = aiohttp.TCPConnector(
        # The loop's workers are the limit: here some would wait for the slow servers of others.
        limit=0,
        force_close=True,
        socket_factory=guard.make_socket,
    )
    threads = ThreadPoolExecutor(_MAILS_AT_A_TIME, thread_name_prefix="mail")
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=_SECONDS, connect=_SECONDS / 2),
                # What one server sets is not for another.
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=_ANSWER_LIMIT,
                max_field_size=_ANSWER_LIMIT,
            ) as session,
            guard.watching(),
        ):
            yield Courier(session, guard, threads)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


async def _refusal(way: HttpWay, answer: aiohttp.ClientResponse) -> DeliveryError:
    status = answer.status
    said = (await answer.content.read(_ANSWER_LIMIT)).decode(errors="replace").strip()
    word = f" ({said})" if said in _WORDS else ""
    wait = answer.headers.get("Retry-After", "")
    return DeliveryError(
        f"HTTP {status}{word}: {_remedy(status, way.place)}",
        wait=float(wait) if wait.isascii() and wait.isdecimal() else 0.0,
    )


def _remedy(status: int, place: str) -> str:
    if status < HTTPStatus.BAD_REQUEST:
        return f"it points to another address; put the final one into {place}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"the credentials are refused; correct them ({place})"
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return f"nothing is there any more; correct the address ({place})"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "it takes no more for now"
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"the message is refused; look at what is expected there ({place})"
    return f"the server fails; look after it ({place})"


def _no_connection(error: aiohttp.ClientError) -> str:
    """Return why there was no answer, without the address, which may be a secret."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host's name leads nowhere; correct the address"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _certificate_problem(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "it does not speak TLS as expected; look after it"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _os_problem(error.os_error)
    return f"the connection broke ({type(error).__name__}); look after the server"


def _certificate_problem(error: Exception) -> str:
    words = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "bad"
    return f"its certificate is refused: {words}; name the authority in tls.ca, or renew it"


def _os_problem(error: OSError) -> str:
    if isinstance(error, ForbiddenAddressError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_problem(error)
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS as expected; look after it"
    if isinstance(error, socket.gaierror):
        return "the host's name leads nowhere; correct it"
    if isinstance(error, TimeoutError):
        return "no connection in time; look after the server"
    return f"no connection ({type(error).__name__}); look after the server"


def _mail_problem(error: smtplib.SMTPException) -> str:
    """Return what a mail server has against a message, by its code."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"{error.smtp_code}: {_REFUSED_LOGIN}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "it refuses every address; correct them"
    if isinstance(error, smtplib.SMTPSenderRefused):
        return f"{error.smtp_code}: it refuses the sender; correct smtp.from"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code}: it refuses the message; look after the server"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "it has hung up; look after the server"
    return (
        "it offers no TLS, without which no credentials are sent, or no login of a known kind; see"
        " smtp.requireTls"
    )


class _Line:
    """The connection by which a mail goes, which another thread may cut."""

    def __init__(self) -> None:
        self._is_cut = False
        self._socket: socket.socket | None = None

    def hold(self, found: socket.socket) -> None:
        """Take a connection that was just made; there may be no time left for it."""
        # A further handle, since TLS takes over the one there is.
        self._socket = found.dup()
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """End the connection, so that whoever waits for what comes over it does so no more."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):  # it has ended already
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()


class _Client(smtplib.SMTP):
    """A connection to a mail server whose address the guard has seen."""

    def __init__(self, way: MailWay, guard: Guard, line: _Line) -> None:
        self._guard = guard
        self._way = way
        self._line = line
        super().__init__(way.host, way.port, local_hostname=way.hello, timeout=_MAIL_SECONDS / 2)
        # Under this name the server is asked for its certificate.
        self._host = self._name

    @property
    def _name(self) -> str:
        return self._way.tls.server_name or self._way.host

    @property
    def context(self) -> ssl.SSLContext:
        """Return how the server's certificate is checked."""
        return self._way.tls.context or ssl.create_default_context()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect, as ``smtplib`` has it overridden."""
        found = self._guard.connect(host, port, timeout)
        self._line.hold(found)
        if not self._way.is_encrypted_at_once:
            return found
        return self.context.wrap_socket(found, server_hostname=self._name)


def _send_mail(way: MailWay, content: EmailMessage, guard: Guard, line: _Line) -> int:
    """Send a mail, in a thread; return how many of the recipients the server refuses."""
    client = _Client(way, guard, line)
    try:
        if way.requires_tls and not way.is_encrypted_at_once:
            client.starttls(context=client.context)
        if way.user:
            _log_in(client, way)
        sender = parseaddr(way.sender)[1]
        refused = client.sendmail(sender, [*way.recipients], content.as_bytes(policy=SMTP))
        with suppress(OSError):  # it has been taken, whatever comes now
            client.quit()
    finally:
        client.close()
    return len(refused)


def _log_in(client: _Client, way: MailWay) -> None:
    if not (way.requires_tls or way.is_encrypted_at_once):
        raise smtplib.SMTPNotSupportedError("credentials are sent over TLS only")
    if not way.identity:
        client.login(way.user, way.password)
        return

    def answer(_challenge: bytes | None = None) -> str:
        return f"{way.identity}\0{way.user}\0{way.password}"

    client.ehlo_or_helo_if_needed()
    client.auth("PLAIN", answer)

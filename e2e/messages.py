"""Records what is sent to people: Slack, PagerDuty, webhooks and e-mail, on this machine.

Stands in for the services that tests cannot have. It answers as they do, so that Alertmanager takes
what it has sent as delivered, and keeps each message with the time of its arrival.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

SLACK, PAGERDUTY, WEBHOOK, EMAIL = "slack", "pagerduty", "webhook", "email"

_ANSWERS: Mapping[str, tuple[int, bytes]] = {
    SLACK: (200, b"ok"),
    PAGERDUTY: (202, b'{"status":"success","message":"Event processed","dedup_key":"recorded"}'),
    WEBHOOK: (200, b""),
}
_PATHS = {SLACK: "/slack", PAGERDUTY: "/v2/enqueue", WEBHOOK: "/webhook"}


@dataclass(frozen=True)
class Message:
    """One message that has arrived."""

    channel: str
    """`slack`, `pagerduty`, `webhook` or `email`."""
    received: datetime
    content: Mapping[str, Any]
    """The request's JSON; of an e-mail its sender, recipients, subject and body."""

    @property
    def text(self) -> str:
        """Everything in the message, to look for words in it."""
        return json.dumps(self.content, ensure_ascii=False)


class Recorder:
    """What has arrived, and where messages are to be sent."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._messages: list[Message] = []
        self._refused: dict[str, int] = {}
        self._http = ThreadingHTTPServer((address, 0), _handler(self))
        self._smtp = Controller(_Mailbox(self), hostname=address, port=_free_port(address))

    @property
    def slack_url(self) -> str:
        """The URL of an incoming webhook of Slack."""
        return self._url(SLACK)

    @property
    def pagerduty_url(self) -> str:
        """The URL of PagerDuty's events API, version 2."""
        return self._url(PAGERDUTY)

    @property
    def webhook_url(self) -> str:
        """The URL of a webhook that takes Alertmanager's own format."""
        return self._url(WEBHOOK)

    @property
    def smarthost(self) -> str:
        """Host and port of a mail server without TLS and without login."""
        return f"{self._address}:{self._smtp.port}"

    def messages(self, channel: str = "", word: str = "") -> list[Message]:
        """Return what has arrived, oldest first: on one channel, with a word in it."""
        with self._lock:
            return [
                message
                for message in self._messages
                if channel in ("", message.channel) and word in message.text
            ]

    def refuse(self, channel: str, status: int) -> None:
        """Answer a channel's requests with an HTTP status from now on; 0 takes them again."""
        with self._lock:
            self._refused[channel] = status

    def take(self, channel: str, content: Mapping[str, Any]) -> tuple[int, bytes]:
        """Record a message, unless its channel is refused; return how it is answered."""
        with self._lock:
            if refused := self._refused.get(channel):
                return refused, b"refused by the test"
            self._messages.append(Message(channel, datetime.now(UTC), content))
        return _ANSWERS.get(channel, (200, b""))

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self._smtp.start()

    def stop(self) -> None:
        """Stop listening."""
        self._smtp.stop()
        self._http.shutdown()
        self._http.server_close()

    def _url(self, channel: str) -> str:
        return f"http://{self._address}:{self._http.server_port}{_PATHS[channel]}"


@contextmanager
def record(address: str) -> Iterator[Recorder]:
    """Record messages that are sent to an address of this machine, on free ports."""
    recorder = Recorder(address)
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.stop()


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            channel = next((each for each, path in _PATHS.items() if path == self.path), None)
            status, answer = 404, b"no such channel"
            if channel:
                status, answer = recorder.take(channel, json.loads(body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing: a demo's screen is not for access logs."""

    return Handler


class _Mailbox:
    """What aiosmtpd calls for each mail."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def handle_DATA(  # noqa: N802 (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        status, _ = self._recorder.take(EMAIL, _parse_mail(envelope))
        return "250 OK" if status < 400 else f"451 refused with {status}"


def _parse_mail(envelope: Envelope) -> dict[str, Any]:
    content = envelope.content or b""
    raw = content.encode() if isinstance(content, str) else content
    mail = message_from_bytes(raw, policy=policy.default)
    body = mail.get_body(("plain", "html"))
    return {
        "from": envelope.mail_from,
        "to": list(envelope.rcpt_tos),
        "subject": str(mail["Subject"] or ""),
        "body": body.get_content() if body else "",
    }


def _free_port(address: str) -> int:
    """Let the kernel choose, since aiosmtpd does not tell which port it was given."""
    with ThreadingHTTPServer((address, 0), BaseHTTPRequestHandler) as server:
        return server.server_port

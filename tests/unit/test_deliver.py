"""Sending to real servers on this machine: what counts as taken, and what is said if it was not."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from e2e.cluster.certificates import Authority
from e2e.messages import EMAIL, PAGERDUTY, SLACK, WEBHOOK, Recorder, record
from firewatch.api.notices import Moment, Severity
from firewatch.api.resource import Object
from firewatch.cluster.trust import trusting
from firewatch.respond import deliver
from firewatch.respond.addresses import HttpWay, MailWay, Tls
from firewatch.respond.deliver import Courier, DeliveryError, open_courier
from firewatch.respond.guard import Guard
from firewatch.respond.messages import pagerduty_body, slack_body, webhook_body
from tests.unit.test_letters import letter, notice

SECRET = "s3cret-token"
LETTER = letter(found=notice(Moment.ACTED, "scaled api 2 → 4"))


@pytest_asyncio.fixture
async def courier() -> AsyncIterator[Courier]:
    async with open_courier(Guard(allows_loopback=True)) as found:
        yield found


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with record("127.0.0.1") as found:
        yield found


def slack(url: str) -> HttpWay:
    return HttpWay("slack", "key url of Secret team", url, partial(slack_body, options={}))


def mailbox(smarthost: str, **changes: Any) -> MailWay:
    host, _, port = smarthost.rpartition(":")
    way = MailWay(
        name="email",
        place=f"mail server {smarthost}",
        host=host,
        port=int(port),
        sender="Fire <fire@a.example>",
        recipients=("you@a.example",),
        hello="localhost",
        requires_tls=False,
    )
    return replace(way, **changes)


async def test_every_channel_takes_what_it_is_sent(courier: Courier, recorder: Recorder) -> None:
    pager = partial(pagerduty_body, key="routing-key", severity=Severity.ERROR)
    ways: list[HttpWay | MailWay] = [
        slack(recorder.slack_url),
        HttpWay("pagerduty", "", recorder.pagerduty_url, pager),
        HttpWay("webhook", "", recorder.webhook_url, partial(webhook_body, receiver="team")),
        mailbox(recorder.smarthost),
    ]
    for way in ways:
        assert await courier.deliver(way, LETTER) == ""
    arrived = {message.channel: message for message in recorder.messages(word="scaled api 2 → 4")}
    assert list(arrived) == [SLACK, PAGERDUTY, WEBHOOK, EMAIL]
    assert arrived[PAGERDUTY].content["routing_key"] == "routing-key"
    assert arrived[EMAIL].content["to"] == ["you@a.example"]
    assert arrived[EMAIL].content["from"] == "fire@a.example"
    assert arrived[EMAIL].content["subject"] == "acted: scaled api 2 → 4"


async def refused(courier: Courier, way: HttpWay | MailWay) -> str:
    with pytest.raises(DeliveryError) as caught:
        await courier.deliver(way, LETTER)
    assert SECRET not in str(caught.value)
    return str(caught.value)


@asynccontextmanager
async def serving(
    status: int = 200,
    text: str = "",
    *,
    context: ssl.SSLContext | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[tuple[str, list[Object]]]:
    """Run a server that always answers the same, and keep what it gets."""
    got: list[Object] = []

    async def answer(request: web.Request) -> web.Response:
        got.append({"headers": dict(request.headers), "body": await request.json()})
        # Whatever it was sent comes back, as from a server that echoes.
        echo = text or request.headers.get("Authorization", "") + str(request.url)
        return web.Response(status=status, text=echo, headers=headers)

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    (address,) = runner.addresses
    scheme = "https" if context else "http"
    try:
        yield f"{scheme}://127.0.0.1:{address[1]}/{SECRET}", got
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (
            404,
            "no_service",
            "HTTP 404 (no_service): nothing is there any more; correct the address",
        ),
        (404, "", "HTTP 404: nothing is there any more"),
        (400, "invalid_payload", "HTTP 400 (invalid_payload): the message is refused"),
        (401, "", "HTTP 401: the credentials are refused; correct them (key url of Secret team)"),
        (500, "", "HTTP 500: the server fails; look after it"),
        (302, "", "HTTP 302: it points to another address; put the final one into key url of"),
    ],
)
async def test_what_a_server_has_against_it_is_said_in_our_own_words(
    courier: Courier, status: int, text: str, words: str
) -> None:
    headers = {"Location": "http://127.0.0.1:9/"}
    async with serving(status, text, headers=headers) as (url, got):
        way = replace(slack(url), headers={"Authorization": f"Bearer {SECRET}"})
        assert words in await refused(courier, way)
        assert len(got) == 1, "and nobody else is sent anything"


async def test_a_server_may_ask_to_be_left_alone_for_a_while(courier: Courier) -> None:
    async with serving(429, headers={"Retry-After": "17"}) as (url, _):
        with pytest.raises(DeliveryError, match="it takes no more for now") as caught:
            await courier.deliver(slack(url), LETTER)
    assert caught.value.wait == 17


async def test_a_server_that_is_not_there_is_named_by_its_secret_only(courier: Courier) -> None:
    assert await refused(courier, slack(f"http://127.0.0.1:9/{SECRET}")) == (
        "no connection (ConnectionRefusedError); look after the server (key url of Secret team)"
    )
    found = await refused(courier, mailbox("127.0.0.1:9"))
    assert "mail server 127.0.0.1:9: no connection" in found


async def test_a_server_that_never_answers_costs_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver, "_SECONDS", 0.3)
    monkeypatch.setattr(deliver, "_MAIL_SECONDS", 0.3)
    accepted: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_courier(Guard(allows_loopback=True)) as courier:
        assert "no answer within" in await refused(courier, slack(f"http://127.0.0.1:{port}"))
        found = await refused(courier, mailbox(f"127.0.0.1:{port}"))
    assert "mail server 127.0.0.1" in found
    server.close()
    for writer in accepted:
        writer.close()
    await server.wait_closed()


async def test_a_mail_server_that_drips_keeps_nobody_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver, "_MAIL_SECONDS", 1.0)
    is_cut = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = asyncio.create_task(reader.read())
        while not end.done():
            writer.write(b"2")
            await asyncio.wait([end], timeout=0.05)
        end.exception()  # it may have been reset, which ends it as well
        writer.close()
        is_cut.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_courier(Guard(allows_loopback=True)) as courier:
        assert "has not taken it in time" in await refused(courier, mailbox(f"127.0.0.1:{port}"))
        async with asyncio.timeout(5):
            await is_cut.wait()
    server.close()
    await server.wait_closed()


async def test_nothing_is_sent_into_the_operators_own_pod() -> None:
    async with open_courier(Guard()) as courier, serving() as (url, got):
        assert "it leads to the operator itself" in await refused(courier, slack(url))
        by_name = slack(url.replace("127.0.0.1", "localhost"))
        assert "it leads to the operator itself" in await refused(courier, by_name)
        inside = mailbox("localhost:9")
        assert "it leads to the operator itself" in await refused(courier, inside)
    assert got == []


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def server_context(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("server", "server", names=["hook.example"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def trust(authority: Authority, name: str = "hook.example") -> Tls:
    text = authority.pair.certificate.read_text()
    return Tls(trusting(text, pinned=False), name)


async def test_a_servers_certificate_is_checked(courier: Courier, authority: Authority) -> None:
    async with serving(context=server_context(authority)) as (url, got):
        assert "its certificate is refused" in await refused(courier, slack(url))
        other = replace(slack(url), tls=trust(authority, "other.example"))
        assert "its certificate is refused" in await refused(courier, other)
        assert got == []
        assert await courier.deliver(replace(slack(url), tls=trust(authority)), LETTER) == ""
    assert len(got) == 1


class Mailbox:
    """Takes mails for everybody but one."""

    def __init__(self) -> None:
        self.logins: list[LoginPassword] = []
        self.mails: list[bytes] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        self.mails.append(envelope.content)
        return "250 OK"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, login: LoginPassword
    ) -> AuthResult:
        self.logins.append(login)
        return AuthResult(success=login.password == SECRET.encode(), handled=False)


@contextmanager
def mail_server(mailbox: Mailbox, context: ssl.SSLContext | None = None) -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = int(free.getsockname()[1])
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        authenticator=mailbox.authenticate,
        auth_require_tls=context is not None,
    )
    controller.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        controller.stop()


async def test_mail_goes_over_tls_and_so_do_credentials(
    courier: Courier, authority: Authority
) -> None:
    mailbox_ = Mailbox()
    login: dict[str, Any] = {"requires_tls": True, "user": "me", "password": SECRET}
    with mail_server(mailbox_, server_context(authority)) as host:
        way = mailbox(host, **login, tls=trust(authority))
        assert await courier.deliver(way, LETTER) == ""
        identified = replace(way, identity="us")
        assert await courier.deliver(identified, LETTER) == ""
        wrong = replace(way, password="wrong")
        assert "535: it refuses the credentials" in await refused(courier, wrong)
        plain = replace(way, requires_tls=False)
        assert "without which no credentials are sent" in await refused(courier, plain)
    assert {each.login for each in mailbox_.logins} == {b"me"}
    assert {each.password for each in mailbox_.logins[2:]} == {b"wrong"}
    assert len(mailbox_.mails) == 2


async def test_a_mail_servers_certificate_is_checked(
    courier: Courier, authority: Authority
) -> None:
    mailbox_ = Mailbox()
    with mail_server(mailbox_, server_context(authority)) as host:
        unknown = mailbox(host, requires_tls=True)
        assert "its certificate is refused" in await refused(courier, unknown)
    assert mailbox_.mails == []


async def test_a_mail_server_without_tls_is_used_only_if_that_is_said(courier: Courier) -> None:
    mailbox_ = Mailbox()
    with mail_server(mailbox_) as host:
        strict = mailbox(host, requires_tls=True)
        assert "it offers no TLS" in await refused(courier, strict)
        assert await courier.deliver(mailbox(host), LETTER) == ""
    assert len(mailbox_.mails) == 1


async def test_addresses_that_a_mail_server_refuses_are_counted(courier: Courier) -> None:
    mailbox_ = Mailbox()
    with mail_server(mailbox_) as host:
        some = mailbox(host, recipients=("you@a.example", "nobody@a.example"))
        assert "refuses 1 of 2 addresses; correct them" in await courier.deliver(some, LETTER)
        none = mailbox(host, recipients=("nobody@a.example",))
        assert "it refuses every address" in await refused(courier, none)
    assert len(mailbox_.mails) == 1

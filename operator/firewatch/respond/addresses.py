"""Whom an action tells: from a receiver's name or references to Secrets to addresses and credentials.

They are looked up right before something is sent and forgotten after it. None of them is ever shown: what
is wrong names the Secret and its key, and never what stands there.
"""

import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import getaddresses
from functools import partial
from typing import Any

from pydantic import ValidationError

from firewatch.api.alerting import Smtp
from firewatch.api.notices import Email, Notify, Pagerduty, Severity, Slack, Webhook
from firewatch.api.receivers import (
    BasicAuth,
    EmailReceiver,
    PagerdutyReceiver,
    Receiver,
    SlackReceiver,
    TlsConfig,
    WebhookReceiver,
)
from firewatch.api.resource import Model, Object, SecretKeySelector
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.notifying import Owner, SettingError
from firewatch.build.receivers import check_url
from firewatch.build.references import find_parts
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ForbiddenError
from firewatch.cluster.files import content
from firewatch.cluster.find import find
from firewatch.cluster.http import basic_authorization
from firewatch.cluster.kinds import MONITORING_STACK, SECRET
from firewatch.cluster.trust import trusting
from firewatch.respond.messages import (
    Letter,
    pagerduty_body,
    service_body,
    slack_body,
    webhook_body,
)
from firewatch.settings import Settings

_SERVICE_API = "https://events.pagerduty.com/generic/2010-04-15/create_event.json"
_EVENTS_API = "https://events.pagerduty.com/v2/enqueue"
_TLS_PORT = 465
"""Where mail servers speak TLS from the first byte on."""
_OPTIONS = ("channel", "username", "icon_emoji", "icon_url")


class AddressError(Exception):
    """There is nowhere to send to; ``str()`` says why and what to do."""


@dataclass(frozen=True)
class Tls:
    """How a server's certificate is checked; by the image's authorities if nothing is set."""

    context: ssl.SSLContext | None = None
    server_name: str | None = None


_BY_IMAGE = Tls()


@dataclass(frozen=True)
class HttpWay:
    """An HTTP endpoint, and the form of what it takes."""

    name: str
    """Which of the ways of its action, as ``slack[0]``."""
    place: str
    """Where its address stands, in words."""
    url: str = field(repr=False)
    render: Callable[[Letter], Object] = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    tls: Tls = _BY_IMAGE


@dataclass(frozen=True)
class MailWay:
    """Mailboxes, and the server through which they are reached."""

    name: str
    place: str
    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    hello: str
    requires_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    identity: str = ""
    tls: Tls = _BY_IMAGE

    @property
    def is_encrypted_at_once(self) -> bool:
        """Tell whether the server speaks TLS from the first byte on."""
        return self.port == _TLS_PORT


Way = HttpWay | MailWay


@dataclass(frozen=True)
class NoWay:
    """A way that cannot be used, and why."""

    name: str
    problem: str

    def __str__(self) -> str:
        # Of a receiver's ways it is to be said which one.
        return f"{self.name}: {self.problem}" if self.name.endswith("]") else self.problem


@dataclass(frozen=True)
class Directory:
    """Looks up addresses for the AutoResponses of one namespace."""

    cluster: Cluster
    settings: Settings
    namespace: str
    stack: str
    """Name of the stack whose alerts count; empty if they come from elsewhere, or from nowhere."""

    async def find(self, notify: Notify) -> list[Way | NoWay]:
        """Return the ways of an action; ``AddressError`` if there are none at all."""
        if notify.receiver is not None:
            return await self._receiver(notify.receiver)
        self._require_grant(notify)
        config = notify.slack or notify.pagerduty or notify.webhook or notify.email
        assert config is not None
        name = next(n for n in ("slack", "pagerduty", "webhook", "email") if getattr(notify, n))
        return [await self._way(config, name, receiver="firewatch")]

    def _require_grant(self, notify: Notify) -> None:
        """Refuse to read Secrets that only somebody who writes AutoResponses has named."""
        names_secrets = any(True for _ in find_parts(notify, SecretKeySelector))
        if names_secrets and not self.settings.grants_sources(self.namespace):
            raise AddressError(
                f"Firewatch may not read Secrets in namespace {self.namespace}, which notify names;"
                " add it to sources.namespaces of the chart"
            )

    async def _receiver(self, name: str) -> list[Way | NoWay]:
        spec = await self._stack()
        receivers = spec.alerting.receivers if spec.alerting else []
        receiver = next((each for each in receivers if each.name == name), None)
        if receiver is None:
            raise AddressError(
                f"MonitoringStack {self.stack} has no receiver {name}; add it to alerting.receivers"
            )
        ways = [
            await self._way(config, f"{kind}[{index}]", receiver=name)
            for kind, index, config in _integrations(receiver)
        ]
        if not ways:
            raise AddressError(f"receiver {name} of MonitoringStack {self.stack} tells nobody")
        return ways

    async def _stack(self) -> MonitoringStackSpec:
        live = (
            await find(self.cluster, MONITORING_STACK, self.namespace, self.stack)
            if self.stack
            else None
        )
        if live is None:
            raise AddressError("there is no MonitoringStack whose receivers could be told")
        try:
            return MonitoringStackSpec.model_validate(live["spec"])
        except ValidationError:
            raise AddressError(
                f"MonitoringStack {self.stack} is not understood; see its status"
            ) from None

    async def _way(self, config: Model, name: str, *, receiver: str) -> Way | NoWay:
        """Return one way; one that cannot be used does not cost the others."""
        try:
            return await self._resolve(config, name, receiver)
        except AddressError as error:
            return NoWay(name, str(error))

    async def _resolve(self, config: Model, name: str, receiver: str) -> Way:
        match config:
            case Slack() | SlackReceiver():
                return await self._slack(config, name)
            case Pagerduty() | PagerdutyReceiver():
                return await self._pagerduty(config, name)
            case Webhook() | WebhookReceiver():
                return await self._webhook(config, name, receiver)
            case Email() | EmailReceiver():
                return await self._email(config, name)
        raise AssertionError(f"{name} is no way of telling people")

    async def _slack(self, config: Slack | SlackReceiver, name: str) -> Way:
        url, place = await self._secret_url(config.api_url)
        # A text with Alertmanager's templates means something to Alertmanager only.
        found = {option: getattr(config, option, None) for option in _OPTIONS}
        options = {option: text for option, text in found.items() if text and "{{" not in text}
        http = await self._http(config)
        return HttpWay(name, place, url, partial(slack_body, options=options), *http)

    async def _pagerduty(self, config: Pagerduty | PagerdutyReceiver, name: str) -> Way:
        severity = _severity(config.severity)
        http = await self._http(config)
        render: Callable[[Letter], Object]
        if config.routing_key:
            ref, address = config.routing_key, config.url or _EVENTS_API
            key = await self._secret(ref)
            render = partial(pagerduty_body, key=key, severity=severity)
        else:
            ref, address = _service_key(config), config.url or _SERVICE_API
            key = await self._secret(ref)
            render = partial(service_body, key=key)
        return HttpWay(name, _where(ref), self._checked(address, "url"), render, *http)

    async def _webhook(self, config: Webhook | WebhookReceiver, name: str, receiver: str) -> Way:
        if config.url_secret:
            url, place = await self._secret_url(config.url_secret)
        else:
            url, place = self._checked(config.url or "", "url"), "its url"
        http = await self._http(config)
        return HttpWay(name, place, url, partial(webhook_body, receiver=receiver), *http)

    async def _email(self, config: Email | EmailReceiver, name: str) -> Way:
        smtp = config.smtp if isinstance(config, Email) else None
        smtp = smtp or await self._stacks_smtp()
        recipients = _recipients(config.to)
        sender = smtp.from_
        if isinstance(config, EmailReceiver) and config.from_ and "{{" not in config.from_:
            sender = config.from_
        host, _, port = smtp.smarthost.rpartition(":")
        return MailWay(
            name=name,
            place=f"mail server {smtp.smarthost}",
            host=host.strip("[]"),
            port=int(port),
            sender=sender,
            recipients=recipients,
            hello=smtp.hello or "localhost",
            requires_tls=smtp.require_tls,
            user=smtp.auth_username or "",
            password=await self._secret(smtp.auth_password) if smtp.auth_password else "",
            identity=smtp.auth_identity or "",
            tls=await self._tls(smtp.tls),
        )

    async def _stacks_smtp(self) -> Smtp:
        alerting = (await self._stack()).alerting
        if alerting is None or alerting.smtp is None:
            raise AddressError(
                f"MonitoringStack {self.stack} has no alerting.smtp; add it, or set smtp here"
            )
        return alerting.smtp

    async def _http(self, config: Any) -> tuple[dict[str, str], Tls]:
        """Return headers and TLS: a receiver has them in a block of its own."""
        block = getattr(config, "http_config", None) or config
        token = getattr(block, "bearer_token", None)
        basic: BasicAuth | None = getattr(block, "basic_auth", None)
        headers = {}
        if token:
            headers["Authorization"] = f"Bearer {await self._secret(token)}"
        if basic:
            password = await self._secret(basic.password)
            headers["Authorization"] = basic_authorization(basic.username, password)
        return headers, await self._tls(getattr(block, "tls", None))

    async def _tls(self, tls: TlsConfig | None) -> Tls:
        if tls is None:
            return _BY_IMAGE
        context = None
        if tls.ca:
            context = trusting(await self._secret(tls.ca, lines=True), pinned=False)
            if context is None:
                raise AddressError(f"{_where(tls.ca)} holds no certificate in PEM form; create it")
        if tls.insecure_skip_verify:
            # Without the image's authorities: reading them would hold up everything else.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return Tls(context, tls.server_name)

    async def _secret_url(self, ref: SecretKeySelector) -> tuple[str, str]:
        place = _where(ref)
        return self._checked(await self._secret(ref), place), place

    def _checked(self, url: str, place: str) -> str:
        try:
            return check_url(url, Owner(self.namespace), secret=True)
        except SettingError:
            raise AddressError(
                f"{place} holds no URL that begins with http:// or https://; correct it"
            ) from None

    async def _secret(self, ref: SecretKeySelector, *, lines: bool = False) -> str:
        """Return a key of a Secret of the namespace."""
        try:
            live = await find(self.cluster, SECRET, self.namespace, ref.name) or {}
        except ForbiddenError:
            raise AddressError(
                f"Firewatch may not read {_where(ref)}; add namespace {self.namespace} to"
                " sources.namespaces of the chart"
            ) from None
        data = content(SECRET, live, ref.key)
        value = data.decode(errors="replace").strip()
        if not value:
            raise AddressError(f"{_where(ref)} is missing; create it")
        if not lines and any(ord(sign) < ord(" ") for sign in value):
            raise AddressError(f"{_where(ref)} holds more than one line; correct it")
        return value


def _integrations(receiver: Receiver) -> Iterator[tuple[str, int, Model]]:
    for kind in ("slack", "pagerduty", "webhook", "email"):
        for index, config in enumerate(getattr(receiver, kind)):
            yield kind, index, config


def _where(ref: SecretKeySelector) -> str:
    return f"key {ref.key} of Secret {ref.name}"


def _service_key(config: Pagerduty | PagerdutyReceiver) -> SecretKeySelector:
    key: SecretKeySelector | None = getattr(config, "service_key", None)
    if key is None:
        raise AddressError("it has neither routingKey nor serviceKey; set one")
    return key


def _severity(text: str | None) -> Severity:
    """Return a severity; Alertmanager's templates say nothing here."""
    return next((each for each in Severity if each == text), Severity.ERROR)


def _recipients(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return addresses, out of a header's text or as they were given."""
    if not isinstance(given, str):
        return tuple(given)
    found = [address for _, address in getaddresses([given])]
    if not found or not all(map(_is_address, found)):
        raise AddressError("to holds something else than addresses with commas between; correct it")
    return tuple(found)


def _is_address(text: str) -> bool:
    return text.count("@") == 1 and text.isprintable() and " " not in text

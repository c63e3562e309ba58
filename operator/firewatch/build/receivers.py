"""Receivers in Alertmanager's words; each of their integrations stands or falls alone."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from firewatch.api.alerting import LeftOut, Smtp
from firewatch.api.receivers import (
    EmailReceiver,
    HttpConfig,
    PagerdutyReceiver,
    Receiver,
    SlackReceiver,
    TlsConfig,
    WebhookReceiver,
)
from firewatch.api.resource import Model, Object, SecretKeySelector
from firewatch.build.notifying import Credentials, Owner, SettingError, Sources
from firewatch.build.template_lexer import TemplateError
from firewatch.build.templates import ALERTMANAGER, check_template

_API_SERVER = ("kubernetes.default", "kubernetes.default.svc", "kubernetes")
_LAST_PORT = 65535
_ENCODED = r"%[0-9A-Fa-f]{2}"
_URL = re.compile(
    rf"https?://((?:[A-Za-z0-9._~!$&'()*+,;=:-]|{_ENCODED})*@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:(?P<port>[0-9]{1,5}))?"
    rf"(/([^\x00-\x20\x7f%?#]|{_ENCODED})*)?(\?[^\x00-\x20\x7f#]*)?(#([^\x00-\x20\x7f%#]|{_ENCODED})*)?"
)
_NOT_TEXT = frozenset(("url", "url_secret", "api_url", "routing_key", "service_key", "http_config"))


@dataclass(frozen=True)
class Rendered:
    """A receiver, as far as it can work."""

    config: Object
    credentials: Credentials
    left_out: Sequence[LeftOut]

    @property
    def works(self) -> bool:
        """Tell whether anybody is told."""
        return len(self.config) > 1


def render_receiver(
    receiver: Receiver, owner: Owner, path: str, *, sources: Sources, smtp_fault: str | None
) -> Rendered:
    """Return a receiver; ``smtp_fault`` says why no e-mail can be sent, if that is so."""
    rendered = Rendered({"name": owner.qualified(receiver.name)}, Credentials(sources), left := [])
    for field, index, config in _integrations(receiver):
        needed = Credentials(sources)
        try:
            found = _Integration(owner, needed, smtp_fault).render(config)
        except SettingError as error:
            left.append(owner.left_out(f"{path}.{field}[{index}]", error))
            continue
        rendered.config.setdefault(f"{field}_configs", []).append(found)
        rendered.credentials.take(needed)
    return rendered


def _integrations(receiver: Receiver) -> Iterator[tuple[str, int, Model]]:
    for field in ("webhook", "pagerduty", "slack", "email"):
        for index, config in enumerate(getattr(receiver, field)):
            yield field, index, config


def render_smtp(smtp: Smtp, owner: Owner, credentials: Credentials) -> Object:
    """Return the fields of ``global`` by which e-mail is sent."""
    found: Object = {"smtp_smarthost": smtp.smarthost, "smtp_from": smtp.from_}
    if smtp.hello:
        found["smtp_hello"] = smtp.hello
    if smtp.auth_username:
        found["smtp_auth_username"] = smtp.auth_username
    if smtp.auth_identity:
        found["smtp_auth_identity"] = smtp.auth_identity
    if smtp.auth_password:
        found["smtp_auth_password_file"] = credentials.path(owner, smtp.auth_password)
    if not smtp.require_tls:
        found["smtp_require_tls"] = False
    if smtp.tls:
        found["smtp_tls_config"] = _tls(smtp.tls, owner, credentials)
    return found


def check_text(text: str) -> str:
    """Return a text that may hold templates; ``SettingError`` if they do not parse."""
    try:
        check_template(text, dialect=ALERTMANAGER)
    except TemplateError as error:
        raise SettingError("BadTemplate", str(error)) from error
    return text


def check_url(text: str, owner: Owner, *, secret: bool = False) -> str:
    """Return a URL; ``SettingError`` if it is none, without showing one that is secret."""
    shown = "it" if secret else f"{text!r}"
    match = _URL.fullmatch(text)
    # Alertmanager takes braces for a template, and refuses its whole configuration over a bad one.
    if match is None or "{{" in text or int(match["port"] or 0) > _LAST_PORT:
        raise SettingError("BadUrl", f"{shown} is not a URL that begins with http:// or https://")
    if owner.policy and _is_inside(match["host"].strip("[]")):
        raise SettingError("BadUrl", f"{shown} leads into the cluster's own machinery")
    return text


def _is_inside(host: str) -> bool:
    """Tell whether a host is the Alertmanager pod itself, its node's metadata or the API server."""
    name = host.rstrip(".").removesuffix(".cluster.local")
    if name in _API_SERVER or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local or address.is_unspecified


def _tls(tls: TlsConfig, owner: Owner, credentials: Credentials) -> Object:
    found: Object = {}
    if tls.ca:
        found["ca_file"] = credentials.path(owner, tls.ca)
    if tls.server_name:
        found["server_name"] = tls.server_name
    if tls.insecure_skip_verify:
        found["insecure_skip_verify"] = True
    return found


@dataclass(frozen=True)
class _Integration:
    """Renders one way of telling somebody."""

    owner: Owner
    credentials: Credentials
    smtp_fault: str | None

    def render(self, config: Model) -> Object:
        """Return the entry; ``SettingError`` says why it cannot work."""
        renderers: dict[type[Model], Callable[[Any], Object]] = {
            WebhookReceiver: self._webhook,
            PagerdutyReceiver: self._pagerduty,
            SlackReceiver: self._slack,
            EmailReceiver: self._email,
        }
        found = {**renderers[type(config)](config), **self._texts(config)}
        http = getattr(config, "http_config", None)
        return {**found, "http_config": self._http(http)} if http else found

    def _webhook(self, config: WebhookReceiver) -> Object:
        found: Object = {}
        if config.url is not None:
            found["url"] = check_url(config.url, self.owner)
        if config.url_secret:
            found["url_file"] = self._secret_url(config.url_secret)
        return found

    def _pagerduty(self, config: PagerdutyReceiver) -> Object:
        found: Object = {}
        if config.routing_key:
            found["routing_key_file"] = self.credentials.path(self.owner, config.routing_key)
        if config.service_key:
            found["service_key_file"] = self.credentials.path(self.owner, config.service_key)
        if config.url is not None:
            found["url"] = check_url(config.url, self.owner)
        return found

    def _slack(self, config: SlackReceiver) -> Object:
        return {"api_url_file": self._secret_url(config.api_url)}

    def _email(self, _config: EmailReceiver) -> Object:
        if self.smtp_fault is not None:
            raise SettingError("NoSmtp", self.smtp_fault)
        return {}

    def _secret_url(self, reference: SecretKeySelector) -> str:
        """Return the file of a URL in a Secret."""
        value = self.credentials.value(self.owner, reference)
        where = f"key {reference.key} of Secret {reference.name}"
        try:
            check_url(value.decode().strip(), self.owner, secret=True)
        except (SettingError, UnicodeDecodeError) as error:
            raise SettingError("BadUrl", f"{where} is not a URL that can be used") from error
        return self.credentials.path(self.owner, reference)

    def _texts(self, config: Model) -> Object:
        """Return the fields that mean the same in both worlds, their templates checked."""
        found: Object = {}
        for name, info in type(config).model_fields.items():
            value = getattr(config, name)
            if name in _NOT_TEXT or value is None or value in ({}, info.default):
                continue
            key = info.alias if name in {"from_", "event_class"} and info.alias else name
            found[key] = self._checked(value, info.alias or name)
        return found

    def _checked(self, value: Any, field: str) -> Any:
        try:
            if isinstance(value, str):
                return check_text(value)
            if isinstance(value, dict):
                return {name: check_text(value[name]) for name in sorted(value)}
        except SettingError as error:
            raise SettingError(error.reason, f"{field}: {error}") from error
        return value

    def _http(self, http: HttpConfig) -> Object:
        found: Object = {}
        if http.bearer_token:
            path = self.credentials.path(self.owner, http.bearer_token)
            found["authorization"] = {"type": "Bearer", "credentials_file": path}
        if http.basic_auth:
            path = self.credentials.path(self.owner, http.basic_auth.password)
            found["basic_auth"] = {"username": http.basic_auth.username, "password_file": path}
        if http.tls:
            found["tls_config"] = _tls(http.tls, self.owner, self.credentials)
        if not http.follow_redirects:
            found["follow_redirects"] = False
        return found

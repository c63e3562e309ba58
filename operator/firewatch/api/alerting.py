"""The block ``alerting`` of a MonitoringStack: Alertmanager, whom it tells and what."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, JsonValue, model_validator

from firewatch.api.ingress import OpenIngress
from firewatch.api.receivers import Receiver, ReceiverName, TlsConfig
from firewatch.api.resource import (
    Interval,
    Model,
    Name,
    Rule,
    SecretKeySelector,
    Status,
    rules,
)
from firewatch.api.routing import RootRoute, TimeInterval
from firewatch.api.workload import Storage, Workload

_BY_NAME: dict[str, JsonValue] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}


class Smtp(Model):
    """The server through which e-mail is sent."""

    smarthost: str = Field(
        pattern=r"^([^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$", max_length=320
    )
    """Server and port, as ``mail.example:587``."""
    from_: str = Field(alias="from", min_length=1, max_length=320)
    """Sender of the messages."""
    hello: str | None = Field(default=None, min_length=1, max_length=253)
    """Name by which the server is greeted; ``localhost`` when left out."""
    auth_username: str | None = Field(default=None, min_length=1, max_length=320)
    """User name at the server."""
    auth_password: SecretKeySelector | None = None
    """Key of a Secret with the password at the server."""
    auth_identity: str | None = Field(default=None, min_length=1, max_length=320)
    """Identity for PLAIN authentication."""
    require_tls: bool = True
    """Whether to send only over an encrypted connection."""
    tls: TlsConfig | None = None
    """How the server's certificate is checked."""


class ConfigMapKey(Model):
    """A key of a ConfigMap of the same namespace."""

    name: Name
    """Name of the ConfigMap."""
    key: str = Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)
    """Key in the ConfigMap."""


class TemplateFile(
    Model,
    json_schema_extra=rules(
        Rule("has(self.content) != has(self.configMap)", "set exactly one of content and configMap")
    ),
):
    """Definitions of templates that the texts of receivers use."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=48)
    """Name of the entry."""
    content: str | None = Field(default=None, max_length=65_536)
    """The definitions: ``{{ define "name" }}…{{ end }}``."""
    config_map: ConfigMapKey | None = None
    """Key of a ConfigMap of this namespace with the definitions; a change is taken up within a
    minute.
    """


class Watchdog(Model):
    """Where the alert goes that always fires."""

    receiver: ReceiverName
    """Name of a receiver outside this cluster that raises the alarm when it hears nothing."""
    repeat_interval: Interval = "5m"
    """How often it hears."""


class SelfTest(Model):
    """A test of the whole way: a message to every receiver, marked as a test."""

    schedule: Interval = "1d"
    """How often, counted from the last test. The alert is called FirewatchSelfTest and carries the
    label ``synthetic="true"``; receivers with ``sendResolved`` also hear that it is over.
    """


class Alerting(
    Workload,
    json_schema_extra=rules(
        Rule(
            "self.receivers.exists(r, r.name == self.route.receiver)",
            "route.receiver must be the name of one of receivers",
        ),
    ),
):
    """Alertmanager: gathers alerts into messages and sends them to people.

    An alert of severity critical mutes those of severity warning and info with the same
    ``alertname`` and ``namespace``, and warning mutes info. The alert Watchdog always fires, as proof
    that alerts arrive.
    """

    own_flags: ClassVar[frozenset[str]] = frozenset(
        {
            *("config.file", "storage.path", "data.retention", "web.listen-address"),
            *("web.external-url", "web.route-prefix", "web.config.file", "enable-feature"),
            *("cluster.listen-address", "cluster.peer", "cluster.peer-name", "cluster.label"),
            *("cluster.advertise-address", "cluster.tls-config", "cluster.reconnect-timeout"),
        }
    )
    own_env: ClassVar[frozenset[str]] = frozenset({"POD_IP", "POD_NAME"})

    ingress: OpenIngress | None = None
    """Name under which people reach Alertmanager; only from inside of the cluster when left out."""
    replicas: int = Field(default=1, ge=1, le=3)
    """Pods. Two or three form a mesh: each gets every alert, and one sends."""
    storage: Storage | None = None
    """Volume for silences and for what has been sent; without it both are lost with the last pod."""
    retention: Interval = "5d"
    """How long silences and notifications that are over are remembered."""
    resolve_timeout: Interval = "5m"
    """After how long without news an alert of a sender that names no end is over."""
    smtp: Smtp | None = None
    """The server through which e-mail is sent; receivers with ``email`` need it."""
    receivers: list[Receiver] = Field(min_length=1, max_length=64, json_schema_extra=_BY_NAME)
    """Whom alerts are told. A receiver that cannot work is left out and named in the status."""
    route: RootRoute
    """Which alerts go to which receiver."""
    time_intervals: list[TimeInterval] = Field(
        default=[], max_length=64, json_schema_extra=_BY_NAME
    )
    """Times with a name, for routes that send or keep still by the clock."""
    templates: list[TemplateFile] = Field(default=[], max_length=16, json_schema_extra=_BY_NAME)
    """Definitions of templates for the texts of receivers."""
    watchdog: Watchdog | None = None
    """Where the alert Watchdog goes; nobody is told when left out."""
    self_test: SelfTest | None = None
    """Tests every receiver from time to time, those of policies too; no tests when left out."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = {receiver.name for receiver in self.receivers}
        wanted = {"route.receiver": self.route.receiver}
        if self.watchdog:
            wanted["watchdog.receiver"] = self.watchdog.receiver
        for field, name in wanted.items():
            if name not in known:
                raise ValueError(f"{field}: there is no receiver {name}; add it to receivers")
        return self


class LeftOut(Status):
    """A part of the notification settings that does not run, and why; the others do."""

    policy: str = Field(default="", max_length=512)
    """The AlertPolicy that it belongs to, as namespace/name; empty for the stack's own."""
    path: str = Field(max_length=256)
    """The field that is at fault."""
    reason: str = Field(max_length=64)
    """One CamelCase word: SecretNotFound, BadUrl, BadTemplate, BadMatcher, …"""
    message: str = Field(max_length=1024)
    """What is wrong with it and what to do."""
    revision: str = Field(default="", max_length=64)
    """Hash of the policy that Alertmanager itself has refused; another form of it is tried again."""


class RouteRow(Status):
    """A route as Alertmanager runs it."""

    depth: int = Field(ge=0)
    """How deep it stands in the tree; 0 is the root."""
    matchers: str = Field(default="", max_length=1024)
    """Which alerts take it; empty is all of the route above."""
    receiver: str = Field(max_length=512)
    """Name of the receiver."""
    policy: str = Field(default="", max_length=512)
    """The AlertPolicy that it belongs to, as namespace/name."""


class Verified(Status):
    """One way of telling somebody, as it was tested."""

    receiver: str = Field(max_length=600)
    """Receiver and integration, as ``slack/slack``."""
    verified: bool
    """Whether the last test message was taken."""
    last_success: str | None = Field(default=None, max_length=32)
    """When a test message was last taken (RFC 3339, UTC)."""


class SelfTestStatus(Status):
    """How the last test of the receivers went."""

    last_run: str | None = Field(default=None, max_length=32)
    """When it began (RFC 3339, UTC)."""
    receivers: list[Verified] = Field(default=[], max_length=100)
    """Every way of telling somebody (the first 100)."""


class AlertingStatus(Status):
    """How the notifications stand."""

    url: str | None = Field(default=None, max_length=512)
    """Address of Alertmanager inside the cluster."""
    secret: str | None = Field(default=None, max_length=253)
    """Name of the Secret that the operator writes: the configuration and copied credentials."""
    receivers: int = Field(default=0, ge=0)
    """Receivers that can be sent to."""
    routes: list[RouteRow] = Field(default=[], max_length=100)
    """The routes as they run, from the root down (the first 100)."""
    left_out: list[LeftOut] = Field(default=[], max_length=50)
    """What does not run, and why (the first 50)."""
    failing: list[Annotated[str, Field(max_length=600)]] = Field(default=[], max_length=50)
    """Receivers whose last notification failed, as receiver/integration."""
    self_test: SelfTestStatus | None = None
    """How the last test of the receivers went."""

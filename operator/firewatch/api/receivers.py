"""Receivers: whom Alertmanager tells, and how."""

from typing import Annotated

from pydantic import Field

from firewatch.api.resource import Model, Rule, SecretKeySelector, rules

Url = Annotated[str, Field(min_length=1, max_length=2048)]
"""An absolute http or https URL."""
Template = Annotated[str, Field(max_length=8192)]
"""A text that may hold Alertmanager's templates."""
ShortTemplate = Annotated[str, Field(max_length=1024)]
"""A short text that may hold Alertmanager's templates."""
ReceiverName = Annotated[str, Field(pattern=r"^[^/]+$", min_length=1, max_length=128)]
"""Name of a receiver. A slash stands in the names of those that policies bring along."""


class TlsConfig(Model):
    """How a server's certificate is checked."""

    ca: SecretKeySelector | None = None
    """Certificates of the authorities to trust (PEM); those of the image when left out."""
    server_name: str | None = Field(default=None, max_length=253)
    """Name that the certificate must have; the server's host when left out."""
    insecure_skip_verify: bool = False
    """Take any certificate: anybody in between can then read what is sent."""


class BasicAuth(Model):
    """User name and password."""

    username: str = Field(min_length=1, max_length=256)
    """User name."""
    password: SecretKeySelector
    """Key of a Secret with the password."""


class HttpConfig(
    Model,
    json_schema_extra=rules(
        Rule(
            "!(has(self.bearerToken) && has(self.basicAuth))",
            "set at most one of bearerToken and basicAuth",
        )
    ),
):
    """How a receiver's HTTP server is talked to."""

    bearer_token: SecretKeySelector | None = None
    """Key of a Secret with a token, sent as ``Authorization: Bearer``."""
    basic_auth: BasicAuth | None = None
    """User name and password."""
    tls: TlsConfig | None = None
    """How the server's certificate is checked."""
    follow_redirects: bool = True
    """Whether to follow redirects."""


class WebhookReceiver(
    Model,
    json_schema_extra=rules(
        Rule("has(self.url) != has(self.urlSecret)", "set exactly one of url and urlSecret")
    ),
):
    """An HTTP endpoint that takes Alertmanager's JSON."""

    url: Url | None = None
    """Where to post. If the URL itself is a secret, use ``urlSecret``."""
    url_secret: SecretKeySelector | None = None
    """Key of a Secret with the URL."""
    max_alerts: int = Field(default=0, ge=0, le=100_000)
    """Most alerts in one message, the rest is left out; 0 is no limit."""
    http_config: HttpConfig | None = None
    """Credentials and TLS."""
    send_resolved: bool = True
    """Whether to tell also that alerts are over."""


class PagerdutyReceiver(
    Model,
    json_schema_extra=rules(
        Rule(
            "has(self.routingKey) != has(self.serviceKey)",
            "set exactly one of routingKey (Events API v2) and serviceKey (Prometheus integration)",
        )
    ),
):
    """A PagerDuty service."""

    routing_key: SecretKeySelector | None = None
    """Key of a Secret with the integration key of an Events API v2 integration."""
    service_key: SecretKeySelector | None = None
    """Key of a Secret with the integration key of a Prometheus integration."""
    url: Url | None = None
    """Where to post; PagerDuty's own address when left out."""
    description: ShortTemplate | None = None
    """What the incident is called; the alerts' names and labels when left out."""
    client: ShortTemplate | None = None
    """Name of the sender; Alertmanager when left out."""
    client_url: ShortTemplate | None = None
    """Link to the sender; Alertmanager's address when left out."""
    severity: ShortTemplate | None = None
    """Severity of the incident: critical, error, warning or info."""
    component: ShortTemplate | None = None
    """The part that is affected."""
    group: ShortTemplate | None = None
    """The group that the part belongs to."""
    event_class: ShortTemplate | None = Field(default=None, alias="class")
    """Kind of the event."""
    details: dict[Annotated[str, Field(max_length=128)], ShortTemplate] = Field(
        default={}, max_length=32
    )
    """Further fields shown with the incident."""
    http_config: HttpConfig | None = None
    """Credentials and TLS."""
    send_resolved: bool = True
    """Whether to resolve the incident when the alerts are over."""


class SlackReceiver(Model):
    """A Slack channel, by an incoming webhook."""

    api_url: SecretKeySelector
    """Key of a Secret with the URL of the incoming webhook."""
    channel: ShortTemplate | None = None
    """Channel or user to send to, for example ``#alerts``; the webhook's own when left out."""
    username: ShortTemplate | None = None
    """Name of the sender."""
    title: Template | None = None
    """Title of the message."""
    title_link: ShortTemplate | None = None
    """Link of the title."""
    pretext: Template | None = None
    """Text in front of the message."""
    text: Template | None = None
    """Text of the message."""
    color: ShortTemplate | None = None
    """Colour beside the message; red while firing and green when over if left out."""
    fallback: Template | None = None
    """Text for clients that cannot show the message."""
    footer: ShortTemplate | None = None
    """Text below the message."""
    icon_emoji: ShortTemplate | None = None
    """Emoji shown as the sender's picture."""
    icon_url: ShortTemplate | None = None
    """Address of the sender's picture."""
    http_config: HttpConfig | None = None
    """Credentials and TLS."""
    send_resolved: bool = False
    """Whether to tell also that alerts are over."""


class EmailReceiver(Model):
    """E-mail through the stack's ``smtp`` server."""

    to: ShortTemplate = Field(min_length=1)
    """Addresses to send to, separated by commas."""
    from_: ShortTemplate | None = Field(default=None, alias="from")
    """Sender; ``smtp.from`` when left out."""
    headers: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64)], ShortTemplate
    ] = Field(default={}, max_length=16)
    """Further headers, or others in place of the usual ones, for example ``Subject``."""
    html: Template | None = None
    """Body in HTML; Alertmanager's own when left out."""
    text: Template | None = None
    """Body in plain text."""
    send_resolved: bool = False
    """Whether to tell also that alerts are over."""


class Receiver(Model):
    """People or programs that are told together, in one or several ways."""

    name: ReceiverName
    """Name, by which routes refer to it."""
    webhook: list[WebhookReceiver] = Field(default=[], max_length=8)
    """HTTP endpoints."""
    pagerduty: list[PagerdutyReceiver] = Field(default=[], max_length=8)
    """PagerDuty services."""
    slack: list[SlackReceiver] = Field(default=[], max_length=8)
    """Slack channels."""
    email: list[EmailReceiver] = Field(default=[], max_length=8)
    """E-mail addresses."""

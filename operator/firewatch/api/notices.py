"""The action ``notify``: whom an AutoResponse tells, of what and in which words, and how that went.

Credentials are named, never written: each is a key of a Secret, read right before something is sent.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from firewatch.api.alerting import Smtp
from firewatch.api.http_client import HttpUrl
from firewatch.api.receivers import BasicAuth, ReceiverName, TlsConfig
from firewatch.api.resource import Model, Rule, SecretKeySelector, Status, rules

PLACEHOLDER = (
    "moment|happened|alert|count|summary|description|response|namespace|target|mode|time"
    "|labels\\.[a-zA-Z_][a-zA-Z0-9_]*"
)
"""What may stand in braces in a message, as a regular expression."""
_MESSAGE = rf"^([^{{}}]|\{{\{{|\}}\}}|\{{({PLACEHOLDER})\}})*$"


class Moment(StrEnum):
    """What people are told of."""

    OPENED = "opened"
    ACTED = "acted"
    RESTORED = "restored"
    FAILED = "failed"


class Slack(Model):
    """A Slack channel, by an incoming webhook."""

    api_url: SecretKeySelector
    """Key of a Secret with the URL of the incoming webhook."""
    channel: str | None = Field(default=None, min_length=1, max_length=128)
    """Channel or user to send to, for example ``#alerts``; the webhook's own when left out."""


class Severity(StrEnum):
    """How bad PagerDuty takes it."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Pagerduty(Model):
    """A PagerDuty service: ``restored`` resolves what the other moments trigger."""

    routing_key: SecretKeySelector
    """Key of a Secret with the integration key of an Events API v2 integration."""
    url: HttpUrl = "https://events.pagerduty.com/v2/enqueue"
    """Where to post."""
    severity: Severity = Severity.ERROR
    """Severity of the incident."""


class Webhook(
    Model,
    json_schema_extra=rules(
        Rule("has(self.url) != has(self.urlSecret)", "set exactly one of url and urlSecret"),
        Rule(
            "!has(self.bearerToken) || !has(self.basicAuth)",
            "set at most one of bearerToken and basicAuth",
        ),
    ),
):
    """An HTTP endpoint that takes Alertmanager's JSON, to which an object ``firewatch`` is added."""

    url: HttpUrl | None = None
    """Where to post. If the URL itself is a secret, use ``urlSecret``."""
    url_secret: SecretKeySelector | None = None
    """Key of a Secret with the URL."""
    bearer_token: SecretKeySelector | None = None
    """Key of a Secret with a token, sent as ``Authorization: Bearer``."""
    basic_auth: BasicAuth | None = None
    """User name and password."""
    tls: TlsConfig | None = None
    """How the server's certificate is checked."""


class Email(Model):
    """E-mail in plain text."""

    to: list[Annotated[str, Field(pattern=r"^[^\s@,;<>]+@[^\s@,;<>]+$", max_length=254)]] = Field(
        min_length=1, max_length=16
    )
    """Addresses to send to."""
    smtp: Smtp | None = None
    """The server through which it is sent; ``alerting.smtp`` of the stack when left out."""


class Notify(
    Model,
    json_schema_extra=rules(
        Rule(
            "[has(self.receiver), has(self.slack), has(self.pagerduty), has(self.webhook),"
            " has(self.email)].filter(x, x).size() == 1",
            "set exactly one of receiver, slack, pagerduty, webhook and email",
        )
    ),
):
    """Whom, of what, and in which words."""

    receiver: ReceiverName | None = None
    """Name of a receiver of the stack (``alerting.receivers``): all of its ways are used, with their
    addresses and credentials, and without their texts.
    """
    slack: Slack | None = None
    """A Slack channel."""
    pagerduty: Pagerduty | None = None
    """A PagerDuty service."""
    webhook: Webhook | None = None
    """An HTTP endpoint."""
    email: Email | None = None
    """E-mail."""
    at: list[Moment] = Field(
        default=[*Moment],
        min_length=1,
        max_length=len(Moment),
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    """Of what: ``opened``, the alert begins to fire; ``acted``, the target is changed for it;
    ``failed``, it cannot be changed or put back, that has not helped, or somebody else changes it; ``restored``, the alert
    has stayed resolved for ``recovery.hold`` and nothing is changed any more. Each at most once for
    an alert, ``failed`` once for each reason.
    """
    message: str | None = Field(
        default=None,
        min_length=1,
        max_length=2048,
        json_schema_extra=rules(
            Rule(
                f"self.matches(r'{_MESSAGE}')",
                "braces hold one of moment, happened, alert, count, summary, description, response,"
                " namespace, target, mode, time and labels.NAME; write {{ and }} for braces as such",
            )
        ),
    )
    """What is said, with placeholders in braces: ``{moment}``, ``{happened}`` (what has happened, in a
    sentence), ``{alert}`` (its name), ``{count}`` (how many of that name fired at the beginning),
    ``{summary}`` and ``{description}`` (its annotations), ``{labels.NAME}`` (a label of it),
    ``{response}``, ``{namespace}``, ``{target}``, ``{mode}``, ``{time}``. A line in which nothing is
    left is left out. The first line is the subject. All of this when left out.
    """


_Instant = Annotated[str, Field(max_length=32)]
_Name = Annotated[str, Field(max_length=160)]
_Value = Annotated[str, Field(max_length=256)]
_Mark = Annotated[str, Field(max_length=64)]


class Incident(Status):
    """An alert that people have been told of, until that is over."""

    id: str = Field(max_length=64)
    """What its messages have in common."""
    alert: str = Field(max_length=256)
    """Name of the alert."""
    since: _Instant
    """When it was first seen (RFC 3339, UTC)."""
    told: list[_Mark] = Field(default=[], max_length=16)
    """Of what people have been told, or would have been."""
    values: dict[_Name, _Value] = Field(default={}, max_length=16)
    """What the messages say of the alert, by placeholder."""
    resolved_at: str | None = Field(default=None, max_length=32)
    """Since when the alert has been resolved; empty while it is not, or while it cannot be told."""
    orphaned_at: str | None = Field(default=None, max_length=32)
    """Since when the alert's rule is gone from Prometheus."""


class Notice(Status):
    """A message that waits until it is taken."""

    id: str = Field(max_length=128)
    """What tells it from all others."""
    incident: str = Field(max_length=64)
    """What messages about the same alert have in common."""
    since: _Instant
    """When the alert was first seen (RFC 3339, UTC)."""
    moment: Moment
    """What it tells of."""
    alert: str = Field(max_length=256)
    """Name of the alert."""
    happened: str = Field(max_length=1024)
    """What has happened, in a sentence."""
    at: _Instant
    """When (RFC 3339, UTC)."""
    values: dict[_Name, _Value] = Field(default={}, max_length=16)
    """What the message says of the alert, by placeholder."""
    pending: list[Annotated[int, Field(ge=0, le=3)]] = Field(max_length=4)
    """Places in ``actions`` of those that have not told it yet."""
    done: list[_Mark] = Field(default=[], max_length=64)
    """Ways by which those have told it already, as ``1/slack[0]``."""


class DeliveryState(StrEnum):
    """How an action that tells people stands."""

    READY = "Ready"
    NO_ADDRESS = "NoAddress"
    WOULD_SEND = "WouldSend"
    DELIVERED = "Delivered"
    FAILING = "Failing"


class Delivery(Status):
    """How one action that tells people stands."""

    action: int = Field(ge=0, le=3)
    """Its place in ``actions``, from 0."""
    to: str = Field(max_length=256)
    """Whom it tells."""
    state: DeliveryState
    """Ready (nothing has been told yet), NoAddress (nobody could be told now), WouldSend (``mode`` lets
    nothing be sent), Delivered, Failing (the last message was not taken).
    """
    message: str = Field(default="", max_length=1024)
    """What is wrong and what to do; what would be said; or empty."""
    moment: Moment | None = None
    """What the last message was about."""
    alert: str = Field(default="", max_length=256)
    """Name of the alert that it was about."""
    at: str | None = Field(default=None, max_length=32)
    """When the last message was taken, or would have been sent (RFC 3339, UTC)."""


class Notices(Status):
    """What people are told."""

    incidents: list[Incident] = Field(default=[], max_length=32)
    """Alerts that are not over; of further ones people are told when one of these is."""
    outbox: list[Notice] = Field(default=[], max_length=16)
    """Messages that have not been taken yet, oldest first."""
    given_up: int = Field(default=0, ge=0)
    """Messages that were never taken: more than 16 waited, or one for a day."""
    deliveries: list[Delivery] = Field(default=[], max_length=4)
    """How each action that tells people stands."""

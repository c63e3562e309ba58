"""Alerts of a Prometheus that Firewatch does not run."""

from typing import Annotated

from pydantic import Field

from firewatch.api.http_client import Authorization, BasicAuth, HttpUrl, SecretOrConfigMap
from firewatch.api.resource import (
    Interval,
    LabelName,
    Model,
    Rule,
    SecretKeySelector,
    rules,
)


class ServerTls(Model):
    """How the server's certificate is checked."""

    ca: SecretOrConfigMap
    """Certificates of the authorities that are trusted."""
    server_name: str | None = Field(default=None, pattern=r"^[^\s/]+$", max_length=253)
    """Name that the certificate must have; the address's host when left out."""


class ExternalServer(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.authorization) || !has(self.basicAuth)",
            "set at most one of authorization and basicAuth",
        ),
        Rule(
            "!has(self.tlsConfig) || self.url.startsWith('https://')",
            "tlsConfig needs a url that begins with https://",
        ),
    ),
):
    """Where a server is found, and how the operator proves itself to it."""

    url: HttpUrl
    """Its address, as ``http://prometheus.monitoring.svc:9090``; what the API's paths are added to."""
    authorization: Authorization | None = None
    """A token in the header ``Authorization``."""
    basic_auth: BasicAuth | None = None
    """User name and password."""
    tls_config: ServerTls | None = None
    """How its certificate is checked; by the image's authorities when left out."""


class ExternalSource(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.heartbeat) || has(self.webhookToken)",
            "heartbeat is about messages of the webhook; set webhookToken",
        ),
    ),
):
    """A Prometheus that people run themselves, and how its Alertmanager tells of alerts.

    Prometheus is what decides: it is asked every 15 seconds, and every 2 seconds while something is
    changed. A webhook makes the answer quicker, and is believed until Prometheus has been asked.
    """

    prometheus: ExternalServer
    """The Prometheus that evaluates the alert's rule."""
    alertmanager: ExternalServer | None = None
    """Its Alertmanager, which ``recovery.onSilence: release`` asks for what it mutes."""
    webhook_token: SecretKeySelector | None = None
    """Token that Alertmanager's webhook presents (``http_config.authorization``), at
    ``/webhook/<namespace>`` of the operator's receiver. Several lines are several tokens, for a
    rotation. Without it nothing is received, and Prometheus is only asked.
    """
    heartbeat: Interval | None = None
    """The longest time between two messages of the webhook, where its Alertmanager sends it an alert that
    always fires, such as the Watchdog of kube-prometheus: ``repeat_interval`` and ``group_interval``
    of that route together. After three of them without an alert that fires, and at least three
    minutes, ``AlertSourceHealthy`` says ``PushesMissing``; Prometheus is asked all the same. Left
    out, nothing is expected: Alertmanager repeats an alert every four hours by default.
    """
    external_labels: list[Annotated[LabelName, Field(max_length=128)]] = Field(
        default=["prometheus", "prometheus_replica"], max_length=16
    )
    """Labels that this Prometheus adds to every alert it sends (its external and replica labels):
    they do not make it another alert.
    """

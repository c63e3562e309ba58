"""``metrics.web`` of a MonitoringStack: how Prometheus serves its API and its pages."""

from pydantic import Field

from firewatch.api.http_client import SecretOrConfigMap, TlsVersion
from firewatch.api.resource import Model, Object, Rule, SecretKeySelector, rules

_LABEL = r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"


def _not_the_key(field: str) -> Rule:
    return Rule(
        f"!has(self.{field}) || !has(self.{field}.secret) || self.{field}.secret.name !="
        f" self.keySecret.name || self.{field}.secret.key != self.keySecret.key",
        f"{field} and keySecret name the same key of a Secret: a certificate and its private key are"
        " two files",
    )


class WebTlsConfig(Model, json_schema_extra=rules(_not_the_key("cert"), _not_the_key("ca"))):
    """The certificate with which Prometheus serves HTTPS, and how its clients check it.

    Clients are the operator (rules, AutoResponses, retention) and Prometheus itself, whose own
    metrics it scrapes. They never go without a check.
    """

    cert: SecretOrConfigMap
    """Certificate in PEM form; intermediate authorities follow in the same key. Prometheus reads it
    anew for each connection: a renewed one is in use within about a minute, without a restart.
    """
    key_secret: SecretKeySelector
    """Private key of the certificate. The operator never looks at it."""
    min_version: TlsVersion = TlsVersion.TLS12
    """Lowest version of TLS that Prometheus takes."""
    ca: SecretOrConfigMap | None = None
    """Certificates of the authorities, in PEM form, of which one must have signed the certificate;
    clients then also check its name. Without it they trust the first certificate in ``cert`` and no
    other, whoever signed it.
    """
    server_name: str | None = Field(
        default=None, pattern=rf"^{_LABEL}(\.{_LABEL})*$", max_length=253
    )
    """Name that the certificate must have; the stack's Service for Prometheus when left out, as
    ``main-prometheus.monitoring.svc``.
    """


class Web(Model):
    """How Prometheus serves its API and its pages."""

    tls_config: WebTlsConfig | None = None
    """Serves HTTPS in place of HTTP, on the same port. Turning it on or off renews the pods."""


def find_web_tls(stack: Object) -> WebTlsConfig | None:
    """Return how Prometheus of a live MonitoringStack serves HTTPS; None if it serves HTTP.

    No other part of the spec is looked at. ``ValidationError`` if this part is not understood.
    """
    metrics = stack.get("spec", {}).get("metrics") or {}
    return Web.model_validate(metrics.get("web") or {}).tls_config

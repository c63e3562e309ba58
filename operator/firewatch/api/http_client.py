"""How Prometheus proves itself to a server and checks it: authorization, OAuth 2.0, TLS.

Credentials are named, never written: each is a key of a Secret of the stack's namespace, mounted as
a file that Prometheus reads again when it changes.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from firewatch.api.resource import Model, Name, Rule, SecretKeySelector, rules

HttpUrl = Annotated[
    str,
    Field(pattern=r"^https?://[^\s/?#@]+(/[^\s]*)?$", max_length=1024),
]
"""An address that begins with http:// or https:// and holds no credentials."""


class ConfigMapKeySelector(Model):
    """A key of a ConfigMap of the stack's namespace."""

    name: Name
    """Name of the ConfigMap."""
    key: str = Field(pattern=r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$", max_length=253)
    """Key in the ConfigMap."""


class SecretOrConfigMap(
    Model,
    json_schema_extra=rules(
        Rule("has(self.secret) != has(self.configMap)", "set exactly one of secret and configMap")
    ),
):
    """A file that need not be secret."""

    secret: SecretKeySelector | None = None
    """From a Secret."""
    config_map: ConfigMapKeySelector | None = None
    """From a ConfigMap."""


class Authorization(
    Model,
    json_schema_extra=rules(
        Rule("self.type.lowerAscii() != 'basic'", "for Basic use basicAuth"),
    ),
):
    """A token in the header ``Authorization``."""

    type: str = Field(default="Bearer", pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=32)
    """Word in front of the token; not ``Basic``, which ``basicAuth`` is for."""
    credentials: SecretKeySelector
    """The token."""


class BasicAuth(Model):
    """User name and password."""

    username: SecretKeySelector
    """The user name."""
    password: SecretKeySelector
    """The password."""


class TlsVersion(StrEnum):
    """A version of TLS."""

    TLS10 = "TLS10"
    TLS11 = "TLS11"
    TLS12 = "TLS12"
    TLS13 = "TLS13"


class TlsConfig(
    Model,
    json_schema_extra=rules(
        Rule(
            "has(self.cert) == has(self.keySecret)",
            "a certificate needs its key: set both cert and keySecret, or neither",
        )
    ),
):
    """How a server's certificate is checked, and the client's own."""

    ca: SecretOrConfigMap | None = None
    """Certificates of the authorities that are trusted; the image's own when left out."""
    cert: SecretOrConfigMap | None = None
    """Certificate that the client shows."""
    key_secret: SecretKeySelector | None = None
    """Key of that certificate."""
    server_name: str | None = Field(default=None, pattern=r"^[^\s/]+$", max_length=253)
    """Name that the server's certificate must have; the address's host when left out."""
    min_version: TlsVersion | None = None
    """Lowest version of TLS."""
    insecure_skip_verify: bool = False
    """Takes any certificate, also a forged one."""


class OAuth2(Model):
    """OAuth 2.0 with client credentials."""

    client_id: str = Field(min_length=1, max_length=256)
    """Name of the client."""
    client_secret: SecretKeySelector
    """Secret of the client."""
    token_url: HttpUrl
    """Where tokens are had."""
    scopes: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(
        default=[], max_length=16
    )
    """Scopes that are asked for."""
    endpoint_params: dict[str, Annotated[str, Field(max_length=1024)]] = Field(
        default={}, max_length=16
    )
    """Further parameters of the request for a token."""


ONE_IDENTITY = Rule(
    "[has(self.authorization), has(self.basicAuth), has(self.oauth2)].filter(x, x).size() <= 1",
    "set at most one of authorization, basicAuth and oauth2",
)
"""Rule of every model that is an ``HttpClient``."""


class HttpClient(Model):
    """Credentials and TLS of a client."""

    authorization: Authorization | None = None
    """A token in the header ``Authorization``."""
    basic_auth: BasicAuth | None = None
    """User name and password."""
    oauth2: OAuth2 | None = None
    """OAuth 2.0 with client credentials."""
    tls_config: TlsConfig | None = None
    """How the server's certificate is checked, and the client's own."""

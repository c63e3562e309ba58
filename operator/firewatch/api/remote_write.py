"""Sending samples on to another server as they come."""

from typing import Annotated

from pydantic import Field

from firewatch.api.http_client import ONE_IDENTITY, HttpClient, HttpUrl
from firewatch.api.relabeling import Relabelings
from firewatch.api.resource import Interval, Model, Rule, SecretKeySelector, rules

_OWN_HEADERS = (
    *("authorization", "host", "content-encoding", "content-length", "content-type"),
    *("x-prometheus-remote-write-version", "user-agent", "connection", "keep-alive"),
    *("proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding"),
    *("x-amz-date", "x-amz-security-token", "x-amz-content-sha256"),
)
_HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64)]
_NOT_OURS = rules(
    Rule(
        f"self.all(k, !(k.lowerAscii() in {list(_OWN_HEADERS)}))",
        "Prometheus sets this header itself; for credentials use authorization or basicAuth",
    )
)


class QueueConfig(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.minShards) || !has(self.maxShards) || self.minShards <= self.maxShards",
            "minShards may not be larger than maxShards",
        )
    ),
):
    """The queue in front of the server; what is left out has Prometheus' own default."""

    capacity: int | None = Field(default=None, ge=1, le=10_000_000)
    """Samples that wait in each shard."""
    min_shards: int | None = Field(default=None, ge=1, le=10_000)
    """Fewest connections."""
    max_shards: int | None = Field(default=None, ge=1, le=10_000)
    """Most connections."""
    max_samples_per_send: int | None = Field(default=None, ge=1, le=1_000_000)
    """Most samples of one request."""
    batch_send_deadline: Interval | None = None
    """How long a sample waits for others at most."""
    min_backoff: Interval | None = None
    """First wait after a failure."""
    max_backoff: Interval | None = None
    """Longest wait after failures."""
    retry_on_rate_limit: bool = False
    """Sends again what the server refused with 429."""
    sample_age_limit: Interval | None = None
    """Samples older than this are not sent any more."""


class RemoteWrite(HttpClient, json_schema_extra=rules(ONE_IDENTITY)):
    """A server that is sent every sample."""

    url: HttpUrl
    """Address of the server's receiver."""
    name: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$", min_length=1, max_length=63)
    """Name of the connection, in metrics and logs."""
    remote_timeout: Interval | None = None
    """How long one request may take; 30s when left out."""
    headers: dict[_HeaderName, Annotated[str, Field(max_length=1024)]] = Field(
        default={}, max_length=16, json_schema_extra=_NOT_OURS
    )
    """Further headers that are no secret, such as ``X-Scope-OrgID``."""
    secret_headers: dict[_HeaderName, SecretKeySelector] = Field(
        default={}, max_length=16, json_schema_extra=_NOT_OURS
    )
    """Further headers whose values are taken from Secrets."""
    send_exemplars: bool = False
    """Sends exemplars as well."""
    send_native_histograms: bool = False
    """Sends native histograms as well."""
    queue_config: QueueConfig | None = None
    """The queue in front of the server."""
    write_relabelings: Relabelings = Field(default=[])
    """Relabelling of what is sent; what it drops is not sent."""

"""The block ``exporters.postgres`` of a MonitoringStack."""

from enum import StrEnum

from pydantic import Field

from firewatch.api.http_client import SecretOrConfigMap
from firewatch.api.resource import Interval, Rule, SecretKeySelector, rules
from firewatch.api.workload import Workload


class SslMode(StrEnum):
    """How a connection to PostgreSQL is protected."""

    DISABLE = "disable"
    """No TLS: the password goes over the network as the server asks for it."""
    REQUIRE = "require"
    """TLS, with any certificate."""
    VERIFY_CA = "verify-ca"
    """TLS, with a certificate of an authority that is trusted."""
    VERIFY_FULL = "verify-full"
    """The same, and the certificate is for this host."""


class PostgresExporter(
    Workload,
    json_schema_extra=rules(
        Rule(
            "!has(self.ca) || !has(self.sslMode) || self.sslMode in ['verify-ca', 'verify-full']",
            "ca is for sslMode verify-ca and verify-full: the others check no certificate",
        ),
    ),
):
    """postgres_exporter for one database of a PostgreSQL server.

    Its role needs to log in and to be a member of ``pg_monitor``, which reads statistics and no
    table. A change of one of its Secrets starts the exporter anew, within a minute.
    """

    own_flags = frozenset(
        {
            *("config.file", "web.listen-address", "web.config.file", "web.telemetry-path"),
            *("collector.stat_statements", "metric-prefix"),
        }
    )
    own_env = frozenset(
        {
            *("DATA_SOURCE_NAME", "DATA_SOURCE_URI", "DATA_SOURCE_URI_FILE"),
            *("DATA_SOURCE_USER", "DATA_SOURCE_USER_FILE"),
            *("DATA_SOURCE_PASS", "DATA_SOURCE_PASS_FILE"),
            *("PG_EXPORTER_METRIC_PREFIX", "PG_EXPORTER_WEB_TELEMETRY_PATH"),
        }
    )

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=24)
    """Name of the exporter among those of this stack."""
    host: str = Field(
        pattern=r"^([a-zA-Z0-9]([-a-zA-Z0-9._]*[a-zA-Z0-9])?|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*)$",
        max_length=253,
    )
    """Host name or IP address of the server, without a port."""
    port: int = Field(default=5432, ge=1, le=65535)
    """Port of the server."""
    database: str = Field(default="postgres", pattern=r"^[^\s\x00-\x1f]+$", max_length=63)
    """Database that the exporter connects to, a name without blanks: the statistics of tables are this
    database's; those of databases, connections and statements are the whole server's.
    """
    username: SecretKeySelector
    """Name of the role."""
    password: SecretKeySelector
    """Its password. With blanks in it the database is left out: the exporter would not connect, and
    log it.
    """
    ssl_mode: SslMode = SslMode.VERIFY_FULL
    """How the connection is protected: ``disable``, ``require`` (TLS with any certificate),
    ``verify-ca`` or ``verify-full``, which also checks that the certificate is for ``host``.
    """
    ca: SecretOrConfigMap | None = None
    """Certificates of the authorities that are trusted; the image's own when left out."""
    statements: bool = True
    """Whether statements are reported from ``pg_stat_statements``, up to a hundred, as five series
    each, without their text. The extension must be made in ``database``; without it the rest is
    reported all the same.
    """
    interval: Interval | None = None
    """How often it is scraped; the stack's ``scrapeInterval`` when left out."""

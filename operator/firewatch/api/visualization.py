"""The block ``visualization`` of a MonitoringStack: Grafana."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from firewatch.api.http_client import SecretOrConfigMap
from firewatch.api.ingress import Ingress
from firewatch.api.oauth import Login
from firewatch.api.plain import Plain, WebUrl
from firewatch.api.postgres import SslMode
from firewatch.api.resource import Model, Rule, SecretKeySelector, Status, rules
from firewatch.api.workload import FREE, Storage, Workload

OWN_NAMES = ("Prometheus", "Alertmanager")
"""Data sources that Firewatch makes itself."""

_OWN_UIDS = ("prometheus", "alertmanager")
_OWN_SETTINGS = (
    *("SERVER_PROTOCOL", "SERVER_HTTP_PORT", "SERVER_HTTP_ADDR"),
    *("SERVER_DOMAIN", "SERVER_ROOT_URL", "SERVER_SERVE_FROM_SUB_PATH"),
    *("DATABASE_TYPE", "DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD"),
    *("DATABASE_SSL_MODE", "DATABASE_CA_CERT_PATH", "DATABASE_URL"),
    *("SECURITY_ADMIN_USER", "SECURITY_ADMIN_PASSWORD", "SECURITY_SECRET_KEY"),
    *("SECURITY_DISABLE_INITIAL_ADMIN_CREATION", "AUTH_DISABLE_LOGIN_FORM"),
    *("AUTH_OAUTH_AUTO_LOGIN", "AUTH_BASIC_ENABLED"),
    *("PATHS_DATA", "PATHS_PROVISIONING", "PATHS_CONFIG", "PATHS_HOME"),
)


class GrafanaDatabase(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.ca) || !has(self.sslMode) || self.sslMode in ['verify-ca', 'verify-full']",
            "ca is for sslMode verify-ca and verify-full: the others check no certificate",
        ),
    ),
):
    """A PostgreSQL database in which Grafana keeps users, preferences and what is made by hand."""

    host: str = Field(
        pattern=r"^([a-zA-Z0-9]([-a-zA-Z0-9._]*[a-zA-Z0-9])?|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*)$",
        max_length=253,
    )
    """Host name or IP address of the server, without a port."""
    port: int = Field(default=5432, ge=1, le=65535)
    """Port of the server."""
    name: Plain = "grafana"
    """Name of the database, which must be there; Grafana makes its tables."""
    user: Plain = "grafana"
    """Name of the role, which owns the database."""
    password: SecretKeySelector
    """Its password."""
    ssl_mode: SslMode = SslMode.VERIFY_FULL
    """How the connection is protected: ``disable``, ``require`` (TLS with any certificate),
    ``verify-ca`` or ``verify-full``, which also checks that the certificate is for ``host``.
    """
    ca: SecretOrConfigMap | None = None
    """Certificates of the authorities that are trusted; the image's own when left out."""


class Admin(Model):
    """The account that may do everything."""

    user: Plain = "admin"
    """Its name at Grafana's first start; later it is renamed in Grafana."""
    password: SecretKeySelector | None = None
    """Its password, of one line. When left out, Firewatch makes one up once, and ``status.visualization``
    names the Secret. A change is applied within a minute, by a restart; a password that is set in
    Grafana lasts until then.
    """


class GrafanaSmtp(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.authPassword) || has(self.authUsername)", "authPassword needs authUsername"
        ),
    ),
):
    """The server through which Grafana sends invitations and new passwords."""

    smarthost: str = Field(
        pattern=r"^([^\s:/\[\]$%`'\"{}\\]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$", max_length=320
    )
    """Server and port, as ``mail.example:587``."""
    from_: Plain = Field(alias="from")
    """Address of the sender."""
    auth_username: Plain | None = None
    """User name at the server."""
    auth_password: SecretKeySelector | None = None
    """Password at the server."""
    require_tls: bool = True
    """Whether to send only over an encrypted connection."""


class DataSourceAuth(Model):
    """A user name and a password."""

    username: str = Field(min_length=1, max_length=320)
    """Name of the user."""
    password: SecretKeySelector
    """Its password."""


DataSourceType = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=120)]
"""A plugin of Grafana's for data sources, by its id."""

DataSourceUid = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$", max_length=40)]
"""Identifier of a data source in dashboards."""


class DataSource(Model):
    """Something else that Grafana shows. Dashboards find it by its uid."""

    name: str = Field(pattern=r"^[^\s\x00-\x1f]([^\x00-\x1f]*[^\s\x00-\x1f])?$", max_length=190)
    """Its name in Grafana. ``Prometheus`` and ``Alertmanager`` are the stack's own."""
    type: DataSourceType
    """Grafana's plugin for it: ``prometheus``, ``loki``, ``elasticsearch``, ``jaeger``, ``zipkin``, …"""
    url: str | None = Field(default=None, pattern=r"^[^\s\x00-\x1f]+$", max_length=1024)
    """Address at which Grafana's pods reach it."""
    uid: DataSourceUid | None = None
    """Identifier in dashboards; Grafana makes one out of the name when left out."""
    user: str | None = Field(default=None, min_length=1, max_length=320)
    """Name of the role at a database."""
    basic_auth: DataSourceAuth | None = None
    """HTTP basic authentication."""
    is_default: bool = False
    """Whether new panels begin with it; else with the stack's Prometheus."""
    json_data: dict[str, Any] = Field(default={}, max_length=64, json_schema_extra=FREE)
    """The plugin's settings, as its documentation names them; no credentials."""
    secure_json_data: dict[
        Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9]*$", max_length=64)], SecretKeySelector
    ] = Field(default={}, max_length=16)
    """The plugin's credentials, as its documentation names them, each from a Secret."""


FOLDER_PATTERN = r"^[^\s\x00-\x1f/\\]([^\x00-\x1f/\\]{0,98}[^\s\x00-\x1f/\\])?$"
"""A title of a folder: Grafana has slashes between folders."""


class FolderPermission(StrEnum):
    """What a role may do with the dashboards of a folder."""

    NONE = "none"
    VIEW = "view"
    EDIT = "edit"


class Folder(Model):
    """Who may do what in a folder; administrators may do everything."""

    title: str = Field(pattern=FOLDER_PATTERN, max_length=100)
    """Title of the folder, one above all."""
    viewers: FolderPermission = FolderPermission.VIEW
    """What the role Viewer may do."""
    editors: FolderPermission = FolderPermission.EDIT
    """What the role Editor may do. Dashboards that Firewatch keeps cannot be changed all the same."""


class InlineDashboard(Model):
    """A dashboard that stands in this resource."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    """Name of the entry."""
    folder: str = Field(default="", pattern=f"^$|{FOLDER_PATTERN}", max_length=100)
    """Title of the folder that it is in; the one above all when left out."""
    json_: str = Field(alias="json", min_length=2, max_length=262_144)
    """The dashboard, as Grafana exports it."""


InlineDashboards = Annotated[
    list[InlineDashboard],
    Field(
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    ),
]
"""Dashboards, each known by the name of its entry."""


class Visualization(
    Workload,
    json_schema_extra=rules(
        Rule(
            "!has(self.replicas) || self.replicas <= 1 || has(self.database)",
            "replicas above 1 need database: a file cannot be shared by several pods",
        ),
        Rule(
            "!has(self.storage) || !has(self.replicas) || self.replicas <= 1",
            "storage is for one replica; with database nothing that lasts is kept in it",
        ),
    ),
):
    """Grafana, with the stack's data sources.

    What it is set to stands in files that Firewatch keeps, so that it cannot be changed in its pages.
    """

    own_env = frozenset(f"GF_{name}{suffix}" for name in _OWN_SETTINGS for suffix in ("", "__FILE"))

    replicas: int = Field(default=1, ge=1, le=8)
    """Pods; more than one needs ``database``."""
    storage: Storage | None = None
    """Keeps what is made in Grafana's pages, if there is no ``database``; without either it is lost
    with the pod.
    """
    database: GrafanaDatabase | None = None
    """PostgreSQL database, instead of a file."""
    domain: Plain | None = None
    """Name under which people reach Grafana, as ``monitoring.example``."""
    root_url: WebUrl | None = None
    """Whole address under which people reach it, where that is more than ``http://`` and ``domain``; with
    a path, Grafana serves under that path.
    """
    ingress: Ingress | None = None
    """Name under which people reach Grafana; only from inside of the cluster when left out. Where ``domain``
    and ``rootUrl`` are left out, Grafana takes it for its own.
    """
    admin: Admin = Admin()
    """The account that may do everything."""
    login: Login = Login()
    """Who may log in, and how."""
    smtp: GrafanaSmtp | None = None
    """Server through which Grafana sends e-mail; none when left out."""
    data_sources: list[DataSource] = Field(
        default=[],
        max_length=64,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            **rules(
                Rule(
                    f"self.all(s, !(s.name in {[*OWN_NAMES]!r})"
                    f" && !(has(s.uid) && s.uid in {[*_OWN_UIDS]!r}))",
                    "Prometheus and Alertmanager are the stack's own data sources; choose another"
                    " name and uid",
                ),
                Rule(
                    "self.all(s, !has(s.uid) || self.exists_one(t, has(t.uid) && t.uid == s.uid))",
                    "two data sources have the same uid; Grafana would not start",
                ),
                Rule(
                    "self.filter(s, has(s.isDefault) && s.isDefault).size() <= 1",
                    "only one data source can be the default",
                ),
            ),
        },
    )
    """Data sources besides those of the stack, which Firewatch makes by itself: Prometheus and
    Alertmanager. One that is added or changed is there within a minute, without a restart.
    """

    dashboards: InlineDashboards = Field(default=[])
    """Dashboards. Those in ConfigMaps of this namespace with the label ``grafana_dashboard: "1"`` are
    taken as well, from each key that ends with ``.json``, into the folder that their annotation
    ``grafana_folder`` names. They come, change and go within a minute, without a restart, and cannot be
    changed in Grafana's pages.
    """

    folders: list[Folder] = Field(
        default=[],
        max_length=32,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["title"],
        },
    )
    """Folders in which not everybody may do what Grafana lets its roles do. What single users and teams are
    given in Grafana stays.
    """

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.replicas > 1 and self.database is None:
            raise ValueError("replicas: more than 1 need database; a file cannot be shared")
        if self.replicas > 1 and self.storage:
            raise ValueError("storage: it is for one replica; remove it")
        return self


class DashboardLeftOut(Status):
    """A dashboard that Grafana is not given."""

    source: str = Field(max_length=512)
    """Where it stands."""
    message: str = Field(max_length=512)
    """Why, and what to do."""


class VisualizationStatus(Status):
    """How to get into Grafana."""

    url: str = Field(default="", max_length=512)
    """Address inside the cluster."""
    user: str = Field(default="", max_length=253)
    """The account that may do everything."""
    password: str = Field(default="", max_length=512)
    """Where its password stands, as name and key of a Secret."""
    data_sources: int = Field(default=0, ge=0)
    """Data sources that every Grafana pod has confirmed."""
    dashboards: int = Field(default=0, ge=0)
    """Dashboards that every Grafana pod has."""
    left_out: list[DashboardLeftOut] = Field(default=[], max_length=20)
    """Dashboards that Grafana is not given (the first 20)."""

"""Grafana's settings, as environment variables; credentials are read from files.

``GF_<SECTION>_<KEY>`` stands for a key of grafana.ini, and ``$__file{path}`` for what a file holds
(Grafana, "Configure Grafana").
"""

from collections.abc import Iterator, Mapping

from firewatch.api.oauth import GenericOAuth, GitHub, Google, Provider, Roles
from firewatch.api.visualization import GrafanaDatabase, GrafanaSmtp, Visualization
from firewatch.build import names
from firewatch.build.grafana import files

_ALWAYS = {
    "GF_SERVER_HTTP_PORT": str(names.GRAFANA_PORT),
    "GF_LOG_MODE": "console",
    # A monitoring system in somebody's cluster calls nobody by itself.
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
}
_GOOGLE_GROUPS = "https://www.googleapis.com/auth/cloud-identity.groups.readonly"
_GOOGLE_SCOPES = (
    "https://www.googleapis.com/auth/userinfo.profile",
    "https://www.googleapis.com/auth/userinfo.email",
)
_GENERIC_SCOPES = ("openid", "email", "profile")


def build_settings(wanted: Visualization) -> dict[str, str]:
    """Return the environment variables that Grafana is set by."""
    return {
        **_ALWAYS,
        **dict(_server(wanted)),
        **dict(_security(wanted)),
        **(dict(_database(wanted.database)) if wanted.database else {}),
        **(dict(_smtp(wanted.smtp)) if wanted.smtp else {}),
        **dict(_login(wanted)),
    }


def _server(wanted: Visualization) -> Iterator[tuple[str, str]]:
    domain = wanted.domain
    url = wanted.root_url or (f"http://{domain}/" if domain else None)
    if wanted.ingress and url is None:
        domain, url = wanted.ingress.host, wanted.ingress.url
    if domain:
        yield "GF_SERVER_DOMAIN", domain
    if url:
        yield "GF_SERVER_ROOT_URL", url
        if url.startswith("https:"):
            yield "GF_SECURITY_COOKIE_SECURE", "true"
        if url.split("/", 3)[3:] not in ([], [""]):
            yield "GF_SERVER_SERVE_FROM_SUB_PATH", "true"


def _security(wanted: Visualization) -> Iterator[tuple[str, str]]:
    yield "GF_SECURITY_ADMIN_USER", wanted.admin.user
    yield "GF_SECURITY_ADMIN_PASSWORD", _content(files.ADMIN_PASSWORD)
    yield "GF_SECURITY_SECRET_KEY", _content(files.SECRET_KEY)


def _database(database: GrafanaDatabase) -> Iterator[tuple[str, str]]:
    host = f"[{database.host}]" if ":" in database.host else database.host
    yield "GF_DATABASE_TYPE", "postgres"
    yield "GF_DATABASE_HOST", f"{host}:{database.port}"
    yield "GF_DATABASE_NAME", database.name
    yield "GF_DATABASE_USER", database.user
    yield "GF_DATABASE_PASSWORD", _content(files.DATABASE_PASSWORD)
    yield "GF_DATABASE_SSL_MODE", database.ssl_mode.value
    if database.ca:
        yield "GF_DATABASE_CA_CERT_PATH", files.file_path(files.DATABASE_CA)


def _smtp(smtp: GrafanaSmtp) -> Iterator[tuple[str, str]]:
    yield "GF_SMTP_ENABLED", "true"
    yield "GF_SMTP_HOST", smtp.smarthost
    yield "GF_SMTP_FROM_ADDRESS", smtp.from_
    if smtp.auth_username:
        yield "GF_SMTP_USER", smtp.auth_username
    if smtp.auth_password:
        yield "GF_SMTP_PASSWORD", _content(files.SMTP_PASSWORD)
    policy = "MandatoryStartTLS" if smtp.require_tls else "OpportunisticStartTLS"
    yield "GF_SMTP_STARTTLS_POLICY", policy


def _login(wanted: Visualization) -> Iterator[tuple[str, str]]:
    yield "GF_AUTH_DISABLE_LOGIN_FORM", _flag(wanted.login.disable_login_form)
    for name, provider in wanted.login.providers.items():
        found = {**_provider(name, provider), **_further(name, provider)}
        yield from ((f"GF_AUTH_{name.upper()}_{key}", value) for key, value in found.items())


def _provider(name: str, provider: Provider) -> Mapping[str, str]:
    """Return what every provider has, by key of its section."""
    found = {
        "ENABLED": "true",
        "CLIENT_ID": provider.client_id,
        "CLIENT_SECRET": _content(files.client_secret(name)),
        "ALLOW_SIGN_UP": _flag(provider.allow_sign_up),
        "AUTO_LOGIN": _flag(provider.auto_login),
    }
    if provider.scopes:
        found["SCOPES"] = " ".join(provider.scopes)
    if provider.allowed_domains:
        found["ALLOWED_DOMAINS"] = " ".join(provider.allowed_domains)
    if provider.roles:
        claim = provider.groups_claim if isinstance(provider, GenericOAuth) else "groups"
        found["ROLE_ATTRIBUTE_PATH"] = role_expression(provider.roles, claim)
        found["ROLE_ATTRIBUTE_STRICT"] = _flag(bool(provider.roles.viewers))
    return found


def _further(name: str, provider: Provider) -> Mapping[str, str]:
    """Return what is a provider's own, by key of its section."""
    found: dict[str, str] = {}
    match provider:
        case GitHub():
            if provider.allowed_organizations:
                found["ALLOWED_ORGANIZATIONS"] = " ".join(provider.allowed_organizations)
            if provider.team_ids:
                found["TEAM_IDS"] = ",".join(map(str, provider.team_ids))
        case Google():
            if provider.hosted_domain:
                found["HOSTED_DOMAIN"] = provider.hosted_domain
            if provider.roles and not provider.scopes:
                found["SCOPES"] = " ".join((*_GOOGLE_SCOPES, _GOOGLE_GROUPS))
        case GenericOAuth():
            found |= _generic(name, provider)
    return found


def _generic(name: str, provider: GenericOAuth) -> Mapping[str, str]:
    found = {
        "NAME": provider.name,
        "AUTH_URL": provider.auth_url,
        "TOKEN_URL": provider.token_url,
        "USE_PKCE": _flag(provider.use_pkce),
    }
    if provider.api_url:
        found["API_URL"] = provider.api_url
    if not provider.scopes:
        found["SCOPES"] = " ".join(_GENERIC_SCOPES)
    if provider.ca:
        found["TLS_CLIENT_CA"] = files.file_path(files.provider_ca(name))
    return found


def role_expression(roles: Roles, claim: str) -> str:
    """Return which role somebody has, as the JMESPath expression that Grafana evaluates.

    Groups are raw strings in it; their type has no quotes and no backslashes.
    """
    parts = [
        f"contains({claim}[*], '{group}') && '{role}'"
        for role, groups in (
            ("Admin", roles.admins),
            ("Editor", roles.editors),
            ("Viewer", roles.viewers),
        )
        for group in groups
    ]
    return " || ".join(parts if roles.viewers else [*parts, "'Viewer'"])


def _content(name: str) -> str:
    return f"$__file{{{files.file_path(name)}}}"


def _flag(value: bool) -> str:  # noqa: FBT001 - the value itself
    return "true" if value else "false"

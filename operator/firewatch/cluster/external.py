"""Servers that others run: by what they are trusted, and how the operator proves itself to them."""

import aiohttp

from firewatch.api.alert_source import ExternalServer, ServerTls
from firewatch.api.external import ExternalGrafana
from firewatch.api.resource import SecretKeySelector
from firewatch.cluster.alertmanager import Alertmanager
from firewatch.cluster.client import Cluster
from firewatch.cluster.files import missing_key, read_file, read_secret
from firewatch.cluster.grafana import Grafana, GrafanaError
from firewatch.cluster.http import basic_authorization
from firewatch.cluster.prometheus import Prometheus, PrometheusError
from firewatch.cluster.trust import Trust, trusting


class _AccessError(Exception):
    """What the operator would prove itself with is not there; ``str()`` says what to do."""


async def external_prometheus(
    cluster: Cluster,
    session: aiohttp.ClientSession,
    namespace: str,
    server: ExternalServer,
    *,
    field: str,
) -> Prometheus:
    """Return the client of a server; ``PrometheusError`` if its credentials are missing.

    ``field`` is where the server stands in its resource.
    """
    trust, authorization = await _access(cluster, namespace, server, field)
    return Prometheus(session, server.url.rstrip("/"), trust, authorization)


async def external_alertmanager(
    cluster: Cluster,
    session: aiohttp.ClientSession,
    namespace: str,
    server: ExternalServer,
    *,
    field: str,
) -> Alertmanager:
    """Return the client of a server; ``PrometheusError`` if its credentials are missing."""
    trust, authorization = await _access(cluster, namespace, server, field)
    return Alertmanager(session, server.url.rstrip("/"), trust, authorization)


async def external_grafana(
    cluster: Cluster,
    session: aiohttp.ClientSession,
    namespace: str,
    server: ExternalGrafana,
    *,
    field: str,
) -> Grafana:
    """Return the client of a Grafana; ``GrafanaError`` if its token is missing."""
    try:
        token = await _secret(cluster, namespace, server.token)
    except _AccessError as error:
        raise GrafanaError(str(error)) from error
    trust = await _trust(cluster, namespace, server.url, server.tls_config, field)
    return Grafana(session, server.url.rstrip("/"), f"Bearer {token}", trust)


async def _access(
    cluster: Cluster, namespace: str, server: ExternalServer, field: str
) -> tuple[Trust | None, str]:
    trust = await _trust(cluster, namespace, server.url, server.tls_config, field)
    try:
        return trust, await _authorization(cluster, namespace, server)
    except _AccessError as error:
        raise PrometheusError(str(error)) from error


async def _trust(
    cluster: Cluster, namespace: str, url: str, tls: ServerTls | None, field: str
) -> Trust | None:
    if tls is None:
        return None
    named = tls.ca.secret or tls.ca.config_map
    assert named is not None
    where = f"key {named.key} of {named.name}"
    context = trusting(await read_file(cluster, namespace, tls.ca), pinned=False)
    problem = "" if context else f"{where} holds no certificate in PEM form; create it"
    name = tls.server_name or _host_of(url)
    return Trust(where, name, context=context, problem=problem, field=f"{field}.tlsConfig")


def _host_of(url: str) -> str:
    """Return the host of an address; that of an IPv6 one stands in brackets."""
    place = url.partition("://")[2].partition("/")[0]
    return place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]


async def _authorization(cluster: Cluster, namespace: str, server: ExternalServer) -> str:
    if server.authorization:
        token = await _secret(cluster, namespace, server.authorization.credentials)
        return f"{server.authorization.type} {token}"
    if server.basic_auth:
        user = await _secret(cluster, namespace, server.basic_auth.username)
        password = await _secret(cluster, namespace, server.basic_auth.password)
        return basic_authorization(user, password)
    return ""


async def _secret(cluster: Cluster, namespace: str, ref: SecretKeySelector) -> str:
    value = (await read_secret(cluster, namespace, ref)).decode(errors="replace").strip()
    if not value:
        raise _AccessError(missing_key(ref))
    if any(ord(sign) < ord(" ") for sign in value):
        raise _AccessError(f"key {ref.key} of Secret {ref.name} holds more than one line")
    return value

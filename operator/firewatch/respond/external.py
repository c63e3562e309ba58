"""Sources that people run themselves: their address, their credentials, and who may send for them."""

import hmac
from functools import partial

import aiohttp

from firewatch.api.alert_source import ExternalServer, ExternalSource
from firewatch.api.resource import Key, SecretKeySelector
from firewatch.cluster.alertmanager import Alertmanager
from firewatch.cluster.client import Cluster
from firewatch.cluster.files import content, read_file
from firewatch.cluster.find import find
from firewatch.cluster.http import basic_authorization
from firewatch.cluster.kinds import SECRET
from firewatch.cluster.prometheus import Prometheus, PrometheusError
from firewatch.cluster.trust import Trust, trusting
from firewatch.respond.registry import Registry
from firewatch.respond.sender import Remembered

_PREFIX = "AutoResponse/"
"""In front of the name of the AutoResponse that says where its alerts come from: no stack is so named."""


def external_key(namespace: str, response: str) -> Key:
    """Return the loop key of the source that an AutoResponse brings."""
    return Key("Source", namespace, _PREFIX + response)


def names_secrets(source: ExternalSource) -> bool:
    """Tell whether a source needs anything that stands in Secrets or ConfigMaps."""
    servers = filter(None, (source.prometheus, source.alertmanager))
    named = (part for s in servers for part in (s.authorization, s.basic_auth, s.tls_config))
    return any((source.webhook_token, *named))


def is_external(key: Key) -> bool:
    """Tell whether a source is one that people run themselves."""
    return key.name.startswith(_PREFIX)


async def external_prometheus(
    cluster: Cluster, session: aiohttp.ClientSession, namespace: str, server: ExternalServer
) -> Prometheus:
    """Return the client of a server; ``PrometheusError`` if its credentials are missing."""
    return Prometheus(
        session,
        server.url.rstrip("/"),
        await _trust(cluster, namespace, server, "prometheus"),
        await _authorization(cluster, namespace, server),
    )


async def external_alertmanager(
    cluster: Cluster, session: aiohttp.ClientSession, namespace: str, server: ExternalServer
) -> Alertmanager:
    """Return the client of a server; ``PrometheusError`` if its credentials are missing."""
    return Alertmanager(
        session,
        server.url.rstrip("/"),
        await _trust(cluster, namespace, server, "alertmanager"),
        await _authorization(cluster, namespace, server),
    )


async def _trust(
    cluster: Cluster, namespace: str, server: ExternalServer, which: str
) -> Trust | None:
    tls = server.tls_config
    if tls is None:
        return None
    named = tls.ca.secret or tls.ca.config_map
    assert named is not None
    where = f"key {named.key} of {named.name}"
    context = trusting(await read_file(cluster, namespace, tls.ca), pinned=False)
    problem = "" if context else f"{where} holds no certificate in PEM form; create it"
    name = tls.server_name or _host(server.url)
    field = f"spec.source.{which}.tlsConfig"
    return Trust(where, name, context=context, problem=problem, field=field)


def _host(url: str) -> str:
    """Return the host of an https address; that of an IPv6 one stands in brackets."""
    place = url.removeprefix("https://").partition("/")[0]
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
    value = (await _content(cluster, namespace, ref)).decode(errors="replace").strip()
    if not value:
        raise PrometheusError(_missing(ref))
    if any(ord(sign) < ord(" ") for sign in value):
        raise PrometheusError(f"key {ref.key} of Secret {ref.name} holds more than one line")
    return value


async def _content(cluster: Cluster, namespace: str, ref: SecretKeySelector) -> bytes:
    """Return what stands under a key of a Secret; nothing if either is not there."""
    live = await find(cluster, SECRET, namespace, ref.name) or {}
    return content(SECRET, live, ref.key)


def _missing(ref: SecretKeySelector) -> str:
    return f"key {ref.key} of Secret {ref.name} is missing; create it"


class WebhookSenders:
    """Tells for which sources a webhook may speak."""

    def __init__(self, cluster: Cluster, registry: Registry) -> None:
        self._cluster = cluster
        self._registry = registry
        self._known: Remembered[frozenset[Key]] = Remembered()

    async def identify(self, namespace: str, token: str) -> frozenset[Key] | None:
        """Return the sources of a namespace that a token belongs to; None if there are none.

        ``ClusterError`` if the API server cannot be asked.
        """
        return await self._known.find(f"{namespace}/{token}", partial(self._ask, namespace, token))

    async def _ask(self, namespace: str, token: str) -> frozenset[Key] | None:
        found: set[Key] = set()
        verdicts: dict[SecretKeySelector, bool] = {}
        for entry in self._registry:
            ref = entry.spec.source.webhook_token if entry.spec.source else None
            if entry.namespace != namespace or ref is None or entry.source is None:
                continue
            if ref not in verdicts:  # many may have one: whoever guesses costs one request each
                verdicts[ref] = await is_sender(self._cluster, namespace, ref, token)
            if verdicts[ref]:
                found.add(entry.source)
        return frozenset(found) or None


async def find_token_error(cluster: Cluster, namespace: str, source: ExternalSource) -> str:
    """Return why nobody can prove to be a source's Alertmanager, or nothing."""
    ref = source.webhook_token
    if ref is None or await _tokens(cluster, namespace, ref):
        return ""
    return _missing(ref)


async def is_sender(cluster: Cluster, namespace: str, ref: SecretKeySelector, token: str) -> bool:
    """Tell whether a token is one of those by which a source's Alertmanager proves itself."""
    valid = await _tokens(cluster, namespace, ref)
    # All of them are compared, so that the time tells nothing.
    return sum(hmac.compare_digest(each, token.encode()) for each in valid) > 0


async def _tokens(cluster: Cluster, namespace: str, ref: SecretKeySelector) -> list[bytes]:
    text = await _content(cluster, namespace, ref)
    return [line.strip() for line in text.splitlines() if line.strip()]

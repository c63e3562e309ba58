"""Sources that people run themselves: how they are told apart, and who may send for them."""

import hmac
from functools import partial

from firewatch.api.alert_source import ExternalSource
from firewatch.api.resource import Key, SecretKeySelector
from firewatch.cluster.client import Cluster
from firewatch.cluster.files import missing_key, read_secret
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
    return missing_key(ref)


async def is_sender(cluster: Cluster, namespace: str, ref: SecretKeySelector, token: str) -> bool:
    """Tell whether a token is one of those by which a source's Alertmanager proves itself."""
    valid = await _tokens(cluster, namespace, ref)
    # All of them are compared, so that the time tells nothing.
    return sum(hmac.compare_digest(each, token.encode()) for each in valid) > 0


async def _tokens(cluster: Cluster, namespace: str, ref: SecretKeySelector) -> list[bytes]:
    text = await read_secret(cluster, namespace, ref)
    return [line.strip() for line in text.splitlines() if line.strip()]

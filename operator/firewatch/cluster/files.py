"""What the keys of Secrets and ConfigMaps hold."""

from base64 import b64decode

from firewatch.api.http_client import SecretOrConfigMap
from firewatch.api.resource import Object, SecretKeySelector
from firewatch.cluster.client import Cluster
from firewatch.cluster.find import find
from firewatch.cluster.kinds import CONFIG_MAP, SECRET, Kind


def content(kind: Kind, live: Object, key: str) -> bytes:
    """Return what stands under a key of a Secret or ConfigMap; empty if it is missing."""
    data, binary = live.get("data") or {}, live.get("binaryData") or {}
    if kind is CONFIG_MAP and key in data:
        text: str = data[key]
        return text.encode()
    return b64decode({**data, **binary}.get(key, ""))


async def read_file(cluster: Cluster, namespace: str, source: SecretOrConfigMap) -> str:
    """Return the text of a key; empty if it is missing."""
    kind, name, key = place(source)
    live = await find(cluster, kind, namespace, name) or {}
    return content(kind, live, key).decode(errors="replace")


async def read_secret(cluster: Cluster, namespace: str, ref: SecretKeySelector) -> bytes:
    """Return what stands under a key of a Secret; nothing if either is not there."""
    live = await find(cluster, SECRET, namespace, ref.name) or {}
    return content(SECRET, live, ref.key)


def missing_key(ref: SecretKeySelector) -> str:
    """Return what to say of a key of a Secret that is missing."""
    return f"key {ref.key} of Secret {ref.name} is missing; create it"


def place(source: SecretOrConfigMap) -> tuple[Kind, str, str]:
    """Return the kind and the name of the object, and the key in it."""
    if source.secret:
        return SECRET, source.secret.name, source.secret.key
    assert source.config_map
    return CONFIG_MAP, source.config_map.name, source.config_map.key

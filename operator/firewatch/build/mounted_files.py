"""Files that Prometheus reads from Secrets and ConfigMaps, mounted by name and key."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from firewatch.api.http_client import ConfigMapKeySelector, SecretOrConfigMap
from firewatch.api.resource import Object, SecretKeySelector
from firewatch.build import names

FileRef = SecretKeySelector | ConfigMapKeySelector
"""A key of a Secret or ConfigMap."""


def file_path(ref: FileRef) -> str:
    """Return where Prometheus finds the file."""
    return f"{names.FILES_DIRECTORY}/{relative_path(ref)}"


def either(ref: SecretOrConfigMap) -> FileRef:
    """Return the one of the two that is set."""
    found = ref.secret or ref.config_map
    assert found
    return found


def find_files(value: Any) -> Iterator[FileRef]:
    """Yield every key of a Secret or ConfigMap that a part of the spec names."""
    if isinstance(value, SecretKeySelector | ConfigMapKeySelector):
        yield value
        return
    parts: Iterable[Any] = ()
    if isinstance(value, BaseModel):
        parts = (part for _, part in value)
    elif isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list):
        parts = value
    for part in parts:
        yield from find_files(part)


def files_volume(refs: Iterable[FileRef]) -> Object | None:
    """Return the volume of these files, or None if there are none.

    Every source is optional: a pod starts without a file that is missing, and gets it when it comes.
    """
    keys: dict[tuple[str, str], set[str]] = {}
    for ref in refs:
        kind = "secret" if isinstance(ref, SecretKeySelector) else "configMap"
        keys.setdefault((kind, ref.name), set()).add(ref.key)
    if not keys:
        return None
    sources = [
        {
            kind: {
                "name": name,
                "items": [{"key": key, "path": f"{kind}/{name}/{key}"} for key in sorted(wanted)],
                "optional": True,
            }
        }
        for (kind, name), wanted in sorted(keys.items())
    ]
    return {"name": "files", "projected": {"sources": sources}}


def file_source(ref: FileRef, path: str) -> Object:
    """Return the source of a volume that holds one key as a file; a pod waits until it is there."""
    kind = "secret" if isinstance(ref, SecretKeySelector) else "configMap"
    return {kind: {"name": ref.name, "items": [{"key": ref.key, "path": path}]}}


def relative_path(ref: FileRef) -> str:
    """Return where the file stands in the volume of all of them."""
    kind = "secret" if isinstance(ref, SecretKeySelector) else "configMap"
    return f"{kind}/{ref.name}/{ref.key}"

"""Whether the keys of Secrets and ConfigMaps that a stack names are there.

Only their names are looked at and forgotten again; kubelet mounts the values.
"""

from collections.abc import Iterable

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.resource import SecretKeySelector
from firewatch.build.mounted_files import FileRef
from firewatch.build.usable import describe
from firewatch.cluster.client import Cluster
from firewatch.cluster.find import find
from firewatch.cluster.kinds import CONFIG_MAP, SECRET, Kind
from firewatch.reconcile.findings import SECRETS_PRESENT


async def gather_missing(
    cluster: Cluster, namespace: str, wanted: Iterable[FileRef]
) -> frozenset[FileRef]:
    """Return the keys that are not there, or that hold nothing."""
    by_object: dict[tuple[Kind, str], set[FileRef]] = {}
    for ref in wanted:
        kind = SECRET if isinstance(ref, SecretKeySelector) else CONFIG_MAP
        by_object.setdefault((kind, ref.name), set()).add(ref)
    missing: set[FileRef] = set()
    for (kind, name), refs in by_object.items():
        filled = await _filled_keys(cluster, kind, namespace, name)
        missing |= {ref for ref in refs if ref.key not in filled}
    return frozenset(missing)


async def _filled_keys(cluster: Cluster, kind: Kind, namespace: str, name: str) -> frozenset[str]:
    live = await find(cluster, kind, namespace, name) or {}
    parts = (live.get("data") or {}, live.get("binaryData") or {})
    return frozenset(key for data in parts for key, value in data.items() if value)


def secrets_present(wanted: Iterable[FileRef], missing: frozenset[FileRef]) -> Finding | None:
    """Return whether all keys are there; None if the stack names none."""
    if missing:
        first, *others = sorted(map(describe, missing))
        more = f" (and {len(others)} more)" if others else ""
        return bad(SECRETS_PRESENT, "SecretMissing", f"{first} is missing{more}; create it")
    if any(True for _ in wanted):
        return good(SECRETS_PRESENT, "SecretsPresent", "every key that is named is there")
    return None

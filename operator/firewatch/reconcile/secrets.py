"""Whether the keys of Secrets and ConfigMaps that a stack names are there and fit, and whether they changed.

What they hold is looked at and forgotten again; kubelet mounts it.
"""

from collections.abc import Iterable, Iterator

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.http_client import SecretOrConfigMap
from firewatch.api.resource import Object, SecretKeySelector
from firewatch.build.mounted_files import FileRef
from firewatch.build.objects import Stack
from firewatch.build.usable import describe
from firewatch.cluster.client import Cluster
from firewatch.cluster.find import find
from firewatch.cluster.kinds import CONFIG_MAP, SECRET, Kind
from firewatch.cluster.trust import read_file
from firewatch.reconcile.findings import SECRETS_PRESENT


async def gather_files(
    cluster: Cluster, namespace: str, wanted: Iterable[FileRef]
) -> dict[FileRef, str]:
    """Return the keys that are there and hold something, with the version of what holds them."""
    by_object: dict[tuple[Kind, str], set[FileRef]] = {}
    for ref in wanted:
        kind = SECRET if isinstance(ref, SecretKeySelector) else CONFIG_MAP
        by_object.setdefault((kind, ref.name), set()).add(ref)
    held: dict[FileRef, str] = {}
    for (kind, name), refs in by_object.items():
        if live := await find(cluster, kind, namespace, name):
            version = live["metadata"].get("resourceVersion", "")  # what is a file has none
            held |= dict.fromkeys(_filled(live, refs), version)
    return held


async def gather_blanks(cluster: Cluster, stack: Stack) -> frozenset[FileRef]:
    """Return the keys that hold a database's name of a role, or its password, with blanks inside.

    postgres_exporter 0.19 takes the connection apart at blanks, and logs what it could not.
    """
    found = set()
    for database in stack.spec.exporters.postgres:
        for ref in (database.username, database.password):
            text = await read_file(cluster, stack.namespace, SecretOrConfigMap(secret=ref))
            if any(map(str.isspace, text.strip())):
                found.add(ref)
    return frozenset(found)


def _filled(live: Object, refs: Iterable[FileRef]) -> Iterator[FileRef]:
    parts = (live.get("data") or {}, live.get("binaryData") or {})
    return (ref for ref in refs if any(part.get(ref.key) for part in parts))


def secrets_present(wanted: Iterable[FileRef], missing: frozenset[FileRef]) -> Finding | None:
    """Return whether all keys are there; None if the stack names none."""
    if missing:
        first, *others = sorted(map(describe, missing))
        more = f" (and {len(others)} more)" if others else ""
        return bad(SECRETS_PRESENT, "SecretMissing", f"{first} is missing{more}; create it")
    if any(True for _ in wanted):
        return good(SECRETS_PRESENT, "SecretsPresent", "every key that is named is there")
    return None

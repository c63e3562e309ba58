"""Whether the keys of Secrets and ConfigMaps that a stack names are there and fit, and whether they changed.

What they hold is looked at and forgotten again; kubelet mounts it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.resource import SecretKeySelector
from firewatch.build.grafana.data_sources import data_source_files
from firewatch.build.mounted_files import FileRef
from firewatch.build.objects import Stack
from firewatch.build.usable import describe
from firewatch.cluster.client import Cluster
from firewatch.cluster.files import content
from firewatch.cluster.find import find
from firewatch.cluster.kinds import CONFIG_MAP, SECRET, Kind
from firewatch.reconcile.findings import SECRETS_PRESENT


@dataclass(frozen=True)
class HeldFile:
    """What a key holds, and the ``resourceVersion`` of the object that it stands in."""

    version: str
    content: bytes = field(repr=False)


async def gather_files(
    cluster: Cluster, namespace: str, wanted: Iterable[FileRef]
) -> dict[FileRef, HeldFile]:
    """Return the keys that are there and hold something."""
    by_object: dict[tuple[Kind, str], set[FileRef]] = {}
    for ref in wanted:
        kind = SECRET if isinstance(ref, SecretKeySelector) else CONFIG_MAP
        by_object.setdefault((kind, ref.name), set()).add(ref)
    held: dict[FileRef, HeldFile] = {}
    for (kind, name), refs in by_object.items():
        live = await find(cluster, kind, namespace, name) or {}
        for ref in refs:
            if found := content(kind, live, ref.key):
                version = live["metadata"].get("resourceVersion", "")  # what is a file has none
                held[ref] = HeldFile(version, found)
    return held


def copied(stack: Stack, held: Mapping[FileRef, HeldFile]) -> dict[FileRef, bytes]:
    """Return what the keys hold of which Grafana's data sources have a copy."""
    wanted = stack.spec.visualization
    refs = data_source_files(stack, wanted) if wanted else ()
    return {ref: held[ref].content for ref in refs if ref in held}


def find_blanks(stack: Stack, held: Mapping[FileRef, HeldFile]) -> frozenset[FileRef]:
    """Return the keys that hold a database's name of a role, or its password, with blanks inside.

    postgres_exporter 0.19 takes the connection apart at blanks, and logs what it could not.
    """
    databases = stack.spec.exporters.postgres
    refs = {ref for each in databases for ref in (each.username, each.password)}
    return frozenset(ref for ref in refs if ref in held and _has_blanks(held[ref]))


def _has_blanks(file: HeldFile) -> bool:
    return any(map(str.isspace, file.content.decode(errors="replace").strip()))


def secrets_present(wanted: Iterable[FileRef], missing: frozenset[FileRef]) -> Finding | None:
    """Return whether all keys are there; None if the stack names none."""
    if missing:
        first, *others = sorted(map(describe, missing))
        more = f" (and {len(others)} more)" if others else ""
        return bad(SECRETS_PRESENT, "SecretMissing", f"{first} is missing{more}; create it")
    if any(True for _ in wanted):
        return good(SECRETS_PRESENT, "SecretsPresent", "every key that is named is there")
    return None

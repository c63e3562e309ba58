"""Secrets and ConfigMaps among the files, as the cluster would have them.

A stack is rendered as if every other one that it names were there.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from firewatch.api.resource import Object, SecretKeySelector
from firewatch.build.mounted_files import FileRef
from firewatch.build.objects import Stack
from firewatch.build.raw_scrapes import raw_scrapes_source
from firewatch.build.stack import named_files
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import describe
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import CONFIG_MAP, SECRET, Kind
from firewatch.reconcile.raw_scrapes import gather_raw_scrapes
from firewatch.reconcile.secrets import copied, find_blanks, gather_files
from firewatch.reconcile.web import find_no_certificates
from firewatch.runbook.without_cluster import WithoutCluster


@dataclass(frozen=True)
class Given(WithoutCluster):
    """A cluster in which there is nothing but these objects."""

    objects: Mapping[tuple[str, str, str], Object]
    """By kind, namespace and name."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return one of the objects; ``NotFoundError`` if it is not among them."""
        if not self.has(kind, namespace, name):
            raise NotFoundError(f"{kind.kind} {namespace}/{name} is not among the files")
        return self.objects[kind.kind, namespace, name]

    def has(self, kind: Kind, namespace: str, name: str) -> bool:
        """Tell whether an object is among the files."""
        return (kind.kind, namespace, name) in self.objects


def given(sources: Iterable[Object]) -> Given:
    """Return the objects as a cluster; of two with one name the later, as after an apply."""
    return Given(
        {(s["kind"], s["metadata"]["namespace"], s["metadata"]["name"]): s for s in sources}
    )


def surround(stack: Stack, around: Surroundings, files: Given) -> Surroundings:
    """Add what the files say of the stack's Secrets and ConfigMaps.

    A key is missing only where its object is given without it.
    """
    held = [ref for ref in named_files(stack) if files.has(_kind(ref), stack.namespace, ref.name)]
    return asyncio.run(_surround(stack, around, files, held=held))


async def _surround(
    stack: Stack, around: Surroundings, cluster: Cluster, *, held: Sequence[FileRef]
) -> Surroundings:
    there = await gather_files(cluster, stack.namespace, held)
    return replace(
        around,
        missing=frozenset(held) - there.keys(),
        contents=copied(stack, there),
        no_certificates=find_no_certificates(stack, there),
        with_blanks=find_blanks(stack, there),
        raw_scrapes=await gather_raw_scrapes(cluster, stack),
    )


def find_unseen(stack: Stack, files: Given) -> str | None:
    """Return what cannot be shown, since the Secret that holds it is not among the files."""
    source = raw_scrapes_source(stack.spec.metrics)
    if source is None or files.has(SECRET, stack.namespace, source.name):
        return None
    return (
        f"MonitoringStack {stack.name}: additionalScrapeConfigs: the jobs in {describe(source)};"
        " add a file with the Secret to see them"
    )


def _kind(ref: FileRef) -> Kind:
    return SECRET if isinstance(ref, SecretKeySelector) else CONFIG_MAP

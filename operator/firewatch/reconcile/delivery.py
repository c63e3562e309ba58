"""Rule files on their way: into the slots, and the proof that the servers have loaded them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firewatch.api.conditions import Finding
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.rules import MARKER_GROUP, MARKER_LABEL, marker_revision, slot_revision
from firewatch.build.slots import build_slot, digests, split_slot
from firewatch.cluster.apply import UNREAD, apply, covers, delete
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ClusterError, UnreachableError
from firewatch.cluster.kinds import CONFIG_MAP
from firewatch.cluster.prometheus import PrometheusError
from firewatch.reconcile.findings import not_applied
from firewatch.reconcile.servers import Server

_WRITES_AT_A_TIME = 8

Slots = Mapping[int, Mapping[str, str]]
"""Texts of rule files by slot and name."""
Loaded = frozenset[tuple[str, str]]
"""Rule files that run, as (name, digest)."""


@dataclass(frozen=True)
class LiveSlots:
    """The rule ConfigMaps as they are."""

    objects: Mapping[int, Object]
    texts: Mapping[int, Mapping[str, str]]
    revisions: Mapping[int, str]
    """What a server shows once it has loaded them."""

    def files(self) -> dict[str, str]:
        """Return the texts of all files by name."""
        return {name: text for texts in self.texts.values() for name, text in texts.items()}


async def gather_slots(cluster: Cluster, stack: Stack) -> LiveSlots:
    """Read the stack's rule ConfigMaps."""
    labels = names.component_selector(stack.name, names.RULES)
    objects: dict[int, Object] = {}
    texts: dict[int, Mapping[str, str]] = {}
    revisions: dict[int, str] = {}
    for live in await cluster.list(CONFIG_MAP, stack.namespace, labels):
        slot = names.slot_of_name(stack.name, live["metadata"]["name"])
        if slot is not None and "deletionTimestamp" not in live["metadata"]:
            objects[slot] = live
            texts[slot], marker = split_slot(stack, slot, live.get("data") or {})
            revisions[slot] = marker_revision(marker)
    return LiveSlots(objects, texts, revisions)


@dataclass
class Versions:
    """What each version of a slot held, by the hash that its marker shows.

    A server that is one version behind so still proves what it runs. Only hashes are kept.
    """

    _files: dict[str, Loaded] = field(default_factory=dict)

    def remember(self, slots: Slots) -> dict[int, str]:
        """Remember the present content of the slots; return their revisions."""
        revisions = {}
        for slot, texts in slots.items():
            hashes = digests(texts)
            revisions[slot] = slot_revision(hashes)
            self._files[revisions[slot]] = frozenset(hashes.items())
        return revisions

    def forget_others(self, revisions: Mapping[int, str]) -> None:
        """Forget versions that are history."""
        keep = set(revisions.values())
        self._files = {key: files for key, files in self._files.items() if key in keep}

    def loaded(self, markers: Mapping[int, str]) -> Loaded:
        """Return the files that a server runs, given the markers that it shows."""
        found = (
            self._files.get(marker.partition("-")[0], frozenset()) for marker in markers.values()
        )
        return frozenset().union(*found)


async def read_markers(server: Server) -> dict[int, str]:
    """Return the revisions of the slots that a server has loaded."""
    markers: dict[int, str] = {}
    for rule in await server.api.rules(groups=[MARKER_GROUP]):
        slot = names.slot_of_marker(rule.file, server.marker_owner)
        if slot is not None:
            markers[slot] = rule.labels.get(MARKER_LABEL, "")
    return markers


@dataclass(frozen=True)
class Proof:
    """What the ready servers have loaded."""

    loaded: Loaded
    """Files that every ready server runs."""
    behind: Sequence[Server]
    """Servers that do not show the present revisions."""


async def gather_proof(
    servers: Sequence[Server], versions: Versions, revisions: Mapping[int, str]
) -> Proof:
    """Ask every ready server what it has loaded; one that does not answer proves nothing."""
    answers = await asyncio.gather(*map(_markers_or_none, servers))
    loaded = [versions.loaded(markers or {}) for markers in answers]
    behind = [
        server for server, markers in zip(servers, answers, strict=True) if markers != revisions
    ]
    return Proof(frozenset.intersection(*loaded) if loaded else frozenset(), behind)


async def _markers_or_none(server: Server) -> dict[int, str] | None:
    try:
        return await read_markers(server)
    except PrometheusError:
        return None


async def gather_health(servers: Sequence[Server]) -> frozenset[str]:
    """Return the uids of the servers whose last reload succeeded."""
    answers = await asyncio.gather(*map(_reloads, servers))
    return frozenset(server.uid for server, good in zip(servers, answers, strict=True) if good)


async def _reloads(server: Server) -> bool:
    try:
        return await server.api.reload_succeeded()
    except PrometheusError:
        return False


async def write_slots(
    cluster: Cluster, stack: Stack, slots: Slots, live: LiveSlots, *, attempt: str = ""
) -> dict[int, Finding]:
    """Make the rule ConfigMaps as planned; return why slots could not be written.

    A file that moves is written to its new slot before it is removed from the old one, and a slot
    that is empty goes.
    """
    limit = asyncio.Semaphore(_WRITES_AT_A_TIME)
    taken = await _taken(cluster, stack) if slots.keys() - live.objects.keys() else frozenset()

    async def write(slot: int) -> tuple[int, Finding | None]:
        desired = build_slot(stack, slot, slots[slot], attempt=attempt)
        known, name = live.objects.get(slot), desired["metadata"]["name"]
        if covers(known, desired):
            return slot, None
        async with limit:
            try:
                unread = known is None and name in taken
                await apply(cluster, CONFIG_MAP, desired, known=UNREAD if unread else known)
            except UnreachableError:
                raise
            except ClusterError as error:
                return slot, not_applied("ConfigMap", name, error)
            return slot, None

    gaining = {slot for slot in slots if slots[slot].keys() - live.texts.get(slot, {}).keys()}
    results = await asyncio.gather(*map(write, sorted(gaining)))
    results += await asyncio.gather(*map(write, sorted(slots.keys() - gaining)))
    for slot in live.objects.keys() - slots.keys():
        await delete(cluster, CONFIG_MAP, live.objects[slot])
    return {slot: fault for slot, fault in results if fault}


async def _taken(cluster: Cluster, stack: Stack) -> frozenset[str]:
    """Return the names of all ConfigMaps there are, whosever they are."""
    found = await cluster.list(CONFIG_MAP, stack.namespace, metadata_only=True)
    return frozenset(each["metadata"]["name"] for each in found)

"""A pass over the dashboards of a stack: gather, write, have them read, hand over how they stand.

Dashboards are large and change seldom, so a pass looks at versions first, and reads them only where one
has changed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from pydantic import ValidationError

from firewatch.api.conditions import Finding, bad, unknown
from firewatch.api.external import ExternalGrafana
from firewatch.api.resource import Key, Object
from firewatch.api.stack import MonitoringStackStatus
from firewatch.api.visualization import DashboardLeftOut, Visualization
from firewatch.build import names
from firewatch.build.grafana.bundled import bundled_dashboards
from firewatch.build.grafana.dashboards import Chosen, Source, choose_dashboards
from firewatch.build.grafana.files import admin_password
from firewatch.build.grafana.permissions import build_permissions
from firewatch.build.grafana.pushes import pointed_at
from firewatch.build.grafana.slots import (
    Slots,
    build_providers,
    build_slot,
    plan_slots,
    read_slot,
    without_room,
)
from firewatch.build.grafana.sources import MARKED, dashboard_sources, data_source_uids
from firewatch.build.objects import Stack
from firewatch.build.packs.choose import choose_packs
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.apply import apply, delete
from firewatch.cluster.errors import ClusterError, NotFoundError, UnreachableError
from firewatch.cluster.grafana import Grafana, GrafanaError
from firewatch.cluster.kinds import CONFIG_MAP, MONITORING_STACK
from firewatch.reconcile.context import Context, ToldDashboards
from firewatch.reconcile.findings import (
    DASHBOARDS_LOADED,
    dashboards_loaded,
    not_applied,
    read_status,
)
from firewatch.reconcile.grafana_pods import GrafanaPod, gather_grafana_pods
from firewatch.reconcile.packs import running_packs
from firewatch.reconcile.pushed_dashboards import DashboardPushes
from firewatch.reconcile.secrets import gather_files
from firewatch.reconcile.stack_plan import parse_stack

_LOOK_SECONDS = 45.0
"""ConfigMaps of users are not watched: what they change is there within a minute."""
_UNCONFIRMED_SECONDS = 2.0
_NO_SERVER_SECONDS = 10.0
_SHOWN = 20


@dataclass(frozen=True)
class _Made:
    """What has been written, and by which versions of everything."""

    fingerprint: str
    revision: str
    uids: frozenset[str]
    left_out: tuple[DashboardLeftOut, ...]
    fault: Finding | None = None
    """Why something could not be written."""


@dataclass
class DashboardsReconciler:
    """Passes over the dashboards of stacks, and what they remember."""

    context: Context
    _made: dict[Key, _Made] = field(default_factory=dict)
    _read: dict[Key, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """Pods, by uid, that have been had read a revision, by stack."""
    _pushes: DashboardPushes = field(init=False)

    def __post_init__(self) -> None:
        """Make what gives dashboards to Grafanas of others."""
        self._pushes = DashboardPushes(self.context)

    async def reconcile(self, key: Key) -> float | None:
        """Make the dashboards of a stack as written, and hand over how they stand."""
        try:
            live = await self.context.cluster.get(MONITORING_STACK, key.namespace, key.name)
        except NotFoundError:
            self._forget(key)
            return math.inf
        stack = self._usable(live)
        wanted = (stack.spec.visualization or stack.spec.external.grafana) if stack else None
        if stack is None or wanted is None:
            self._forget(key)
            return None
        if isinstance(wanted, ExternalGrafana):
            return await self._push(key, live, stack, wanted)
        made = await self._make(key, stack, self._bundled(stack, live))
        finding, pause = await self._confirm(key, stack, made)
        self._tell(key, live, finding, made.uids, made.left_out)
        return pause

    async def _push(self, key: Key, live: Object, stack: Stack, server: ExternalGrafana) -> float:
        """Give the dashboards to a Grafana of others, and hand over how they stand."""
        bundled = self._bundled(stack, live)
        fingerprint = await self._fingerprint(stack, server, bundled)

        async def choose() -> Chosen:
            pointed = [pointed_at(each, server.data_source_uids) for each in bundled]
            return await self._choose(stack, server, pointed)

        pushed = await self._pushes.push(key, stack, server, fingerprint, choose)
        self._tell(key, live, pushed.finding, pushed.uids, pushed.left_out)
        return _NO_SERVER_SECONDS if pushed.finding.reason in _OPEN else _LOOK_SECONDS

    def _forget(self, key: Key) -> None:
        self._pushes.forget(key)
        for memory in (self._made, self._read, self.context.dashboards):
            memory.pop(key, None)

    def _usable(self, live: Object) -> Stack | None:
        metadata = live["metadata"]
        granted = self.context.settings.grants_stacks(metadata["namespace"])
        if "deletionTimestamp" in metadata or not granted:
            return None
        try:
            stack = parse_stack(live)
        except ValidationError:
            return None
        return None if stack.spec.paused else stack

    def _bundled(self, stack: Stack, live: Object) -> Sequence[Source]:
        """Return the dashboards of the packs that run."""
        around = Surroundings(
            self.context.settings.receiver,
            cluster_namespaces=self.context.settings.cluster_stack_namespaces,
            running_packs=running_packs(read_status(MonitoringStackStatus, live)),
        )
        return [*bundled_dashboards(stack.spec, choose_packs(stack, around))]

    async def _make(self, key: Key, stack: Stack, bundled: Sequence[Source]) -> _Made:
        """Write what differs; nothing is read again while no version has changed."""
        assert stack.spec.visualization
        wanted = stack.spec.visualization
        fingerprint = await self._fingerprint(stack, wanted, bundled)
        known = self._made.get(key)
        if known and known.fingerprint == fingerprint and known.fault is None:
            return known
        ours = await self.context.cluster.list(CONFIG_MAP, stack.namespace, _own_labels(stack))
        chosen = await self._choose(stack, wanted, bundled)
        live = _live_slots(stack, ours)
        plan = plan_slots(chosen.dashboards, {n: read_slot(each) for n, each in live.items()})
        fault = await self._write(stack, plan.slots, live)
        found = _Made(
            # Of what has just been written the next pass sees new versions, and looks once more.
            fingerprint=fingerprint,
            revision=names.short_hash(repr(sorted(plan.slots.items())), 16),
            uids=frozenset(each.uid for each in chosen.dashboards) - plan.homeless,
            left_out=(*chosen.left_out, *without_room(chosen.dashboards, plan)),
            fault=fault,
        )
        self._made[key] = found
        return found

    async def _choose(
        self, stack: Stack, wanted: Visualization | ExternalGrafana, bundled: Sequence[Source]
    ) -> Chosen:
        """Read the dashboards of users, and return what can be had."""
        theirs = await self.context.cluster.list(CONFIG_MAP, stack.namespace, MARKED)
        sources = chain(bundled, dashboard_sources(wanted, theirs))
        return choose_dashboards(sources, data_source_uids(stack, wanted))

    async def _fingerprint(
        self, stack: Stack, wanted: Visualization | ExternalGrafana, bundled: Sequence[Source]
    ) -> str:
        """Return a hash of the versions of all that has a say."""
        cluster = self.context.cluster
        found = [
            (each["metadata"]["uid"], each["metadata"]["resourceVersion"])
            for labels in (MARKED, _own_labels(stack))
            for each in await cluster.list(CONFIG_MAP, stack.namespace, labels, metadata_only=True)
        ]
        inline = [
            *(each.title for each in bundled),
            *(each.model_dump_json() for each in wanted.dashboards),
        ]
        return names.short_hash(repr((sorted(found), inline, data_source_uids(stack, wanted))), 16)

    async def _write(
        self, stack: Stack, slots: Slots, live: Mapping[int, Object]
    ) -> Finding | None:
        """Write slots and the file that names them; return why one cannot be written."""
        desired = [build_slot(stack, number, slot) for number, slot in slots.items()]
        try:
            for item in (*desired, build_providers(stack, slots)):
                await apply(self.context.cluster, CONFIG_MAP, item)
            for number in live.keys() - slots.keys():
                await delete(self.context.cluster, CONFIG_MAP, live[number])
        except UnreachableError:
            raise
        except ClusterError as error:
            why = not_applied(CONFIG_MAP.kind, item["metadata"]["name"], error)
            return bad(DASHBOARDS_LOADED, why.reason, why.message)
        return None

    async def _confirm(self, key: Key, stack: Stack, made: _Made) -> tuple[Finding, float]:
        """Have every pod read what was written; return whether it has, and when to look again."""
        if made.fault:
            return made.fault, _NO_SERVER_SECONDS
        pods = await self._pods(stack)
        if not pods:
            message = "no Grafana pod is ready yet"
            return unknown(DASHBOARDS_LOADED, "NoServer", message), _NO_SERVER_SECONDS
        try:
            behind = [pod for pod in pods if not made.uids <= await pod.api.dashboards()]
            unread = [pod for pod in pods if not await self._have_read(key, pod, made.revision)]
            if not behind:
                await _permit(pods[0].api, stack.spec.visualization)
        except GrafanaError as error:
            message = f"Grafana does not answer: {error}; GrafanaLoaded says more"
            return unknown(DASHBOARDS_LOADED, "NoAnswer", message), _NO_SERVER_SECONDS
        if behind:
            message = "a Grafana pod has not read its dashboards yet"
            return unknown(DASHBOARDS_LOADED, "Reloading", message), _UNCONFIRMED_SECONDS
        said = dashboards_loaded(made.left_out, "every Grafana pod has all dashboards")
        return said, _UNCONFIRMED_SECONDS if unread else _LOOK_SECONDS

    async def _pods(self, stack: Stack) -> Sequence[GrafanaPod]:
        assert stack.spec.visualization
        ref = admin_password(stack.name, stack.spec.visualization)
        held = await gather_files(self.context.cluster, stack.namespace, [ref])
        return await gather_grafana_pods(self.context, stack, held.get(ref))

    async def _have_read(self, key: Key, pod: GrafanaPod, revision: str) -> bool:
        """Tell whether a pod was had read this revision.

        That files have arrived does not show: it reads them again until they must have.
        """
        annotation, nudges = names.DASHBOARDS_ANNOTATION, self.context.nudges
        read = self._read.get(key, frozenset())
        told = pod.pod["metadata"].get("annotations", {}).get(annotation, "")
        is_past = told.partition(".")[0] == revision and not nudges.is_nudged(pod, annotation)
        if is_past or (pod.uid, revision) in read:
            return True
        now = self.context.clock()
        await nudges.nudge(
            self.context.cluster, [pod], annotation=annotation, revision=revision, now=now
        )
        await pod.api.reload_dashboards()
        if not nudges.patience_over(pod, annotation, now):
            return False
        current = {each for each in read if each[1] == revision}
        self._read[key] = frozenset({*current, (pod.uid, revision)})
        nudges.settle([pod], annotation)
        return True

    def _tell(
        self,
        key: Key,
        live: Object,
        finding: Finding,
        uids: frozenset[str],
        left_out: Sequence[DashboardLeftOut],
    ) -> None:
        """Let the stack's own pass report it, which alone writes the status."""
        metadata, before = live["metadata"], self.context.dashboards.get(key)
        is_known = finding.reason not in _OPEN
        told = ToldDashboards(
            metadata["uid"],
            metadata["generation"],
            finding,
            len(uids) if is_known else (before.loaded if before else 0),
            tuple(left_out[:_SHOWN]),
        )
        if before != told:
            self.context.dashboards[key] = told
            self.context.wake(Key(MONITORING_STACK.kind, key.namespace, key.name))


async def _permit(api: Grafana, wanted: Visualization | None) -> None:
    """Let roles do in folders what they may; a folder that is not there yet has its turn later."""
    if wanted is None or not wanted.folders:
        return
    uids = await api.folders()
    for folder in wanted.folders:
        uid = uids.get(folder.title)
        if uid is None:
            continue
        items = build_permissions(folder, await api.folder_permissions(uid))
        if items is not None:
            await api.permit(uid, items)


_OPEN = frozenset({"NoServer", "NoAnswer", "Reloading", "CredentialsRefused"})
"""Reasons of a condition that says nothing of the dashboards themselves."""


def _own_labels(stack: Stack) -> Mapping[str, Sequence[str]]:
    return names.component_selector(stack.name, names.DASHBOARDS)


def _live_slots(stack: Stack, ours: Sequence[Object]) -> dict[int, Object]:
    found = {}
    for live in ours:
        number = names.slot_of_dashboards(stack.name, live["metadata"]["name"])
        if number is not None and "deletionTimestamp" not in live["metadata"]:
            found[number] = live
    return found

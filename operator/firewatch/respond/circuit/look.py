"""What a breaker has to know, read from the API server and from Prometheus."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from firewatch.api.circuit import BreakerRecord, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.api.conditions import parse_time
from firewatch.api.resource import Key, Object, parse_duration
from firewatch.cluster.absent import AbsentKinds
from firewatch.cluster.client import Cluster
from firewatch.cluster.find import find, find_all
from firewatch.cluster.kinds import (
    BREAKER_KINDS,
    CONFIG_MAP,
    DESTINATION_RULE,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    SERVICE,
    SERVICE_PROFILE,
    Kind,
)
from firewatch.respond.circuit.measure import Counting, build_queries, counters, since, young
from firewatch.respond.circuit.see import Objects, build_world
from firewatch.respond.circuit.world import World


@dataclass(frozen=True)
class Subject:
    """The target of a breaker, and what is known of it already."""

    namespace: str
    kind: str
    name: str
    live: Object | None
    """None if it is gone, or is not the one that is meant any more."""
    scaled_by: str = ""
    """What scales it, for people."""
    kept_by: str = ""
    """What keeps it as it should be, for people."""
    errors_since: datetime | None = None
    """When the alert's condition began to hold."""


@dataclass(frozen=True)
class Lookout:
    """A look at how things stand around a target."""

    cluster: Cluster
    count: Counting
    source: Key | None
    """Where its alerts come from; None if that cannot be told."""
    subject: Subject
    wanted: CircuitBreaker
    record: BreakerRecord | None
    """Of the breaker that is not over, if there is one."""
    now: datetime
    absent: AbsentKinds = field(default_factory=AbsentKinds)

    async def look(self) -> World:
        """Return how things stand; ``ForbiddenError`` if something may not be read."""
        objects = await self._read()
        held = self.record.changes if self.record else []
        world = build_world(objects, self.wanted, held)
        return await self._measured(replace(world, errors_since=self.subject.errors_since), objects)

    async def _read(self) -> Objects:
        subject, is_planning = self.subject, self.record is None
        is_deployment = subject.kind == "Deployment"
        rolls_back = self.wanted.mechanism in (Mechanism.AUTO, Mechanism.ROLLBACK)
        (
            (pods, services, replica_sets, budgets),
            (fallback, flag_maps, names),
            (destination_rules, service_profiles),
        ) = await asyncio.gather(
            asyncio.gather(
                self._list(POD),
                self._list(SERVICE),
                self._list(REPLICA_SET, wanted=is_deployment),
                self._list(POD_DISRUPTION_BUDGET, wanted=is_planning),
            ),
            asyncio.gather(
                self._fallback(),
                self._flag_maps(),
                self._config_maps(wanted=is_planning and is_deployment and rolls_back),
            ),
            asyncio.gather(self._of_mesh(DESTINATION_RULE), self._of_mesh(SERVICE_PROFILE)),
        )
        return Objects(
            kind=subject.kind,
            name=subject.name,
            target=subject.live,
            pods=pods,
            services=services,
            replica_sets=replica_sets,
            fallback=fallback,
            flag_maps=flag_maps,
            destination_rules=destination_rules,
            service_profiles=service_profiles,
            config_maps=names,
            budgets=budgets,
            scaled_by=subject.scaled_by,
            kept_by=subject.kept_by,
        )

    async def _list(self, kind: Kind, *, wanted: bool = True) -> list[Object]:
        return await self.cluster.list(kind, self.subject.namespace) if wanted else []

    async def _of_mesh(self, kind: Kind) -> list[Object] | None:
        """Return the objects of a kind of a mesh; None where that is not installed, or not asked for."""
        is_asked = self.wanted.mechanism in (Mechanism.AUTO, Mechanism.MESH)
        is_held = self.record is not None and self.record.mechanism is Mechanism.MESH
        if self.absent.has(kind, self.now) or not (is_asked or is_held):
            return None
        found = await find_all(self.cluster, kind, self.subject.namespace)
        if found is None:
            self.absent.note(kind, self.now)
        return found

    async def _fallback(self) -> Object | None:
        if self.wanted.fallback is None:
            return None
        ref = self.wanted.fallback.target
        kind = next((each for each in BREAKER_KINDS if each.kind == ref.kind), None)
        return await self._find(kind, ref.name) if kind else None

    async def _flag_maps(self) -> list[Object]:
        held = self.record.changes if self.record else []
        names = {change.name for change in held if change.kind == CONFIG_MAP.kind}
        names |= {self.wanted.flag.config_map} if self.wanted.flag else set()
        found = await asyncio.gather(*(self._find(CONFIG_MAP, name) for name in sorted(names)))
        return [each for each in found if each is not None]

    async def _find(self, kind: Kind, name: str) -> Object | None:
        return await find(self.cluster, kind, self.subject.namespace, name)

    async def _config_maps(self, *, wanted: bool) -> frozenset[str] | None:
        """Return the names of the ConfigMaps; what stands in them is not asked for."""
        if not wanted:
            return None
        namespace = self.subject.namespace
        found = await self.cluster.list(CONFIG_MAP, namespace, metadata_only=True)
        return frozenset(each["metadata"]["name"] for each in found)

    async def _measured(self, world: World, objects: Objects) -> World:
        """Return the world with what pods have answered, where that is about to be asked."""
        if self.source is None:
            return replace(world, unmeasured="where its alerts come from cannot be told")
        if self.record is not None and not _is_due(self.record, self.now):
            return world
        measure = self.wanted.measure
        found = await self.count(self.source, build_queries(measure, self.subject.namespace))
        if isinstance(found, str):
            return replace(world, unmeasured=found)
        present = counters(found.requests, found.errors)
        before = counters(found.requests_before, found.errors_before)
        began = self.now - timedelta(seconds=parse_duration(measure.window))
        traffic = since(present, before, young(objects.pods, began))
        if not traffic:
            why = f"{measure.metric} has no series with the labels namespace and pod here"
            return replace(world, unmeasured=why)
        return replace(world, traffic=traffic, counters=present)


def _is_due(record: BreakerRecord, now: datetime) -> bool:
    """Tell whether a breaker has to know what pods have answered: not while it only waits."""
    circuit = record.circuit
    is_waiting = circuit.phase is Phase.OPEN and now < parse_time(circuit.ends_at)
    return record.in_force and not record.ends and not is_waiting

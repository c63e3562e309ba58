"""A namespace of a real API server with passes over its stacks and policies."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from firewatch.api.resource import Key, Object
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import MONITORING_STACK, Kind
from firewatch.metrics import Metrics
from firewatch.reconcile.context import Context
from firewatch.reconcile.stack import reconcile_stack
from firewatch.settings import parse_settings
from tests.apiserver.kubectl import Kubectl

_TOLD_LATE = frozenset({"/status/largestMetrics", "/status/jobs", "/status/targets"})

Objects = list[Object]
Rows = dict[str, Object]
Texts = list[str]

SETTINGS = {"FIREWATCH_RECEIVER": "10.0.0.1:9095"}


@dataclass
class Recorder:
    """The real cluster, with a list of what was written."""

    cluster: KubernetesCluster
    writes: list[Write] = field(default_factory=list)
    jobs: dict[tuple[str, str], Rows] = field(default_factory=dict)
    """What was last written about each stack's scrape jobs."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return await self.cluster.get(kind, namespace, name)

    async def list(self, *arguments: Any, **options: Any) -> Objects:
        return await self.cluster.list(*arguments, **options)

    async def write(self, write: Write) -> Object:
        self.writes.append(write)
        return await self.cluster.write(write)

    def written(self) -> Texts:
        """Return what was written since the last call, but for what a server tells late."""
        found = [
            f"{w.verb} {w.kind.kind}/{w.name}{w.subresource and '/'}{w.subresource}"
            for w in self.writes
            if not self._is_told_late(w)
        ]
        self.writes.clear()
        return found

    def _is_told_late(self, write: Write) -> bool:
        """Tell whether a write says only what a server knows some time after its start.

        How its scrapes go it knows with the first of each job, within 15 s, and sizes after 30 s.
        """
        if write.verb is not Verb.JSON_PATCH:
            return False
        changes = [operation for operation in write.body if operation["op"] != "test"]
        stack = (write.namespace, write.name)
        before = self.jobs.get(stack, {})
        after = self.jobs[stack] = _jobs_after(changes, before)
        return (
            {change["path"] for change in changes} <= _TOLD_LATE
            and before.keys() == after.keys()
            and all(
                row == before[name] or _awaits_a_scrape(before[name]) for name, row in after.items()
            )
        )


def _jobs_after(changes: Objects, before: Rows) -> Rows:
    """Return the rows of scrape jobs in a status after changes to it."""
    for change in changes:
        value: Any = change.get("value") or []
        if change["path"] == "/status":
            value = value.get("jobs", [])
        elif change["path"] != "/status/jobs":
            continue
        before = {row["name"]: row for row in value}
    return before


def _awaits_a_scrape(row: Object) -> bool:
    """Tell whether no target of a job was scraped yet: Prometheus counts them by their scrapes."""
    return bool(row["targets"] == 0)


@dataclass
class World:
    """One namespace with passes over its stacks."""

    namespace: str
    recorder: Recorder
    context: Context
    kubectl: Kubectl
    woken: list[Key]

    def apply(self, spec: Object, name: str = "main") -> None:
        body = {
            "apiVersion": "monitoring.freeagentics.io/v1alpha1",
            "kind": "MonitoringStack",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        self.kubectl("apply", "-f", "-", text=json.dumps(body))

    async def go(self, name: str = "main") -> float | None:
        return await reconcile_stack(self.context, Key("MonitoringStack", self.namespace, name))

    async def get(self, kind: Kind, name: str) -> Object:
        return await self.recorder.get(kind, self.namespace, name)

    async def is_there(self, kind: Kind, name: str) -> bool:
        try:
            await self.get(kind, name)
        except NotFoundError:
            return False
        return True

    async def conditions(self, name: str = "main") -> dict[str, tuple[str, str]]:
        live = await self.get(MONITORING_STACK, name)
        conditions = live.get("status", {}).get("conditions", ())
        return {c["type"]: (c["status"], c["reason"]) for c in conditions}

    async def message(self, name: str = "main") -> str:
        live = await self.get(MONITORING_STACK, name)
        return str(live["status"]["conditions"][0]["message"])


def make_world(
    recorder: Recorder,
    session: aiohttp.ClientSession,
    *,
    namespace: str,
    kubectl: Kubectl,
    granted: str = "*",
    reading_cluster: str = "",
) -> World:
    """Return the world of a namespace; what passes wake is only noted."""
    woken: list[Key] = []
    context = Context(
        recorder,
        session,
        parse_settings(
            {
                **SETTINGS,
                "FIREWATCH_STACK_NAMESPACES": granted,
                "FIREWATCH_CLUSTER_STACK_NAMESPACES": reading_cluster,
            }
        ),
        Metrics(),
        clock=lambda: datetime.now(UTC),
        wake=woken.append,
    )
    return World(namespace, recorder, context, kubectl, woken)

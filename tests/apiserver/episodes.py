"""Episodes at a real API server, with a clock of the test's own and alerts as a poll finds them."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from firewatch.api.resource import Key, Object
from firewatch.api.responses import OPT_IN_LABEL
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.kinds import AUTO_RESPONSE, MONITORING_STACK, TARGET_KINDS, Kind
from firewatch.metrics import Metrics
from firewatch.reconcile.responses import reconcile_response
from firewatch.respond.alerts import Alert, AlertState
from firewatch.respond.circuit.measure import Counters, Queries
from firewatch.respond.circuit.world import Traffic
from firewatch.respond.context import RespondContext
from firewatch.respond.registry import Registry, Sources, source_key, target_key
from firewatch.respond.signals import RuleState, SourceState
from firewatch.respond.target import reconcile_target
from firewatch.settings import parse_settings

START = datetime(2026, 1, 1, tzinfo=UTC)
ALERT = "HighCPUUsage"
_FOREVER = 50
_SOON = 0.1


@dataclass
class Episodes:
    """One namespace with targets, their AutoResponses, and whether the alert fires."""

    cluster: Cluster
    namespace: str
    now: datetime = START
    registry: Registry = field(default_factory=Registry)
    sources: Sources = field(default_factory=Sources)
    responses: list[str] = field(default_factory=list)
    targets: set[Key] = field(default_factory=set)
    metrics: Metrics = field(default_factory=Metrics)
    settings: dict[str, str] = field(default_factory=dict)
    """Further settings of the operator."""
    answered: dict[str, Traffic] = field(default_factory=dict)
    """What pods have answered so far, as their Prometheus would say."""
    is_counted: bool = True
    """Whether it says so."""
    alert_name: str = ALERT
    """Name of the alert."""

    @property
    def context(self) -> RespondContext:
        """Return what passes work with."""
        return RespondContext(
            cluster=self.cluster,
            settings=parse_settings(
                {
                    "FIREWATCH_TARGET_NAMESPACES": self.namespace,
                    "FIREWATCH_SOURCE_NAMESPACES": self.namespace,
                    "FIREWATCH_TARGET_BREAKERS": "true",
                    **self.settings,
                }
            ),
            metrics=self.metrics,
            clock=lambda: self.now,
            wake=lambda _: None,
            registry=self.registry,
            sources=self.sources,
            count=self._count,
        )

    async def _count(self, _source: Key, _queries: Queries) -> Counters | str:
        if not self.is_counted:
            return "Prometheus does not say: it is gone"
        requests = {name: each.requests for name, each in self.answered.items()}
        errors = {name: each.errors for name, each in self.answered.items()}
        before = dict.fromkeys(requests, 0.0)
        return Counters(requests, errors, before, before)

    async def create(self, kind: Kind, name: str, **fields: Any) -> Object:
        """Create an object."""
        metadata = {"name": name, "namespace": self.namespace, **fields.pop("metadata", {})}
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}
        return await self.cluster.write(Write(Verb.CREATE, kind, self.namespace, name, body))

    async def stack(self) -> None:
        """Create the stack whose alerts count."""
        await self.create(MONITORING_STACK, "main", spec={"metrics": {}})

    async def workload(self, kind: Kind, name: str = "api", *, replicas: int = 2) -> Object:
        """Create a target of a kind."""
        labels = {"app": name}
        container = {"name": "c", "image": "example.org/none:1"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        opted_in = {"labels": {OPT_IN_LABEL: "enabled"}}
        return await self.create(kind, name, metadata=opted_in, spec=spec)

    async def response(
        self,
        name: str = "scale",
        kind: Kind = TARGET_KINDS[0],
        *,
        target: str = "api",
        by: int | str = 2,
        **spec: Any,
    ) -> None:
        """Create an AutoResponse."""
        wanted = {
            "trigger": {"alert": self.alert_name},
            "target": {"kind": kind.kind, "name": target},
            "actions": [{"scaleUp": {"by": by, "maxReplicas": 10}}],
            "recovery": {"hold": "10s"},
            "mode": "enforce",
            **spec,
        }
        await self.create(AUTO_RESPONSE, name, spec=wanted)
        self.responses.append(name)
        self.targets.add(target_key(self.namespace, kind.kind, target))

    def alert(
        self, *, firing: bool, series: int = 1, muted: bool = False, muted_error: str = ""
    ) -> None:
        """Have the source say whether the alert fires, for how many series, and whether it is muted."""
        name = self.alert_name
        alerts = tuple(
            Alert(f"id-{n}", name, {"alertname": name, "pod": str(n)}, AlertState.FIRING, self.now)
            for n in range(series if firing else 0)
        )
        rule = RuleState(
            name=name,
            labels={},
            healthy=True,
            error="",
            evaluated_at=self.now,
            interval=timedelta(seconds=1),
            hold=timedelta(0),
            has_data=True,
            alerts=alerts,
        )
        state = SourceState(
            self.now,
            started_at=START - timedelta(hours=1),
            rules=(rule,),
            muted=frozenset(alert.identity for alert in alerts if muted),
            muted_error=muted_error,
        )
        self.sources.polled(source_key(self.namespace, "main"), state)

    async def step(self) -> None:
        """Read the AutoResponses anew and take passes until nothing is to be done at once."""
        for name in self.responses:
            await reconcile_response(self.context, Key(AUTO_RESPONSE.kind, self.namespace, name))
        # At the same time, as the loop does.
        await asyncio.gather(*(self._rest(target) for target in sorted(self.targets)))

    async def _rest(self, target: Key) -> None:
        for _ in range(_FOREVER):
            seconds = await reconcile_target(self.context, target)
            if seconds is None or seconds > _SOON:
                return
        raise AssertionError(f"{target} does not come to rest: again in {seconds} s")

    def restart(self) -> None:
        """Forget all that a process remembers but the source's last word."""
        self.registry = Registry()

    async def until_over(self) -> None:
        """Let the alert be resolved and time pass until nothing is owed."""
        for _ in range(_FOREVER):
            self.alert(firing=False)
            await self.step()
            statuses = [await self.status(name) for name in self.responses]
            if not any(each.get("ledger") or each.get("breaker") for each in statuses):
                return
            self.now += timedelta(seconds=6)
        raise AssertionError("something is owed for ever")

    async def status(self, name: str = "scale") -> Object:
        """Return the status of an AutoResponse."""
        live = await self.cluster.get(AUTO_RESPONSE, self.namespace, name)
        found: Object = live.get("status", {})
        return found

    async def events(self, name: str = "scale") -> list[str]:
        """Return what has happened, oldest first."""
        return [each["event"] for each in reversed((await self.status(name)).get("history", []))]

    async def spec(self, kind: Kind, name: str = "api") -> Object:
        """Return the spec of an object."""
        found: Object = (await self.cluster.get(kind, self.namespace, name))["spec"]
        return found

    async def patch(self, kind: Kind, change: Object, name: str = "api") -> None:
        """Change an object as somebody else does."""
        await self.cluster.write(Write(Verb.MERGE, kind, self.namespace, name, change))


def autoscaler(kind: Kind, **spec: Any) -> Object:
    """Return the spec of a HorizontalPodAutoscaler of the target ``api``."""
    reference = {"apiVersion": kind.api_version, "kind": kind.kind, "name": "api"}
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    metrics = [{"type": "Resource", "resource": resource}]
    return {"scaleTargetRef": reference, "maxReplicas": 10, "metrics": metrics, **spec}

"""A pass over the notifications of a stack: gather, write one Secret, have it loaded, report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ValidationError

from firewatch.api.alerting import Alerting, AlertingStatus, LeftOut, SelfTestStatus
from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.conditions import Finding, bad, good
from firewatch.api.resource import ConditionStatus, Key, Object, parse_duration
from firewatch.api.stack import MonitoringStackStatus
from firewatch.build import names
from firewatch.build.alertmanager_config import Notifications
from firewatch.build.objects import Stack
from firewatch.build.policy_routes import RoutingPolicy
from firewatch.cluster.apply import delete_ours
from firewatch.cluster.errors import NotFoundError, absent_is_fine
from firewatch.cluster.kinds import MONITORING_STACK, SECRET
from firewatch.cluster.status import dump_status, write_status
from firewatch.reconcile.arrivals import Arrivals
from firewatch.reconcile.context import Context, Told
from firewatch.reconcile.deliveries import Deliveries, notifying
from firewatch.reconcile.findings import (
    ROUTES_ACCEPTED,
    SECRETS_PRESENT,
    read_status,
)
from firewatch.reconcile.handover import hand_back
from firewatch.reconcile.routed import judge_routes, no_alertmanager
from firewatch.reconcile.self_tests import SelfTests, verified
from firewatch.reconcile.settling import Settling
from firewatch.reconcile.sources import gather_sources
from firewatch.reconcile.stack_plan import parse_stack
from firewatch.reconcile.tellers import Teller, gather_mesh, gather_tellers

_LOOK_SECONDS = 50.0
"""How often Secrets are read again: a rotation is followed within a minute."""
_UNCONFIRMED_SECONDS = 5.0
_TESTING_SECONDS = 2.0
_HANDOVER_SECONDS = 0.5
_SHOWN = 50


@dataclass
class NotificationsReconciler:
    """Passes over the notifications of stacks, and what they remember."""

    context: Context
    _deliveries: dict[Key, Deliveries] = field(default_factory=dict)
    _settling: dict[Key, Settling] = field(default_factory=dict)
    _arrivals: dict[Key, Arrivals] = field(default_factory=dict)
    _tests: dict[Key, SelfTests] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> float | None:
        """Make the notifications of a stack as written, and say how they stand."""
        try:
            live = await self.context.cluster.get(MONITORING_STACK, key.namespace, key.name)
        except NotFoundError:
            for memory in (
                *(self._deliveries, self._settling, self._arrivals, self._tests),
                *(self.context.told, self.context.routing),
            ):
                memory.pop(key, None)
            return math.inf
        stack = self._usable(live)
        if stack is None:
            return None
        policies = self.context.routing.get(key)
        if policies is None:
            return _HANDOVER_SECONDS  # without them, their routes would go and come again
        if stack.spec.alerting is None:
            found = [(policy, no_alertmanager(policy, stack.name)) for policy in policies]
            hand_back(self.context, key, found)
            await self._remove(stack, live)
            return None
        return await self._work(key, stack, live)

    def _usable(self, live: Object) -> Stack | None:
        metadata = live["metadata"]
        if "deletionTimestamp" in metadata:
            return None
        if not self.context.settings.grants_stacks(metadata["namespace"]):
            return None
        try:
            stack = parse_stack(live)
        except ValidationError:
            return None
        return None if stack.spec.paused else stack

    async def _remove(self, stack: Stack, live: Object) -> None:
        """Take away what is left of notifications that the stack no longer has."""
        if "alerting" not in live.get("status", {}):
            return
        name = names.alertmanager_config_name(stack.name)
        await delete_ours(self.context.cluster, SECRET, stack.namespace, name)
        status = {name: part for name, part in live["status"].items() if name != "alerting"}
        with absent_is_fine():
            await write_status(self.context.cluster, MONITORING_STACK, live, status)

    async def _work(self, key: Key, stack: Stack, live: Object) -> float | None:
        assert stack.spec.alerting
        policies = self.context.routing[key]
        routing = _parse(policies)
        sources = await gather_sources(
            self.context.cluster,
            [(stack.namespace, stack.spec.alerting), *((p.namespace, p.spec) for p in routing)],
        )
        tellers = await gather_tellers(self.context, namespace=key.namespace, stack=key.name)
        before = read_status(MonitoringStackStatus, live).alerting or AlertingStatus()
        settling = self._settling.setdefault(key, Settling.recall(before.left_out))
        notifications, loaded = await settling.settle(
            self.context, stack, sources=sources, policies=routing, tellers=tellers
        )
        deliveries = self._deliveries.setdefault(key, Deliveries())
        failing = await deliveries.look(tellers, before.failing)
        deaf = await self._deaf(key, stack, tellers)
        mesh = await gather_mesh(tellers)
        told = notifying(failing, lonely=mesh.lonely, deaf=deaf)
        tested = await self._test(
            key,
            stack.spec.alerting,
            before.self_test,
            loaded=loaded,
            ways=notifications.ways,
            tellers=tellers,
        )
        findings = (*_findings(notifications.left_out), loaded, told)
        if tested:
            findings = (*findings, verified(tested))
        self._tell(key, live, findings, version=mesh.version)
        found = [(each, judge_routes(each, notifications.left_out, loaded)) for each in policies]
        hand_back(self.context, key, found)
        status = _status(stack, notifications, failing)
        await self._report(live, status.model_copy(update={"self_test": tested}))
        return self._next_pass(key, loaded, told)

    async def _deaf(self, key: Key, stack: Stack, tellers: Sequence[Teller]) -> list[str]:
        """Return the pods at which nothing arrives of the stack's Prometheus, if it has one."""
        arrivals = self._arrivals.setdefault(key, Arrivals())
        if stack.spec.metrics is None:
            return []
        return await arrivals.look(tellers, self.context.clock())

    def _next_pass(self, key: Key, loaded: Finding, told: Finding) -> float:
        if loaded.status is not ConditionStatus.TRUE or told.status is ConditionStatus.UNKNOWN:
            return _UNCONFIRMED_SECONDS
        return _TESTING_SECONDS if self._tests[key].running else _LOOK_SECONDS

    async def _test(
        self,
        key: Key,
        alerting: Alerting,
        before: SelfTestStatus | None,
        *,
        loaded: Finding,
        ways: Sequence[tuple[str, str]],
        tellers: Sequence[Teller],
    ) -> SelfTestStatus | None:
        """Test the receivers if it is time to; None if there are to be no tests."""
        tests = self._tests.setdefault(key, SelfTests())
        if alerting.self_test is None:
            return None
        before = before or SelfTestStatus()
        if loaded.status is not ConditionStatus.TRUE:
            return before
        return await tests.step(
            before,
            ways=ways,
            tellers=tellers,
            period=timedelta(seconds=parse_duration(alerting.self_test.schedule)),
            now=self.context.clock(),
        )

    def _tell(self, key: Key, live: Object, findings: Sequence[Finding], *, version: str) -> None:
        """Let the stack's own pass report the findings, which alone writes its conditions."""
        metadata = live["metadata"]
        told = Told(metadata["uid"], metadata["generation"], tuple(findings), version)
        if self.context.told.get(key) != told:
            self.context.told[key] = told
            self.context.wake(Key(MONITORING_STACK.kind, key.namespace, key.name))

    async def _report(self, live: Object, status: AlertingStatus) -> None:
        if "status" not in live:
            return  # its own pass writes the first one and wakes this one again
        after = {**live["status"], "alerting": dump_status(status)}
        with absent_is_fine():
            await write_status(self.context.cluster, MONITORING_STACK, live, after)


def _parse(policies: Sequence[Object]) -> list[RoutingPolicy]:
    """Return policies as the builder needs them; one that cannot be read says so elsewhere."""
    found = []
    for live in policies:
        metadata = live["metadata"]
        try:
            spec = AlertPolicySpec.model_validate(live["spec"])
        except ValidationError:
            continue
        found.append(RoutingPolicy(metadata["namespace"], metadata["name"], spec))
    return found


def _findings(left_out: Sequence[LeftOut]) -> list[Finding]:
    """Return what the stack itself has to put right; policies have a status of their own."""
    own = [each for each in left_out if not each.policy]
    secrets = [each for each in own if each.reason.startswith("Secret")]
    others = [each for each in own if each not in secrets]
    return [
        _first(SECRETS_PRESENT, secrets, "every Secret that is named is there"),
        _first(ROUTES_ACCEPTED, others, "every receiver and route is understood"),
    ]


def _first(kind: str, left_out: Sequence[LeftOut], otherwise: str) -> Finding:
    if not left_out:
        return good(kind, kind, otherwise)
    first = left_out[0]
    more = f" ({len(left_out) - 1} more in status.alerting.leftOut)" if left_out[1:] else ""
    return bad(kind, first.reason, f"{first.path}: {first.message}{more}")


def _status(stack: Stack, notifications: Notifications, failing: Sequence[str]) -> AlertingStatus:
    return AlertingStatus(
        url=names.alertmanager_url(stack.name, stack.namespace),
        secret=names.alertmanager_config_name(stack.name),
        receivers=len(dict(notifications.ways)),
        routes=notifications.rows,
        left_out=notifications.left_out[:_SHOWN],
        failing=list(failing[:_SHOWN]),
    )

"""A pass over a RetentionPolicy: whom it is about, whether it is in force, what is kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from firewatch.api.conditions import Finding, bad, good, merge_conditions, unknown
from firewatch.api.resource import ConditionStatus, Key, Object
from firewatch.api.retention import (
    MetricsRetentionStatus,
    RetentionPolicySpec,
    RetentionPolicyStatus,
)
from firewatch.api.stack import MonitoringStackStatus
from firewatch.build.objects import Stack
from firewatch.build.retention import RetentionInForce, policy_retention, running_retention
from firewatch.cluster.errors import NotFoundError, absent_is_fine
from firewatch.cluster.kinds import MONITORING_STACK, RETENTION_POLICY
from firewatch.cluster.prometheus import PrometheusError
from firewatch.cluster.status import write_status
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import ACCEPTED, LOADED, not_granted, read_status
from firewatch.reconcile.forecast import measure, steady
from firewatch.reconcile.growing import gather_claims
from firewatch.reconcile.invalid import explain_invalid
from firewatch.reconcile.retention_choice import (
    conflict,
    find_unfit,
    parse_policy,
    policies_of,
    wanted_stack,
)
from firewatch.reconcile.servers import Servers, gather_servers
from firewatch.reconcile.stack_plan import parse_stack
from firewatch.reconcile.stackref import resolve_stack
from firewatch.reconcile.usage import gather_reading
from firewatch.reconcile.volumes import smallest_capacity

_UNCONFIRMED_SECONDS = 1.0
_NO_SERVER_SECONDS = 10.0


@dataclass(frozen=True)
class _Subject:
    """A policy that counts, and the stack that it is about."""

    stack: Stack
    live: Object
    """That stack, as it was read."""
    in_force: RetentionInForce
    volume: int | None


async def reconcile_retention(context: Context, key: Key) -> float | None:
    """Say what a policy comes to, and whether every Prometheus follows it."""
    try:
        live = await context.cluster.get(RETENTION_POLICY, key.namespace, key.name)
    except NotFoundError:
        return math.inf
    if "deletionTimestamp" in live["metadata"]:
        return None
    subject = await _subject(context, live)
    if isinstance(subject, Finding):
        await _report(context, live, [subject])
        return None
    servers = await gather_servers(context.cluster, context.session, subject.stack)
    loaded = await _loaded(subject, servers)
    accepted = good(ACCEPTED, "Accepted", "the policy is understood and wins over the stack's own")
    metrics = await _metrics(context, live, subject, servers)
    await _report(context, live, [accepted, loaded], stack=subject.stack.name, metrics=metrics)
    if loaded.status is ConditionStatus.TRUE:
        return None
    return _UNCONFIRMED_SECONDS if servers.ready else _NO_SERVER_SECONDS


async def _subject(context: Context, live: Object) -> _Subject | Finding:
    """Return whom the policy is about, or why it is not followed."""
    namespace, name = live["metadata"]["namespace"], live["metadata"]["name"]
    if not context.settings.grants_stacks(namespace):
        return not_granted(namespace)
    spec = parse_policy(live)
    if isinstance(spec, ValidationError):
        return bad(ACCEPTED, "InvalidSpec", explain_invalid(spec))
    stacks = {
        stack["metadata"]["name"]: stack
        for stack in await context.cluster.list(MONITORING_STACK, namespace)
        if "deletionTimestamp" not in stack["metadata"]
    }
    found = resolve_stack(wanted_stack(live), stacks)
    if isinstance(found, Finding):
        return found
    policies = policies_of(found, await context.cluster.list(RETENTION_POLICY, namespace), stacks)
    others = [p["metadata"]["name"] for p in policies if p["metadata"]["name"] != name]
    if others:
        return conflict(found, others)
    return await _in_force(context, name, spec, stacks[found])


async def _in_force(
    context: Context, name: str, spec: RetentionPolicySpec, live: Object
) -> _Subject | Finding:
    stack_name = live["metadata"]["name"]
    try:
        stack = parse_stack(live)
    except ValidationError as error:
        return bad(
            ACCEPTED,
            "InvalidStack",
            f"MonitoringStack {stack_name} is not understood: {explain_invalid(error)}",
        )
    volume = smallest_capacity(stack, await gather_claims(context.cluster, stack))
    if unfit := find_unfit(spec, stack, volume):
        return unfit
    assert stack.spec.metrics
    assert spec.metrics
    own = stack.spec.metrics.retention
    in_force = policy_retention(own, spec.metrics, policy=name, volume=volume)
    return _Subject(stack, live, in_force, volume)


async def _loaded(subject: _Subject, servers: Servers) -> Finding:
    """Return whether every server keeps what the policy says."""
    said = read_status(MonitoringStackStatus, subject.live).retention
    wanted = subject.in_force
    if said is None or (said.time, said.size, said.policy) != (
        wanted.time,
        wanted.size,
        wanted.policy,
    ):
        return unknown(LOADED, "Reloading", "the stack has not taken this retention over yet")
    if not servers.ready:
        return unknown(LOADED, "NoServer", "no Prometheus pod is ready yet")
    for server in servers.ready:
        try:
            running = running_retention(await server.api.configuration())
        except PrometheusError:
            running = None
        if running != wanted.amounts():
            return unknown(LOADED, "Reloading", "Prometheus has not confirmed this retention yet")
    return good(LOADED, "Loaded", "Prometheus confirms that it keeps samples as this policy says")


async def _metrics(
    context: Context, live: Object, subject: _Subject, servers: Servers
) -> MetricsRetentionStatus:
    """Return what is in force and, of the fullest server, what it holds."""
    seconds, size = subject.in_force.amounts()
    readings = [await gather_reading(server.api) for server in servers.ready]
    known = [reading for reading in readings if reading is not None]
    before = read_status(RetentionPolicyStatus, live).metrics
    usage = before.usage if before else None
    if known:
        now = context.clock()
        fullest = max(known, key=lambda reading: reading.used)
        limit = size or subject.volume
        usage = steady(usage, measure(fullest, limit=limit, keep_seconds=seconds, now=now), now)
    return MetricsRetentionStatus(
        time=subject.in_force.time, size=subject.in_force.size, usage=usage
    )


async def _report(
    context: Context,
    live: Object,
    findings: Sequence[Finding],
    *,
    stack: str | None = None,
    metrics: MetricsRetentionStatus | None = None,
) -> None:
    generation = live["metadata"]["generation"]
    before = read_status(RetentionPolicyStatus, live).conditions
    status = RetentionPolicyStatus(
        observed_generation=generation,
        conditions=merge_conditions(before, findings, generation=generation, now=context.clock()),
        stack=stack,
        metrics=metrics,
    )
    with absent_is_fine():
        await write_status(context.cluster, RETENTION_POLICY, live, status)

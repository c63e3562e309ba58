"""A pass over a MonitoringStack: build it, apply it, prune, confirm, report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from firewatch.api.conditions import Finding, bad, good, merge_conditions
from firewatch.api.resource import ConditionStatus, Key, Object
from firewatch.api.stack import ComponentStatus, MonitoringStackSpec, MonitoringStackStatus
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.scrape import config_revision
from firewatch.build.stack import build_shared, build_stack
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.apply import apply, prune
from firewatch.cluster.errors import ClusterError, NotFoundError, UnreachableError, absent_is_fine
from firewatch.cluster.kinds import (
    CONFIG_MAP,
    DAEMON_SET,
    MONITORING_STACK,
    SERVICE,
    STACK_CHILDREN,
    STATEFUL_SET,
)
from firewatch.cluster.status import write_status
from firewatch.reconcile.components import available
from firewatch.reconcile.configuration import confirm_configuration
from firewatch.reconcile.context import NOTIFICATIONS, RULES, Context
from firewatch.reconcile.findings import ACCEPTED, APPLIED, not_applied, read_status
from firewatch.reconcile.invalid import explain_invalid
from firewatch.reconcile.servers import Servers, gather_servers
from firewatch.reconcile.telling import told_of_notifications
from firewatch.reconcile.workloads import WORKLOAD_KINDS, LiveWorkload, gather_rows

_KINDS = {kind.kind: kind for kind in STACK_CHILDREN}
_PRUNED = (CONFIG_MAP, SERVICE, STATEFUL_SET, DAEMON_SET)
_UNCONFIRMED_SECONDS = 0.3
_NOT_READY_SECONDS = 10.0


@dataclass
class _Result:
    """What applying a stack's objects came to."""

    workloads: list[LiveWorkload] = field(default_factory=list)
    fault: Finding | None = None
    revision: str | None = None
    """Hash of the configuration that is now in the ConfigMap."""


async def reconcile_stack(context: Context, key: Key) -> float | None:
    """Make a stack as written and say how it stands."""
    context.wake(Key(RULES, key.namespace, ""))
    context.wake(Key(NOTIFICATIONS, key.namespace, key.name))
    try:
        live = await context.cluster.get(MONITORING_STACK, key.namespace, key.name)
    except NotFoundError:
        context.ready.pop(key, None)
        return math.inf
    if "deletionTimestamp" in live["metadata"]:
        return None
    stack = _parse(context, live)
    if isinstance(stack, Finding):
        await _report(context, live, [stack])
        return None
    objects = build_stack(stack, Surroundings(receiver=context.settings.receiver))
    shared = build_shared(await _siblings(context, stack))
    try:
        result = await _apply_all(context, [*shared, *objects])
    except _NamespaceEndsError:
        return None
    await _prune(context, stack, objects)
    servers = await gather_servers(
        context.cluster, context.session, namespace=key.namespace, stack=key.name
    )
    _wake_rules(context, key, servers)
    rows = await gather_rows(context, stack.name, result.workloads)
    loaded = await confirm_configuration(context, result.revision, servers)
    findings = [*_findings(result, rows, loaded), *told_of_notifications(context, stack, live)]
    await _report(context, live, findings, rows=rows, url=_url(stack))
    return _next_pass(loaded, rows)


def _parse(context: Context, live: Object) -> Stack | Finding:
    """Return the stack as the builders need it, or why it cannot be accepted."""
    metadata = live["metadata"]
    namespace = metadata["namespace"]
    if not context.settings.grants_stacks(namespace):
        return bad(
            ACCEPTED,
            "NamespaceNotGranted",
            f"Firewatch may not run stacks in namespace {namespace}; add it to stacks.namespaces of"
            " the chart",
        )
    try:
        return parse_stack(live)
    except ValidationError as error:
        return bad(ACCEPTED, "InvalidSpec", explain_invalid(error))


def parse_stack(live: Object) -> Stack:
    """Return a live MonitoringStack as the builders need it."""
    metadata = live["metadata"]
    return Stack(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        spec=MonitoringStackSpec.model_validate(live.get("spec", {})),
    )


class _NamespaceEndsError(Exception):
    """The namespace is being deleted: nothing can be made there any more."""


async def _apply_all(context: Context, objects: Sequence[Object]) -> _Result:
    """Apply every object; one that fails does not stop the others."""
    result = _Result()
    for desired in objects:
        kind, name = _KINDS[desired["kind"]], desired["metadata"]["name"]
        try:
            applied = await apply(context.cluster, kind, desired)
        except UnreachableError:
            raise
        except ClusterError as error:
            if "being terminated" in str(error):
                raise _NamespaceEndsError from error
            result.fault = result.fault or not_applied(kind.kind, name, error)
            continue
        if kind in WORKLOAD_KINDS:
            result.workloads.append(LiveWorkload(kind, applied.live))
        elif kind is CONFIG_MAP and names.CONFIG_KEY in applied.live["data"]:
            result.revision = config_revision(applied.live["data"][names.CONFIG_KEY])
    return result


async def _siblings(context: Context, stack: Stack) -> list[Stack]:
    """Return all stacks of the namespace that can be read, since they share some objects."""
    found = [stack]
    for live in await context.cluster.list(MONITORING_STACK, stack.namespace):
        metadata = live["metadata"]
        if metadata["uid"] == stack.uid or "deletionTimestamp" in metadata:
            continue
        try:
            found.append(parse_stack(live))
        except ValidationError:
            continue
    return found


async def _prune(context: Context, stack: Stack, wanted: Sequence[Object]) -> None:
    components = [*names.COMPONENTS, *([] if stack.spec.metrics else [names.RULES])]
    await prune(
        context.cluster,
        _PRUNED,
        namespace=stack.namespace,
        labels=names.component_selector(stack.name, *components),
        keep=frozenset((item["kind"], item["metadata"]["name"]) for item in wanted),
    )


def _wake_rules(context: Context, key: Key, servers: Servers) -> None:
    """Let the rules be looked at when other servers answer than before."""
    ready = frozenset(server.uid for server in servers.ready)
    if context.ready.get(key) != ready:
        context.ready[key] = ready
        context.wake(Key(RULES, key.namespace, key.name))


def _findings(
    result: _Result, rows: Sequence[ComponentStatus], loaded: Finding | None
) -> list[Finding]:
    accepted = good(ACCEPTED, "Accepted", "the spec is understood")
    applied = result.fault or good(APPLIED, "Applied", "every object is as it should be")
    found = [accepted, applied]
    if rows:
        found.append(available(rows))
    return [*found, loaded] if loaded else found


def _url(stack: Stack) -> str | None:
    if stack.spec.metrics is None:
        return None
    return names.prometheus_url(stack.name, stack.namespace)


def _next_pass(loaded: Finding | None, rows: Sequence[ComponentStatus]) -> float | None:
    if loaded and loaded.status is not ConditionStatus.TRUE and loaded.reason == "Reloading":
        return _UNCONFIRMED_SECONDS
    ready = all(each.ready is ConditionStatus.TRUE for each in rows)
    confirmed = loaded is None or loaded.status is ConditionStatus.TRUE
    return None if ready and confirmed else _NOT_READY_SECONDS


async def _report(
    context: Context,
    live: Object,
    findings: Sequence[Finding],
    *,
    rows: Sequence[ComponentStatus] = (),
    url: str | None = None,
) -> None:
    before = read_status(MonitoringStackStatus, live)
    generation = live["metadata"]["generation"]
    status = MonitoringStackStatus(
        observed_generation=generation,
        conditions=merge_conditions(
            before.conditions, findings, generation=generation, now=context.clock()
        ),
        components=[*rows],
        prometheus_url=url,
        rules=before.rules,
        alerting=before.alerting,
    )
    with absent_is_fine():
        await write_status(context.cluster, MONITORING_STACK, live, status)

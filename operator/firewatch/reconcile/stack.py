"""A pass over a MonitoringStack: build it, apply it, prune, confirm, report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from firewatch.api.conditions import Finding, bad, good, merge_conditions, unknown
from firewatch.api.resource import ConditionStatus, Key, Object
from firewatch.api.stack import ComponentStatus, MonitoringStackSpec, MonitoringStackStatus
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.scrape import config_revision
from firewatch.build.stack import build_shared, build_stack
from firewatch.cluster.apply import apply, prune
from firewatch.cluster.errors import ClusterError, NotFoundError, UnreachableError, absent_is_fine
from firewatch.cluster.kinds import (
    CONFIG_MAP,
    DAEMON_SET,
    EVENT,
    MONITORING_STACK,
    POD,
    SERVICE,
    STACK_CHILDREN,
    STATEFUL_SET,
)
from firewatch.cluster.prometheus import PrometheusError
from firewatch.cluster.status import write_status
from firewatch.reconcile.components import (
    Workload,
    available,
    daemon_set,
    explain_pods,
    explain_refusal,
    row,
    stateful_set,
)
from firewatch.reconcile.context import RULES, Context
from firewatch.reconcile.findings import ACCEPTED, APPLIED, LOADED, not_applied, read_status
from firewatch.reconcile.invalid import explain_invalid
from firewatch.reconcile.servers import Server, Servers, gather_servers

_KINDS = {kind.kind: kind for kind in STACK_CHILDREN}
_OWNED = (
    (names.METRICS, (CONFIG_MAP, SERVICE, STATEFUL_SET)),
    (names.EXPORTERS, (DAEMON_SET,)),
)
_UNCONFIRMED_SECONDS = 0.3
_NOT_READY_SECONDS = 10.0


@dataclass
class _Result:
    """What applying a stack's objects came to."""

    live: dict[str, Object] = field(default_factory=dict)
    """The workloads by kind."""
    fault: Finding | None = None
    revision: str | None = None
    """Hash of the configuration that is now in the ConfigMap."""


async def reconcile_stack(context: Context, key: Key) -> float | None:
    """Make a stack as written and say how it stands."""
    context.wake(Key(RULES, key.namespace, ""))
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
    try:
        result = await _apply_all(context, stack)
    except _NamespaceEndsError:
        return None
    await _prune(context, stack)
    servers = await gather_servers(
        context.cluster, context.session, namespace=key.namespace, stack=key.name
    )
    _wake_rules(context, key, servers)
    rows = await _rows(context, stack, result, servers)
    loaded = await _confirm(context, result, servers)
    findings = _findings(stack, result, rows, loaded)
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


async def _apply_all(context: Context, stack: Stack) -> _Result:
    """Apply every object; one that fails does not stop the others."""
    result = _Result()
    shared = build_shared(await _siblings(context, stack))
    for desired in (*shared, *build_stack(stack, receiver=context.settings.receiver)):
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
        if kind in {STATEFUL_SET, DAEMON_SET}:
            result.live[kind.kind] = applied.live
        elif kind is CONFIG_MAP:
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


async def _prune(context: Context, stack: Stack) -> None:
    desired = build_stack(stack, receiver=context.settings.receiver)
    keep = frozenset((item["kind"], item["metadata"]["name"]) for item in desired)
    owned = [*_OWNED] if stack.spec.metrics else [*_OWNED, (names.RULES, (CONFIG_MAP,))]
    for component, kinds in owned:
        await prune(
            context.cluster,
            kinds,
            namespace=stack.namespace,
            labels=names.component_selector(stack.name, component),
            keep=keep,
        )


def _wake_rules(context: Context, key: Key, servers: Servers) -> None:
    """Let the rules be looked at when other servers answer than before."""
    ready = frozenset(server.uid for server in servers.ready)
    if context.ready.get(key) != ready:
        context.ready[key] = ready
        context.wake(Key(RULES, key.namespace, key.name))


async def _rows(
    context: Context, stack: Stack, result: _Result, servers: Servers
) -> list[ComponentStatus]:
    rows = []
    if live := result.live.get(STATEFUL_SET.kind):
        workload = stateful_set(live)
        problem = await _problem(context, live, workload, servers.pods)
        rows.append(row(names.PROMETHEUS, workload, problem))
    if live := result.live.get(DAEMON_SET.kind):
        workload = daemon_set(live)
        pods: Sequence[Object] = ()
        if not workload.available:
            labels = names.selector(stack.name, names.NODE_EXPORTER)
            pods = await context.cluster.list(POD, stack.namespace, labels)
        problem = await _problem(context, live, workload, pods)
        rows.append(row(names.NODE_EXPORTER, workload, problem))
    return rows


async def _problem(
    context: Context, live: Object, workload: Workload, pods: Sequence[Object]
) -> str:
    """Return why a workload does not have all its pods."""
    if workload.available:
        return ""
    if workload.there < workload.wanted:
        metadata = live["metadata"]
        fields = {"involvedObject.uid": metadata["uid"], "reason": "FailedCreate"}
        events = await context.cluster.list(EVENT, metadata["namespace"], fields=fields)
        if refusal := explain_refusal(events):
            return refusal
    return explain_pods(pods)


async def _confirm(context: Context, result: _Result, servers: Servers) -> Finding | None:
    """Return whether every ready server runs the configuration; None if there is none to run."""
    if result.revision is None:
        return None
    if not servers.ready:
        return unknown(LOADED, "NoServer", "no Prometheus pod is ready yet")
    behind = [server for server in servers.ready if await _runs(server) != result.revision]
    annotation, now = names.CONFIG_ANNOTATION, context.clock()
    if not behind:
        context.nudges.settle(servers.ready, annotation)
        return good(LOADED, "Loaded", "Prometheus confirms that it runs this configuration")
    await context.nudges.nudge(
        context.cluster, behind, annotation=annotation, revision=result.revision, now=now
    )
    if context.nudges.patience_over(behind[0], annotation, now):
        return await _explain_behind(behind[0])
    return unknown(LOADED, "Reloading", "Prometheus has not confirmed this configuration yet")


async def _runs(server: Server) -> str | None:
    """Return the hash of the configuration that a server runs, or None if it cannot be told."""
    try:
        return config_revision(await server.api.configuration())
    except PrometheusError:
        return None


async def _explain_behind(server: Server) -> Finding:
    pod = server.pod["metadata"]["name"]
    try:
        refused = not await server.api.reload_succeeded()
    except PrometheusError as error:
        return unknown(LOADED, "NoAnswer", f"pod {pod} does not answer: {error}")
    if refused:
        message = f"Prometheus refuses its configuration; see kubectl logs {pod}"
        return bad(LOADED, "ReloadFailed", message)
    return unknown(LOADED, "NotSeen", f"pod {pod} has not seen this configuration yet")


def _findings(
    stack: Stack, result: _Result, rows: Sequence[ComponentStatus], loaded: Finding | None
) -> list[Finding]:
    accepted = good(ACCEPTED, "Accepted", "the spec is understood")
    applied = result.fault or good(APPLIED, "Applied", "every object is as it should be")
    found = [accepted, applied]
    if stack.spec.metrics or stack.spec.exporters.node:
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
    )
    with absent_is_fine():
        await write_status(context.cluster, MONITORING_STACK, live, status)

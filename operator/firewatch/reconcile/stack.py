"""A pass over a MonitoringStack: plan it, apply it, prune, and say how it stands."""

import math
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from firewatch.api.conditions import Finding, bad
from firewatch.api.resource import Key, Object
from firewatch.api.stack import MonitoringStackStatus
from firewatch.build import names
from firewatch.build.external import has_prometheus
from firewatch.build.objects import Stack
from firewatch.build.overrides import component
from firewatch.build.stack import build_plain
from firewatch.cluster.apply import prune
from firewatch.cluster.errors import ForbiddenError, NotFoundError
from firewatch.cluster.kinds import (
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    FOREIGN_CHILDREN,
    INGRESS,
    MONITORING_STACK,
    NETWORK_POLICY,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from firewatch.reconcile.children import (
    NamespaceEndsError,
    Present,
    apply_children,
    observe_children,
)
from firewatch.reconcile.context import DASHBOARDS, NOTIFICATIONS, RULES, Context
from firewatch.reconcile.findings import ACCEPTED, APPLIED, not_granted, read_status
from firewatch.reconcile.grafana import keep_data_sources, keep_keys
from firewatch.reconcile.growing import resize_volumes
from firewatch.reconcile.invalid import explain_invalid
from firewatch.reconcile.raw_scrapes import keep_raw_scrapes
from firewatch.reconcile.rollout import remove_orphans
from firewatch.reconcile.stack_plan import Plan, make_plan, parse_stack
from firewatch.reconcile.stack_report import report_stack
from firewatch.reconcile.stack_standing import Standing

_PRUNED = (
    *(CONFIG_MAP, SERVICE, INGRESS, NETWORK_POLICY, POD_DISRUPTION_BUDGET),
    *(STATEFUL_SET, DAEMON_SET, DEPLOYMENT),
)
_LEFT_SECONDS = 10.0
"""When to look again for what is in the way, or has been left."""


async def reconcile_stack(context: Context, key: Key) -> float | None:
    """Make a stack as written and say how it stands."""
    context.wake(Key(RULES, key.namespace, ""))
    context.wake(Key(NOTIFICATIONS, key.namespace, key.name))
    context.wake(Key(DASHBOARDS, key.namespace, key.name))
    try:
        live = await context.cluster.get(MONITORING_STACK, key.namespace, key.name)
    except NotFoundError:
        return await _gone(context, key)
    if "deletionTimestamp" in live["metadata"]:
        return None
    stack = _parse(context, live)
    if isinstance(stack, Finding):
        await report_stack(context, live, [stack])
        return None
    try:
        return await _make(context, stack, live)
    except ForbiddenError as error:
        why = f"{error}; grant the namespace in stacks.namespaces of the chart"
        await report_stack(context, live, [bad(APPLIED, "Forbidden", why)])
        return _LEFT_SECONDS


async def _make(context: Context, stack: Stack, live: Object) -> float | None:
    if not stack.spec.paused:
        await keep_keys(context.cluster, stack)
    plan = await make_plan(context, stack, live)
    if stack.spec.paused:
        made = await observe_children(context, plan.objects)
        return await Standing(context, live, plan, made, refusals={}).tell()
    refusals = await resize_volumes(context.cluster, plan.volumes)
    try:
        faults = await _keep_secrets(context, plan, is_new=_is_new(live))
        present = Present(
            plan.claims, refusals, read_status(MonitoringStackStatus, live).loaded_configuration
        )
        made = await apply_children(context, plan.objects, present, plain=_without_overrides(plan))
    except NamespaceEndsError:
        return None
    for fault in faults:
        made.blame(fault)
    await _prune(context, stack, plan.objects)
    return await Standing(context, live, plan, made, refusals).tell()


async def _keep_secrets(context: Context, plan: Plan, *, is_new: bool) -> list[Finding]:
    """Make the Secrets that pods mount, before these; return why one cannot be."""
    cluster, stack = context.cluster, plan.stack
    faults = [
        await keep_raw_scrapes(cluster, stack, plan.surroundings.raw_scrapes, is_new=is_new),
        await keep_data_sources(cluster, stack, plan.data_sources, is_new=is_new),
    ]
    return [fault for fault in faults if fault]


def _is_new(live: Object) -> bool:
    """Tell whether the status does not speak of this form of the stack yet."""
    generation: int = live["metadata"]["generation"]
    return read_status(MonitoringStackStatus, live).observed_generation != generation


def _without_overrides(plan: Plan) -> dict[str, Object]:
    """Return the workloads that have an override as they are without it, by component."""
    if not plan.stack.spec.overrides:
        return {}
    plain = {component(item): item for item in build_plain(plan.stack, plan.surroundings)}
    return {name: item for name, item in plain.items() if name in plan.stack.spec.overrides}


async def _gone(context: Context, key: Key) -> float:
    """Look after a stack that is not there any more."""
    context.ready.pop(key, None)
    context.measured.pop(key, None)
    context.checked.pop(key, None)
    context.glimpsed.pop(key, None)
    context.searching.discard(key)
    if not context.settings.grants_stacks(key.namespace):
        return math.inf
    try:
        left = await remove_orphans(context, key.namespace, key.name)
    except ForbiddenError:
        return math.inf
    return _LEFT_SECONDS if left else math.inf


def _parse(context: Context, live: Object) -> Stack | Finding:
    """Return the stack as the builders need it, or why it cannot be accepted."""
    metadata = live["metadata"]
    namespace = metadata["namespace"]
    if not context.settings.grants_stacks(namespace):
        return not_granted(namespace)
    try:
        return parse_stack(live)
    except ValidationError as error:
        return bad(ACCEPTED, "InvalidSpec", explain_invalid(error))


async def _prune(context: Context, stack: Stack, wanted: Sequence[Object]) -> None:
    components = [
        *names.COMPONENTS,
        *([] if has_prometheus(stack.spec) else [names.RULES, names.TESTS]),
        *([] if stack.spec.visualization else [names.DASHBOARDS]),
    ]
    labels = names.component_selector(stack.name, *components)
    keep = frozenset((item["kind"], item["metadata"]["name"]) for item in wanted)

    async def take_away(kinds: Iterable[Kind]) -> None:
        cluster, namespace = context.cluster, stack.namespace
        await prune(cluster, kinds, namespace=namespace, labels=labels, keep=keep)

    await take_away(_PRUNED)
    for kind in FOREIGN_CHILDREN:
        if not context.absent.has(kind, context.clock()):
            try:
                await take_away([kind])
            except NotFoundError:
                context.absent.note(kind, context.clock())

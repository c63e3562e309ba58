"""A pass over a MonitoringStack: build it, apply it, prune, confirm, report."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.resource import ConditionStatus, Key, Object
from firewatch.api.stack import ComponentStatus, MonitoringStackSpec, MonitoringStackStatus
from firewatch.build import names
from firewatch.build.left_out import find_left_out, refused_override
from firewatch.build.mounted_files import FileRef, find_files
from firewatch.build.objects import Stack
from firewatch.build.overrides import component
from firewatch.build.raw_scrapes import raw_scrapes_source
from firewatch.build.retention import RetentionInForce
from firewatch.build.stack import build_plain, build_shared, build_stack
from firewatch.build.surroundings import Surroundings
from firewatch.build.web import prometheus_url
from firewatch.cluster.apply import prune
from firewatch.cluster.errors import ForbiddenError, NotFoundError
from firewatch.cluster.kinds import (
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    MONITORING_STACK,
    POD_DISRUPTION_BUDGET,
    RETENTION_POLICY,
    SERVICE,
    STATEFUL_SET,
)
from firewatch.reconcile.children import (
    Children,
    NamespaceEndsError,
    Present,
    apply_children,
    observe_children,
)
from firewatch.reconcile.components import available, endpoints
from firewatch.reconcile.configuration import (
    CHANGING,
    confirm_configuration,
    confirm_connection,
    keep_last_good,
)
from firewatch.reconcile.context import NOTIFICATIONS, RULES, Context
from firewatch.reconcile.findings import (
    ACCEPTED,
    APPLIED,
    AVAILABLE,
    LOADED,
    NOTIFYING,
    STORAGE_READY,
    not_granted,
    read_status,
)
from firewatch.reconcile.growing import gather_claims, resize_volumes
from firewatch.reconcile.invalid import explain_invalid
from firewatch.reconcile.last_words import gather_last_words
from firewatch.reconcile.raw_scrapes import gather_raw_scrapes, keep_raw_scrapes
from firewatch.reconcile.retention_choice import choose_retention, policies_of
from firewatch.reconcile.rollout import remove_orphans
from firewatch.reconcile.secrets import gather_missing, secrets_present
from firewatch.reconcile.servers import Servers, gather_servers, running_version
from firewatch.reconcile.sizes import gather_largest, gather_limits
from firewatch.reconcile.stack_report import Shown, report_stack
from firewatch.reconcile.targets import all_up, gather_jobs
from firewatch.reconcile.telling import told_of_notifications, told_version
from firewatch.reconcile.volumes import (
    Refusals,
    Volume,
    smallest_capacity,
    storage_ready,
    volume_rows,
    volumes_of,
)
from firewatch.reconcile.web import explain_self_scrape, gather_no_certificates
from firewatch.reconcile.workloads import gather_rows

_PRUNED = (
    *(CONFIG_MAP, SERVICE, POD_DISRUPTION_BUDGET),
    *(STATEFUL_SET, DAEMON_SET, DEPLOYMENT),
)
_UNCONFIRMED_SECONDS = 0.3
_REPLACING_SECONDS = 0.5
_CHANGING_SECONDS = 1.0
_CONNECTING_SECONDS = 2.0
_NOT_READY_SECONDS = 10.0
# Secrets are never watched.
_SECRETS_SECONDS = 60.0
_TARGETS_SECONDS = 30.0
_WATCHED = frozenset((STORAGE_READY, AVAILABLE, LOADED))
"""Conditions that become true by themselves, without an event that wakes the stack."""


async def reconcile_stack(context: Context, key: Key) -> float | None:
    """Make a stack as written and say how it stands."""
    context.wake(Key(RULES, key.namespace, ""))
    context.wake(Key(NOTIFICATIONS, key.namespace, key.name))
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
        return _NOT_READY_SECONDS


async def _make(context: Context, stack: Stack, live: Object) -> float | None:
    plan = await _plan(context, stack, live)
    if stack.spec.paused:
        made = await observe_children(context, plan.objects)
        return await _tell(context, live, plan, made=made, refusals={})
    refusals = await resize_volumes(context.cluster, plan.volumes)
    raw = plan.surroundings.raw_scrapes
    try:
        fault = await keep_raw_scrapes(context.cluster, stack, raw, is_new=_is_new(live))
        present = Present(
            plan.claims, refusals, read_status(MonitoringStackStatus, live).loaded_configuration
        )
        made = await apply_children(context, plan.objects, present, plain=_without_overrides(plan))
    except NamespaceEndsError:
        return None
    if fault:
        made.blame(fault)
    await _prune(context, stack, plan.objects)
    return await _tell(context, live, plan, made=made, refusals=refusals)


@dataclass(frozen=True)
class _Plan:
    """What is to be made of a stack, and what that was decided by."""

    stack: Stack
    objects: Sequence[Object]
    claims: Sequence[Object]
    volumes: Sequence[Volume]
    surroundings: Surroundings
    files: frozenset[FileRef]
    """Keys of Secrets and ConfigMaps that the stack names."""


async def _plan(context: Context, stack: Stack, live: Object) -> _Plan:
    neighbours = await _neighbours(context, stack.namespace)
    claims = await gather_claims(context.cluster, stack)
    retention = await _gather_retention(context, stack, live, neighbours=neighbours, claims=claims)
    files = frozenset(find_files(stack.spec.metrics))
    if source := raw_scrapes_source(stack.spec.metrics):
        files |= {source}
    surroundings = Surroundings(
        receiver=context.settings.receiver,
        retention=retention,
        cluster_namespaces=context.settings.cluster_stack_namespaces,
        missing=await gather_missing(context.cluster, stack.namespace, files),
        no_certificates=await gather_no_certificates(context.cluster, stack),
        raw_scrapes=await gather_raw_scrapes(context.cluster, stack),
        node_last_words=await gather_last_words(context.cluster, stack),
    )
    shared = build_shared(_siblings(stack, neighbours))
    objects = [*shared, *build_stack(stack, surroundings)]
    return _Plan(stack, objects, claims, volumes_of(objects, claims), surroundings, files)


def _is_new(live: Object) -> bool:
    """Tell whether the status does not speak of this form of the stack yet."""
    generation: int = live["metadata"]["generation"]
    return read_status(MonitoringStackStatus, live).observed_generation != generation


def _without_overrides(plan: _Plan) -> dict[str, Object]:
    """Return the workloads that have an override as they are without it, by component."""
    if not plan.stack.spec.overrides:
        return {}
    plain = {component(item): item for item in build_plain(plan.stack, plan.surroundings)}
    return {name: item for name, item in plain.items() if name in plan.stack.spec.overrides}


async def _tell(
    context: Context, live: Object, plan: _Plan, *, made: Children, refusals: Refusals
) -> float | None:
    """Look at what has become of the stack, say it, and return when to look again."""
    stack = plan.stack
    servers = await gather_servers(context.cluster, context.session, stack)
    key = Key(MONITORING_STACK.kind, stack.namespace, stack.name)
    _wake_rules(context, key, servers)
    before = read_status(MonitoringStackStatus, live)
    rows = await gather_rows(
        context,
        stack.name,
        made.workloads,
        claims=plan.claims,
        endpoints=endpoints(plan.objects),
        versions={
            names.PROMETHEUS: await running_version(servers),
            names.ALERTMANAGER: told_version(context, stack, before.components),
        },
        repair=not stack.spec.paused,
    )
    jobs = await gather_jobs(servers, made.configuration, before.jobs)
    jobs = await gather_limits(servers, made.configuration, jobs, before.jobs)
    largest = await gather_largest(context, key, servers, before.largest_metrics)
    paused = stack.spec.paused
    confirmed, loaded = before.loaded_configuration, None
    if not paused:
        loaded = await confirm_configuration(
            context, key, made=made, servers=servers, confirmed=confirmed
        )
    if loaded and loaded.status is ConditionStatus.TRUE:
        confirmed = made.revision or ""
    loaded = await keep_last_good(
        context, stack, made, servers=servers, loaded=loaded, confirmed=confirmed
    )
    storage = storage_ready(plan.volumes, refusals)
    findings = [
        *_plan_findings(plan, made),
        *explain_self_scrape(stack, jobs),
        *_findings(made, rows, storage=storage, loaded=loaded),
        *told_of_notifications(context, stack, live),
        *([] if paused else await confirm_connection(stack, servers)),
    ]
    findings = _in_order(findings, first=APPLIED if paused else None)
    volumes = volume_rows(plan.volumes, refusals)
    retention = plan.surroundings.retention
    url = prometheus_url(stack) if stack.spec.metrics else None
    shown = Shown(rows, jobs, volumes, largest, url, retention, confirmed)
    await report_stack(context, live, findings, shown)
    is_told = all_up(jobs) and (bool(largest) or not servers.ready)
    soon = _next_pass(made, findings, is_told=is_told)
    return _SECRETS_SECONDS if soon is None and plan.files else soon


async def _gone(context: Context, key: Key) -> float:
    """Look after a stack that is not there any more."""
    context.ready.pop(key, None)
    context.measured.pop(key, None)
    context.glimpsed.pop(key, None)
    context.searching.discard(key)
    if not context.settings.grants_stacks(key.namespace):
        return math.inf
    try:
        left = await remove_orphans(context, key.namespace, key.name)
    except ForbiddenError:
        return math.inf
    return _NOT_READY_SECONDS if left else math.inf


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


def parse_stack(live: Object) -> Stack:
    """Return a live MonitoringStack as the builders need it."""
    metadata = live["metadata"]
    return Stack(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        spec=MonitoringStackSpec.model_validate(live.get("spec", {})),
    )


async def _neighbours(context: Context, namespace: str) -> list[Object]:
    """Read the stacks of a namespace that are there to stay."""
    return [
        live
        for live in await context.cluster.list(MONITORING_STACK, namespace)
        if "deletionTimestamp" not in live["metadata"]
    ]


def _siblings(stack: Stack, neighbours: Sequence[Object]) -> list[Stack]:
    """Return all stacks of the namespace that can be read, since they share some objects."""
    found = [stack]
    for live in neighbours:
        if live["metadata"]["uid"] == stack.uid:
            continue
        try:
            found.append(parse_stack(live))
        except ValidationError:
            continue
    return found


async def _gather_retention(
    context: Context,
    stack: Stack,
    live: Object,
    *,
    neighbours: Sequence[Object],
    claims: Sequence[Object],
) -> RetentionInForce | None:
    """Return what the stack's Prometheus keeps; None if there is no Prometheus."""
    if stack.spec.metrics is None:
        return None
    names_of_stacks = [neighbour["metadata"]["name"] for neighbour in neighbours]
    policies = policies_of(
        stack.name,
        await context.cluster.list(RETENTION_POLICY, stack.namespace),
        names_of_stacks,
    )
    volume = smallest_capacity(stack, claims)
    before = read_status(MonitoringStackStatus, live).retention
    return choose_retention(stack.spec.metrics.retention, policies, before, volume=volume)


async def _prune(context: Context, stack: Stack, wanted: Sequence[Object]) -> None:
    components = [*names.COMPONENTS, *([] if stack.spec.metrics else [names.RULES, names.TESTS])]
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


def _in_order(findings: Iterable[Finding], *, first: str | None) -> list[Finding]:
    """Return one finding of each type, the worst; Ready says the first that is not as it should be."""
    worst: dict[str, Finding] = {}
    for each in findings:
        known = worst.get(each.type)
        if known is None or known.status is ConditionStatus.TRUE:
            worst[each.type] = each
    return sorted(worst.values(), key=lambda each: each.type != first)


def _plan_findings(plan: _Plan, made: Children) -> list[Finding]:
    """Return whether everything that the spec asks for is built, and what it takes is there."""
    left_out = [
        *find_left_out(plan.stack, plan.surroundings),
        *(refused_override(name, why) for name, why in sorted(made.refused.items())),
    ]
    accepted = good(ACCEPTED, "Accepted", "the spec is understood")
    if left_out:
        message = "; ".join(each.message for each in left_out)
        accepted = bad(ACCEPTED, left_out[0].reason, message)
    present = secrets_present(plan.files, plan.surroundings.missing)
    return [accepted, *([present] if present else [])]


def _findings(
    result: Children,
    rows: Sequence[ComponentStatus],
    *,
    storage: Finding | None,
    loaded: Finding | None,
) -> list[Finding]:
    applied = result.fault or good(APPLIED, "Applied", "every object is as it should be")
    found = [applied, storage, available(rows) if rows else None, loaded]
    return [finding for finding in found if finding is not None]


def _next_pass(result: Children, findings: Sequence[Finding], *, is_told: bool) -> float | None:
    """Return when to look again: at once while something is under way, else as usual.

    ``is_told`` says whether Prometheus has told all that the status shows of it.
    """
    if any(each.type == LOADED and each.reason == "Reloading" for each in findings):
        return _UNCONFIRMED_SECONDS
    if any(each.type == LOADED and each.reason == CHANGING for each in findings):
        return _CHANGING_SECONDS
    if result.replacing:
        return _REPLACING_SECONDS
    if any(each.type == NOTIFYING and each.reason == "NotConnected" for each in findings):
        return _CONNECTING_SECONDS
    watched = (each for each in findings if each.type in _WATCHED)
    settled = all(each.status is ConditionStatus.TRUE for each in watched)
    if not settled:
        return _NOT_READY_SECONDS
    return None if is_told else _TARGETS_SECONDS

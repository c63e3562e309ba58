"""A pass over one AutoResponse: read it, find its stack, hand it to its target.

Its status is written by the pass over its target, which knows what the state is; only an
AutoResponse that cannot be read at all is answered here.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from firewatch.api.alert_source import ExternalSource
from firewatch.api.conditions import Finding, bad, good, merge_conditions
from firewatch.api.resource import Key, Object
from firewatch.api.responses import AutoResponseSpec, AutoResponseStatus
from firewatch.build.names import REPLICA_LABEL
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import AUTO_RESPONSE, MONITORING_STACK, target_kind
from firewatch.cluster.status import write_status
from firewatch.reconcile.invalid import explain_invalid
from firewatch.reconcile.stackref import resolve_stack
from firewatch.respond.context import RespondContext
from firewatch.respond.external import external_key, names_secrets
from firewatch.respond.registry import Entry, source_key
from firewatch.respond.sizes import KIND_NOT_GRANTED, kind_not_granted
from firewatch.respond.status import split_records
from firewatch.settings import Settings


async def reconcile_response(context: RespondContext, key: Key) -> float | None:
    """Read an AutoResponse anew and wake its target and the source of its alerts."""
    before = context.registry.get(key.namespace, key.name)
    for target in before.targets if before else ():
        context.wake(target)
    try:
        live = await context.cluster.get(AUTO_RESPONSE, key.namespace, key.name)
    except NotFoundError:
        context.registry.drop(key.namespace, key.name)
        return math.inf
    # What a newer operator has left here must not hold up the deletion: what is owed is known.
    is_leaving = "deletionTimestamp" in live["metadata"]
    try:
        spec = AutoResponseSpec.model_validate(
            live["spec"], extra="ignore" if is_leaving else "forbid"
        )
    except ValidationError as error:
        await _refuse(context, live, error)
        return None
    entry = await _entry(context, live, spec)
    entry = replace(entry, since=_since(before, entry, context.clock()))
    context.registry.put(entry, before)
    if entry.source is not None:
        context.wake(entry.source)
    for concerned in (*entry.targets, *entry.telling):
        context.wake(concerned)
    return None


def _since(before: Entry | None, entry: Entry, now: datetime) -> datetime:
    """Return since when an AutoResponse has been as it is."""
    if before is None or _form(before) != _form(entry):
        return now
    return before.since


def _form(entry: Entry) -> tuple[object, ...]:
    metadata = entry.live["metadata"]
    return (metadata["uid"], metadata["generation"], entry.source)


async def _entry(context: RespondContext, live: Object, spec: AutoResponseSpec) -> Entry:
    namespace = live["metadata"]["namespace"]
    refused = next(_refusals(context.settings, spec, namespace), None)
    if refused is not None:
        return Entry(live, spec, bad("Accepted", *refused), None)
    if spec.source is not None:
        return _with_own_source(context, live, spec, spec.source)
    stacks = await context.cluster.list(MONITORING_STACK, namespace)
    names = [stack["metadata"]["name"] for stack in stacks]
    stack = resolve_stack(spec.stack_ref.name if spec.stack_ref else None, names)
    if isinstance(stack, Finding):
        return Entry(live, spec, stack, None)
    source = source_key(namespace, stack)
    metrics = next(s["spec"] for s in stacks if s["metadata"]["name"] == stack).get("metrics", {})
    context.sources.configure(
        source, frozenset({*metrics.get("externalLabels", {}), REPLICA_LABEL})
    )
    accepted = good("Accepted", "Accepted", f"alerts come from MonitoringStack {stack}")
    return Entry(live, spec, accepted, source)


def _refusals(
    settings: Settings, spec: AutoResponseSpec, namespace: str
) -> Iterator[tuple[str, str]]:
    """Yield what the chart does not let it do: reason, and message with the remedy."""
    if spec.target is not None and not settings.grants_targets(namespace):
        message = (
            f"Firewatch may not change workloads in namespace {namespace}; add it to"
            " targets.namespaces of the chart"
        )
        yield "NamespaceNotGranted", message
    if spec.target is not None and target_kind(settings, spec.target.kind) is None:
        yield KIND_NOT_GRANTED, kind_not_granted(spec.target.kind)
    if spec.restart is not None and not settings.restarts:
        message = "Firewatch may not restart workloads; set targets.restart of the chart"
        yield KIND_NOT_GRANTED, message
    if spec.circuit_breaker is not None and not settings.breakers:
        message = "Firewatch may open no circuit breakers; set targets.circuitBreaker of the chart"
        yield KIND_NOT_GRANTED, message


def _with_own_source(
    context: RespondContext, live: Object, spec: AutoResponseSpec, wanted: ExternalSource
) -> Entry:
    namespace, name = live["metadata"]["namespace"], live["metadata"]["name"]
    if names_secrets(wanted) and not context.settings.grants_sources(namespace):
        message = (
            f"Firewatch may not read Secrets in namespace {namespace}, which source names; add it to"
            " sources.namespaces of the chart"
        )
        return Entry(live, spec, bad("Accepted", "NamespaceNotGranted", message), None)
    source = external_key(namespace, name)
    context.sources.configure(source, frozenset(wanted.external_labels))
    accepted = good("Accepted", "Accepted", f"alerts come from {wanted.prometheus.url}")
    return Entry(live, spec, accepted, source)


async def _refuse(context: RespondContext, live: Object, error: ValidationError) -> None:
    """Say what is wrong with a spec; what it owes is kept until it can be read again."""
    rest, owed = split_records(live)
    status = AutoResponseStatus.model_validate(rest)
    generation = live["metadata"]["generation"]
    conditions = merge_conditions(
        status.conditions,
        [bad("Accepted", "InvalidSpec", explain_invalid(error))],
        generation=generation,
        now=context.clock(),
    )
    update = {"conditions": conditions, "observed_generation": generation}
    after = status.model_copy(update=update).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    await write_status(context.cluster, AUTO_RESPONSE, live, {**after, **owed})

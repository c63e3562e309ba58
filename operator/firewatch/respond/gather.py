"""Everything that a decision about one target depends on, read and put together."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from firewatch.api.circuit import BreakerRecord
from firewatch.api.circuit_breaker import CircuitBreaker
from firewatch.api.conditions import parse_time
from firewatch.api.lost_ledger import LostLedger
from firewatch.api.resource import Key, Object
from firewatch.api.responses import OPT_IN_LABEL, UNDO, Request, Tripped
from firewatch.api.restart import RestartRecord
from firewatch.cluster.find import find, find_all
from firewatch.cluster.kinds import (
    HORIZONTAL_POD_AUTOSCALER,
    NAMESPACE,
    POD_DISRUPTION_BUDGET,
    SCALED_OBJECT,
)
from firewatch.respond.approval import find_verdict
from firewatch.respond.autoscalers import find_autoscaler, is_made_by_keda
from firewatch.respond.breaker import find_trip
from firewatch.respond.breaking import BREAKER_SCHEMA
from firewatch.respond.circuit.look import Lookout, Subject
from firewatch.respond.context import RespondContext
from firewatch.respond.gitops import find_keeper
from firewatch.respond.limits import Limits, Usage, measure_usage
from firewatch.respond.lost import is_unrecorded
from firewatch.respond.managers import last_writer
from firewatch.respond.pausing import find_pause
from firewatch.respond.registry import Entry, target_of
from firewatch.respond.renewal import Renewal, find_renewal
from firewatch.respond.report import read_ledger, read_record
from firewatch.respond.signals import errors_since, judge
from firewatch.respond.situation import Autoscaler, OpenBreaker, Responder, Situation, Target
from firewatch.respond.sizes import granted_kind, is_extra, read_scale, size_of


async def gather(context: RespondContext, key: Key, entries: list[Entry]) -> Situation:
    """Return what is to be known of a target; ``ForbiddenError`` if something may not be read."""
    ledger, unreadable = read_ledger(key, entries)
    held = {claim.uid for claim in ledger.claims} if ledger else set[str]()
    not_recorded = ledger is None and not unreadable
    responders = tuple(
        replace(
            _responder(context, key, entry, held),
            is_unrecorded=not_recorded and is_unrecorded(entry.live),
        )
        for entry in entries
        if entry.is_accepted
        or entry.live["metadata"]["uid"] in held
        or entry.breaking == key
        or (not_recorded and is_unrecorded(entry.live))
        # Even one that has no source of alerts, as while a backup is applied, bears witness.
        or _lost(entry, key) is not None
    )
    # What is owed is looked for in any case: only the API server can say that it is gone.
    is_owed = ledger is not None or any(entry.breaking == key for entry in entries)
    may_act = bool(responders) and context.settings.grants_targets(key.namespace)
    target, live = None, None
    if is_owed or may_act:
        target, live = await _read_target(context, key, responders)
        responders = await _with_worlds(context, key, responders, target, live)
    # From here on nothing is waited for, so that targets that act at once know of each other.
    return Situation(
        now=context.clock(),
        target=target,
        responders=responders,
        ledger=ledger,
        usage=_usage(context, key),
        trip=_trip(context, key),
        unreadable=unreadable,
        breakers=_open_breakers(context, key),
        most_breakers=context.settings.max_breakers,
    )


def _open_breakers(context: RespondContext, key: Key) -> tuple[OpenBreaker, ...]:
    """Return the circuit breakers of the namespace that are open at other targets, or about to be."""
    registry, here = context.registry, [e for e in context.registry if e.namespace == key.namespace]
    about_to = {each for each in registry.breaking if each.namespace == key.namespace}
    found: dict[Key, set[str]] = {each: set() for each in about_to - {key}}
    for entry in here:
        wanted = entry.spec.circuit_breaker
        opened = {entry.breaking} if entry.breaking else set()
        for target in (opened | (about_to & {entry.target})) - {key}:
            found.setdefault(target, set()).update(wanted.depends_on if wanted else ())
    return tuple(OpenBreaker(target_of(k)[1], frozenset(names)) for k, names in found.items())


def _trip(context: RespondContext, key: Key) -> Tripped | None:
    """Return why nothing more is begun in the namespace, if too much has ended badly."""
    trip = find_trip(
        key.namespace, context.registry, context.settings.max_failures, context.clock()
    )
    context.metrics.responses.tripped.labels(key.namespace).set(trip is not None)
    return trip


def _usage(context: RespondContext, key: Key) -> Usage:
    """Return what AutoResponses have done lately; right before it is decided what more to do."""
    settings, registry = context.settings, context.registry
    limits = Limits(
        namespace_actions=settings.namespace_actions,
        cluster_actions=settings.cluster_actions,
        targets=settings.max_targets,
    )
    return measure_usage(key, registry, registry.reserved, limits, context.clock())


def _responder(context: RespondContext, key: Key, entry: Entry, held: Collection[str]) -> Responder:
    metadata, status = entry.live["metadata"], entry.live.get("status", {})
    now, raw = context.clock(), status.get("request")
    request = Request.model_validate(raw) if raw else None
    begun, (breaker, unreadable) = status.get("restart"), _breaker(entry, key)
    cooldown = status.get("cooldownUntil")
    return Responder(
        name=entry.name,
        uid=metadata["uid"],
        created=metadata["creationTimestamp"],
        spec=entry.spec,
        signal=judge(entry.spec.trigger, context.sources.known_to(entry), now, entry.spec.recovery),
        leaving=entry.deleting
        or not entry.is_accepted
        or entry.target != key
        or bool(entry.owes - {key}),
        cooldown_until=parse_time(cooldown) if cooldown else None,
        pause=find_pause(entry.live, now),
        request=request,
        verdict=find_verdict(entry.live, request, now),
        undo=(metadata.get("annotations") or {}).get(UNDO, ""),
        holds_claim=metadata["uid"] in held or bool(begun) or entry.breaking == key,
        restart=RestartRecord.model_validate(begun) if begun else None,
        breaker=breaker,
        unreadable_breaker=unreadable,
        tripped_at=entry.tripped.at if entry.tripped else "",
        lost=_lost(entry, key),
    )


def _lost(entry: Entry, key: Key) -> LostLedger | None:
    """Return what the status says of a lost record about the target."""
    raw = entry.live.get("status", {}).get("ledgerLost")
    is_over = entry.deleting or entry.target != key
    return LostLedger.model_validate(raw) if raw and not is_over else None


def _breaker(entry: Entry, key: Key) -> tuple[BreakerRecord | None, str]:
    """Return the circuit breaker of a target, or why its record cannot be understood."""
    if entry.breaking != key:
        return None, ""
    raw = entry.live["status"]["breaker"]
    return read_record(raw, BreakerRecord, (BREAKER_SCHEMA,), "the record of its circuit breaker")


async def _with_worlds(
    context: RespondContext,
    key: Key,
    responders: tuple[Responder, ...],
    target: Target | None,
    live: Object | None,
) -> tuple[Responder, ...]:
    """Return the responders with what their circuit breakers have to know.

    That is read only for one that is open, or whose alert asks for it.
    """
    lookouts = {
        r.uid: lookout
        for r in responders
        if (lookout := _lookout(context, key, r, target, live)) is not None
    }
    if not lookouts:
        return responders
    found = await asyncio.gather(*(each.look() for each in lookouts.values()))
    worlds = dict(zip(lookouts, found, strict=True))
    return tuple(replace(r, world=worlds.get(r.uid)) for r in responders)


def _lookout(
    context: RespondContext,
    key: Key,
    responder: Responder,
    target: Target | None,
    live: Object | None,
) -> Lookout | None:
    record = responder.breaker
    may_open = responder.breaks and responder.asks and not responder.leaving and live is not None
    entry = context.registry.get(key.namespace, responder.name)
    if entry is None or (record is None and not may_open):
        return None
    is_meant = target is not None and (record is None or record.target.uid == target.uid)
    since = errors_since(responder.signal, context.sources.known_to(entry))
    return Lookout(
        context.cluster,
        context.count,
        entry.source,
        _subject(key, target, live if is_meant else None, since=since),
        wanted=responder.spec.circuit_breaker or CircuitBreaker(),
        record=record,
        now=context.clock(),
        absent=context.absent,
    )


def _subject(
    key: Key, target: Target | None, live: Object | None, *, since: datetime | None
) -> Subject:
    kind, name = target_of(key)
    scaler = target.autoscaler if target else None
    return Subject(
        namespace=key.namespace,
        kind=kind,
        name=name,
        live=live,
        scaled_by=f"{scaler.kind} {scaler.name}" if scaler else "",
        kept_by=str(find_keeper(live) or "") if live else "",
        errors_since=since,
    )


async def _read_target(
    context: RespondContext, key: Key, responders: Sequence[Responder]
) -> tuple[Target | None, Object | None]:
    """Return the target, and the object as the API server has it."""
    wanted, name = target_of(key)
    kind = granted_kind(context.settings, wanted)
    # One that leaves restarts nothing, and there may be no right to what that takes.
    restarts = any(each.restarts and not each.leaving for each in responders)
    has_restarted = any(each.restart is not None for each in responders)
    # At the same time, since all of this stands between an alert and its answer.
    live, scale, (scalers, scaled_objects), budgets = await asyncio.gather(
        find(context.cluster, kind, key.namespace, name),
        read_scale(context.cluster, kind, key.namespace, name),
        _read_autoscalers(context, key.namespace),
        _read_budgets(context, key.namespace, wanted=restarts),
    )
    if live is None:
        return None, None
    size, found = size_of(kind, live, scale), find_autoscaler(kind, name, scalers, scaled_objects)
    target = Target(
        kind=kind.kind,
        name=name,
        uid=live["metadata"]["uid"],
        replicas=size.replicas,
        paused=size.paused,
        opted_in=await _opted_in(context, live),
        last_writer=last_writer(live, "replicas"),
        ready=size.ready,
        autoscaler=found if isinstance(found, Autoscaler) else None,
        ambiguity=found if isinstance(found, str) else "",
        renewal=find_renewal(kind, live, budgets) if restarts or has_restarted else Renewal(),
        extra=kind if is_extra(kind) else None,
    )
    return target, live


async def _read_budgets(context: RespondContext, namespace: str, *, wanted: bool) -> list[Object]:
    """Return the PodDisruptionBudgets of a namespace, which only a restart has to do with."""
    return await context.cluster.list(POD_DISRUPTION_BUDGET, namespace) if wanted else []


async def _read_autoscalers(
    context: RespondContext, namespace: str
) -> tuple[list[Object], list[Object]]:
    """Return the HorizontalPodAutoscalers and ScaledObjects of a namespace."""
    if not context.absent.has(SCALED_OBJECT, context.clock()):
        return await asyncio.gather(
            context.cluster.list(HORIZONTAL_POD_AUTOSCALER, namespace),
            _scaled_objects(context, namespace),
        )
    scalers = await context.cluster.list(HORIZONTAL_POD_AUTOSCALER, namespace)
    # KEDA has been installed since.
    is_outdated = any(is_made_by_keda(scaler) for scaler in scalers)
    return scalers, await _scaled_objects(context, namespace) if is_outdated else []


async def _scaled_objects(context: RespondContext, namespace: str) -> list[Object]:
    found = await find_all(context.cluster, SCALED_OBJECT, namespace)
    if found is None:
        context.absent.note(SCALED_OBJECT, context.clock())
    return found or []


async def _opted_in(context: RespondContext, live: Object) -> bool:
    metadata = live["metadata"]
    if OPT_IN_LABEL in metadata.get("labels", {}):
        # The target's own label wins over its namespace's, also to opt out.
        return bool(metadata["labels"][OPT_IN_LABEL] == "enabled")
    namespace = await context.cluster.get(NAMESPACE, "", metadata["namespace"])
    return bool(namespace["metadata"].get("labels", {}).get(OPT_IN_LABEL) == "enabled")

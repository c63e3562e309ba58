"""A pass over one target: gather, decide, write the ledger, write the target, tell.

Whatever the order in which the operator is stopped, the ledger says before each write what is about
to be written, so the next pass can tell what became of it.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from firewatch.api.conditions import parse_time
from firewatch.api.lost_ledger import LostLedger
from firewatch.api.resource import Again, Key, Object
from firewatch.api.responses import OPT_IN_LABEL, UNDO, Request, Tripped
from firewatch.api.restart import RestartRecord
from firewatch.cluster.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from firewatch.cluster.find import find
from firewatch.cluster.kinds import (
    AUTO_RESPONSE,
    HORIZONTAL_POD_AUTOSCALER,
    NAMESPACE,
    POD_DISRUPTION_BUDGET,
    SCALED_OBJECT,
)
from firewatch.respond.actuator import level_write, replicas_write
from firewatch.respond.approval import find_verdict
from firewatch.respond.autoscalers import find_autoscaler, is_made_by_keda
from firewatch.respond.breaker import find_trip, with_trip
from firewatch.respond.context import RespondContext
from firewatch.respond.idle import RECHECK_SECONDS
from firewatch.respond.limits import Limits, Usage, measure_usage
from firewatch.respond.lost import is_unrecorded
from firewatch.respond.managers import last_writer
from firewatch.respond.notices import due_in
from firewatch.respond.pausing import find_pause
from firewatch.respond.registry import Entry, target_of
from firewatch.respond.renewal import Renewal, find_renewal
from firewatch.respond.report import (
    abandon,
    read_ledger,
    release_finalizers,
    report,
    report_problem,
)
from firewatch.respond.restart import restart
from firewatch.respond.restarting import decide_all
from firewatch.respond.signals import NOT_POLLED, judge
from firewatch.respond.situation import Autoscaler, Decision, Responder, Situation, Target
from firewatch.respond.sizes import (
    KIND_NOT_GRANTED,
    NOT_SCALABLE,
    granted_kind,
    is_extra,
    read_scale,
    size_of,
)

_log = logging.getLogger(__name__)

_PATIENCE = timedelta(seconds=20)
"""How long deletion waits for rights to come back."""
_AGAIN = Again(0.1)
"""How soon a target is looked at again after somebody else's write came in between."""
_AFTER_OTHERS = Again(0.0)
"""At once, behind those that wait already."""
_MOST_WRITES = 4
"""Writes to the target in one pass: one is usual, and a re-fire during a ramp may add one."""


async def reconcile_target(context: RespondContext, key: Key) -> float | None:
    """Bring a target to what its AutoResponses want; return when to look again."""
    entries = context.registry.on_target(key)
    if not entries:
        _forget_trip(context, key.namespace)
        return float("inf")
    try:
        return await _attend(context, key, entries)
    except (ConflictError, NotFoundError) as error:
        # Somebody else wrote in between: look again at everything that is involved.
        _log.info("%s changed while it was being worked on: %s", key, error)
        await read_again(context, entries)
        return _AGAIN


def _forget_trip(context: RespondContext, namespace: str) -> None:
    """Take back that the breaker of a namespace is open, once nobody is left who says so."""
    if not any(entry.namespace == namespace for entry in context.registry):
        context.metrics.responses.tripped.labels(namespace).set(0)


async def _attend(context: RespondContext, key: Key, entries: list[Entry]) -> float | None:
    try:
        situation = await _gather(context, key, entries)
        if _is_blind(situation):
            return RECHECK_SECONDS
        return await _act(context, key, situation)
    except ForbiddenError as error:
        return await _without_rights(context, key, error)
    finally:
        context.registry.reserved.discard(key)


async def _without_rights(context: RespondContext, key: Key, error: ForbiddenError) -> float:
    """Say that the operator may not see or change the target.

    If its AutoResponse is being deleted, as when the whole namespace goes and the operator's
    RoleBinding with it, deletion does not wait for ever: after a while what is owed is given up.
    """
    leaving = [e for e in context.registry.on_target(key) if e.deleting and e.owed == key]
    late = [e for e in leaving if context.clock() - e.deleted_at > _PATIENCE]
    for entry in late:
        await abandon(context, key, entry, str(error))
    if not late:
        reason, message = _explain(error)
        if leaving:
            seconds = int(_PATIENCE.total_seconds())
            message += f" within {seconds} s of the deletion, or what is owed is given up"
        await report_problem(context, key, reason, message)
        # One that owes nothing does not wait for rights.
        await release_finalizers(context, key)
    return 5.0 if leaving else RECHECK_SECONDS


def _explain(error: ForbiddenError) -> tuple[str, str]:
    """Return reason and message of a target that may not be seen or changed."""
    if error.reason in (KIND_NOT_GRANTED, NOT_SCALABLE):
        return error.reason, str(error)
    return "Forbidden", f"{error}; grant the namespace in targets.namespaces of the chart"


def _is_blind(situation: Situation) -> bool:
    """Tell whether nothing can be said before Prometheus has been asked, as after a start.

    The poll wakes the target. Until then not even the status is written, so that a restart in a
    quiet cluster changes nothing.
    """
    asked = (r.fires or r.leaving or r.signal.reason != NOT_POLLED for r in situation.responders)
    return bool(situation.responders) and not any(asked)


async def _act(context: RespondContext, key: Key, situation: Situation) -> float | None:
    for _ in range(_MOST_WRITES):
        decision = with_trip(situation, decide_all(situation))
        if decision.writes:
            # Before anything is awaited, so that targets that act at once know of each other.
            context.registry.reserved.add(key)
        await _nudge(context, key, situation, decision)
        if decision.restart is None:
            _spread_trip(context, key, decision.trip)
            await report(context, key, situation, decision)
            # What is to be written stands in the ledger now, and is counted by that.
            context.registry.reserved.discard(key)
        if not decision.writes or situation.target is None:
            break
        try:
            situation = await _write(context, key, situation, decision)
        except (ForbiddenError, InvalidError) as error:
            message = f"the API server refuses the change: {error}"
            await report_problem(context, key, "WriteRefused", message)
            return RECHECK_SECONDS
        if context.others_wait():
            # As if killed here: the ledger says enough to tell later what was done.
            return _AFTER_OTHERS
    return _next_look(context, key, decision.seconds)


def _next_look(context: RespondContext, key: Key, seconds: float | None) -> float | None:
    """Return when to look again: at the latest when an alert that people know of is over."""
    entries = [entry for entry in context.registry.on_target(key) if entry.target == key]
    now = context.clock()
    ends = [due_in(entry.notices, entry.spec.recovery, now) for entry in entries]
    return min((wait for wait in (seconds, *ends) if wait is not None), default=None)


async def _gather(context: RespondContext, key: Key, entries: list[Entry]) -> Situation:
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
        or (not_recorded and is_unrecorded(entry.live))
        # Even one that has no source of alerts, as while a backup is applied, bears witness.
        or _lost(entry, key) is not None
    )
    # What is owed is looked for in any case: only the API server can say that it is gone.
    is_owed = ledger is not None
    may_act = bool(responders) and context.settings.grants_targets(key.namespace)
    return Situation(
        now=context.clock(),
        target=await _read_target(context, key, responders) if is_owed or may_act else None,
        responders=responders,
        ledger=ledger,
        usage=_usage(context, key),
        trip=_trip(context, key),
        unreadable=unreadable,
    )


def _trip(context: RespondContext, key: Key) -> Tripped | None:
    """Return why nothing more is begun in the namespace, if too much has ended badly."""
    trip = find_trip(
        key.namespace, context.registry, context.settings.max_failures, context.clock()
    )
    context.metrics.responses.tripped.labels(key.namespace).set(trip is not None)
    return trip


def _spread_trip(context: RespondContext, key: Key, trip: Tripped | None) -> None:
    """Have the others of the namespace say so as well, when the first is about to."""
    here = [entry for entry in context.registry if entry.namespace == key.namespace]
    if trip is not None and not any(entry.tripped == trip for entry in here):
        for entry in here:
            if entry.target != key:
                context.wake(entry.target)


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
    begun = status.get("restart")
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
        or entry.owed not in (None, key),
        cooldown_until=parse_time(cooldown) if cooldown else None,
        pause=find_pause(entry.live, now),
        request=request,
        verdict=find_verdict(entry.live, request, now),
        undo=(metadata.get("annotations") or {}).get(UNDO, ""),
        holds_claim=metadata["uid"] in held or bool(begun),
        restart=RestartRecord.model_validate(begun) if begun else None,
        tripped_at=entry.tripped.at if entry.tripped else "",
        lost=_lost(entry, key),
    )


def _lost(entry: Entry, key: Key) -> LostLedger | None:
    """Return what the status says of a lost record about the target."""
    raw = entry.live.get("status", {}).get("ledgerLost")
    is_over = entry.deleting or entry.target != key
    return LostLedger.model_validate(raw) if raw and not is_over else None


async def _read_target(
    context: RespondContext, key: Key, responders: Sequence[Responder]
) -> Target | None:
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
        return None
    size, found = size_of(kind, live, scale), find_autoscaler(kind, name, scalers, scaled_objects)
    return Target(
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
    try:
        return await context.cluster.list(SCALED_OBJECT, namespace)
    except NotFoundError:
        context.absent.note(SCALED_OBJECT, context.clock())
        return []


async def _opted_in(context: RespondContext, live: Object) -> bool:
    metadata = live["metadata"]
    if OPT_IN_LABEL in metadata.get("labels", {}):
        # The target's own label wins over its namespace's, also to opt out.
        return bool(metadata["labels"][OPT_IN_LABEL] == "enabled")
    namespace = await context.cluster.get(NAMESPACE, "", metadata["namespace"])
    return bool(namespace["metadata"].get("labels", {}).get(OPT_IN_LABEL) == "enabled")


async def _nudge(
    context: RespondContext, key: Key, situation: Situation, decision: Decision
) -> None:
    """Help a target to the minimum of its autoscaler, which looks every 15 seconds only.

    That is not owed: an autoscaler goes down again by itself.
    """
    if decision.nudge_to is not None and situation.target is not None:
        await context.cluster.write(
            replicas_write(situation.target, key.namespace, decision.nudge_to)
        )


async def _write(
    context: RespondContext, key: Key, situation: Situation, decision: Decision
) -> Situation:
    """Do what was decided and announced; return the situation as it then is."""
    if decision.restart is not None:
        return await restart(context, key, situation, *decision.restart)
    return await _scale(context, key, situation, decision)


async def _scale(
    context: RespondContext, key: Key, situation: Situation, decision: Decision
) -> Situation:
    """Write the level, on condition that it still is as it was when that was decided."""
    target, level, ledger = situation.target, decision.scale_to, decision.ledger
    assert target is not None
    assert level is not None
    assert ledger is not None
    await context.cluster.write(level_write(target, key.namespace, level, ledger))
    if level > target.level:
        starts = [r.signal.alert.starts_at for r in situation.responders if r.signal.alert]
        latency = (context.clock() - min(starts)).total_seconds()
        context.metrics.responses.latency_seconds.observe(max(0.0, latency))
    return replace(situation, ledger=ledger, target=target.at_level(level))


async def read_again(context: RespondContext, entries: Iterable[Entry]) -> None:
    """Read AutoResponses anew after somebody else's write."""
    for entry in entries:
        before = context.registry.get(entry.namespace, entry.name)
        try:
            live = await context.cluster.get(AUTO_RESPONSE, entry.namespace, entry.name)
        except NotFoundError:
            context.registry.drop(entry.namespace, entry.name)
        else:
            context.registry.renew(live, before)

"""A pass over one target: gather, decide, write the ledger, write the target, tell.

Whatever the order in which the operator is stopped, the ledger says before each write what is about
to be written, so the next pass can tell what became of it.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from firewatch.api.resource import Again, Key
from firewatch.api.responses import Tripped
from firewatch.cluster.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from firewatch.cluster.kinds import (
    AUTO_RESPONSE,
)
from firewatch.respond.actuator import level_write, replicas_write
from firewatch.respond.breaker import with_trip
from firewatch.respond.breaking import with_breakers
from firewatch.respond.context import RespondContext
from firewatch.respond.gather import gather
from firewatch.respond.idle import RECHECK_SECONDS
from firewatch.respond.notices import due_in
from firewatch.respond.pull import pull
from firewatch.respond.registry import Entry
from firewatch.respond.report import (
    abandon,
    release_finalizers,
    report,
    report_problem,
)
from firewatch.respond.restart import restart
from firewatch.respond.restarting import decide_all
from firewatch.respond.signals import NOT_POLLED
from firewatch.respond.situation import Decision, Situation
from firewatch.respond.sizes import (
    KIND_NOT_GRANTED,
    NOT_SCALABLE,
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
        situation = await gather(context, key, entries)
        if _is_blind(situation):
            return RECHECK_SECONDS
        return await _act(context, key, situation)
    except ForbiddenError as error:
        return await _without_rights(context, key, error)
    finally:
        context.registry.reserved.discard(key)
        context.registry.breaking.discard(key)


async def _without_rights(context: RespondContext, key: Key, error: ForbiddenError) -> float:
    """Say that the operator may not see or change the target.

    If its AutoResponse is being deleted, as when the whole namespace goes and the operator's
    RoleBinding with it, deletion does not wait for ever: after a while what is owed is given up.
    """
    leaving = [e for e in context.registry.on_target(key) if e.deleting and key in e.owes]
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
        decision = with_trip(situation, with_breakers(situation, decide_all(situation)))
        _reserve(context, key, decision)
        await _nudge(context, key, situation, decision)
        if decision.restart is None and decision.pull is None:
            _spread_trip(context, key, decision.trip)
            await report(context, key, situation, decision)
            # What is to be written stands in the ledger now, and is counted by that.
            context.registry.reserved.discard(key)
        # What a circuit breaker holds beside its target goes back even if that is gone.
        if not decision.writes or (situation.target is None and decision.pull is None):
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


def _reserve(context: RespondContext, key: Key, decision: Decision) -> None:
    """Have targets that act at once know of each other, before anything is awaited."""
    if decision.writes:
        context.registry.reserved.add(key)
    if decision.pull is not None:
        context.registry.breaking.add(key)


def _next_look(context: RespondContext, key: Key, seconds: float | None) -> float | None:
    """Return when to look again: at the latest when an alert that people know of is over."""
    entries = [entry for entry in context.registry.on_target(key) if entry.target == key]
    now = context.clock()
    ends = [due_in(entry.notices, entry.spec.recovery, now) for entry in entries]
    return min((wait for wait in (seconds, *ends) if wait is not None), default=None)


def _spread_trip(context: RespondContext, key: Key, trip: Tripped | None) -> None:
    """Have the others of the namespace say so as well, when the first is about to."""
    here = [entry for entry in context.registry if entry.namespace == key.namespace]
    if trip is not None and not any(entry.tripped == trip for entry in here):
        for entry in here:
            if entry.target != key:
                context.wake(entry.target)


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
    if decision.pull is not None:
        return await pull(context, key, situation, decision.pull)
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

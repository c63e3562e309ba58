"""A pass over one target: gather, decide, write the ledger, write the target, tell.

Whatever the order in which the operator is stopped, the ledger says before each write what is about
to be written, so the next pass can tell what became of it.
"""

import logging
from dataclasses import replace
from datetime import timedelta

from firewatch.api.conditions import parse_time
from firewatch.api.resource import Key, Object
from firewatch.api.responses import OPT_IN_LABEL
from firewatch.cluster.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT, NAMESPACE
from firewatch.respond.actuator import scale_write
from firewatch.respond.context import RespondContext
from firewatch.respond.decide import decide
from firewatch.respond.idle import RECHECK_SECONDS
from firewatch.respond.registry import Entry
from firewatch.respond.report import abandon, read_ledger, report, report_problem
from firewatch.respond.signals import judge
from firewatch.respond.situation import Responder, Situation, Target

_log = logging.getLogger(__name__)

_PATIENCE = timedelta(seconds=20)
"""How long deletion waits for rights to come back."""
_AGAIN_SECONDS = 0.1
"""How soon a target is looked at again after somebody else's write came in between."""
_MOST_WRITES = 4
"""Writes to the target in one pass: one is usual, and a re-fire during a ramp may add one."""


async def reconcile_target(context: RespondContext, key: Key) -> float | None:
    """Bring a target to what its AutoResponses want; return when to look again."""
    entries = context.registry.on_target(key)
    if not entries:
        return float("inf")
    try:
        return await _attend(context, key, entries)
    except (ConflictError, NotFoundError) as error:
        # Somebody else wrote in between: look again at everything that is involved.
        _log.info("%s changed while it was being worked on: %s", key, error)
        await _read_again(context, entries)
        return _AGAIN_SECONDS


async def _attend(context: RespondContext, key: Key, entries: list[Entry]) -> float | None:
    try:
        situation = await _gather(context, key, entries)
        if _is_blind(situation):
            return RECHECK_SECONDS
        return await _act(context, key, situation)
    except ForbiddenError as error:
        return await _without_rights(context, key, error)


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
        message = f"{error}; grant the namespace in targets.namespaces of the chart"
        if leaving:
            seconds = int(_PATIENCE.total_seconds())
            message += f" within {seconds} s of the deletion, or what is owed is given up"
        await report_problem(context, key, "Forbidden", message)
    return 5.0 if leaving else RECHECK_SECONDS


def _is_blind(situation: Situation) -> bool:
    """Tell whether nothing can be said before Prometheus has been asked, as after a start.

    The poll wakes the target. Until then not even the status is written, so that a restart in a
    quiet cluster changes nothing.
    """
    asked = (r.fires or r.leaving or r.signal.reason != "NotPolled" for r in situation.responders)
    return bool(situation.responders) and not any(asked)


async def _act(context: RespondContext, key: Key, situation: Situation) -> float | None:
    for _ in range(_MOST_WRITES):
        decision = decide(situation)
        await report(context, key, situation, decision)
        if decision.scale_to is None or situation.target is None:
            break
        try:
            await _scale(context, key, situation, decision.scale_to)
        except (ForbiddenError, InvalidError) as error:
            message = f"the API server refuses the change of replicas: {error}"
            await report_problem(context, key, "WriteRefused", message)
            return RECHECK_SECONDS
        situation = replace(
            situation,
            ledger=decision.ledger,
            target=replace(situation.target, replicas=decision.scale_to),
        )
    return decision.seconds


async def _gather(context: RespondContext, key: Key, entries: list[Entry]) -> Situation:
    ledger, unreadable = read_ledger(key, entries)
    held = {claim.uid for claim in ledger.claims} if ledger else set[str]()
    responders = tuple(
        _responder(context, key, entry)
        for entry in entries
        if entry.is_accepted or entry.live["metadata"]["uid"] in held
    )
    # What is owed is looked for in any case: only the API server can say that it is gone.
    is_owed = ledger is not None
    may_act = bool(responders) and context.settings.grants_targets(key.namespace)
    return Situation(
        now=context.clock(),
        target=await _read_target(context, key) if is_owed or may_act else None,
        responders=responders,
        ledger=ledger,
        unreadable=unreadable,
    )


def _responder(context: RespondContext, key: Key, entry: Entry) -> Responder:
    metadata, status = entry.live["metadata"], entry.live.get("status", {})
    cooldown = status.get("cooldownUntil")
    return Responder(
        name=entry.name,
        uid=metadata["uid"],
        created=metadata["creationTimestamp"],
        spec=entry.spec,
        signal=judge(entry.spec.trigger, context.sources.known_to(entry), context.clock()),
        leaving=entry.deleting
        or not entry.is_accepted
        or entry.target != key
        or entry.owed not in (None, key),
        cooldown_until=parse_time(cooldown) if cooldown else None,
    )


async def _read_target(context: RespondContext, key: Key) -> Target | None:
    kind, _, name = key.name.partition("/")
    try:
        live = await context.cluster.get(DEPLOYMENT, key.namespace, name)
    except NotFoundError:
        return None
    spec = live["spec"]
    return Target(
        kind=kind,
        name=name,
        uid=live["metadata"]["uid"],
        replicas=spec["replicas"],
        paused=spec.get("paused", False),
        opted_in=await _opted_in(context, live),
        last_writer=_last_writer(live),
    )


async def _opted_in(context: RespondContext, live: Object) -> bool:
    metadata = live["metadata"]
    if OPT_IN_LABEL in metadata.get("labels", {}):
        # The target's own label wins over its namespace's, also to opt out.
        return bool(metadata["labels"][OPT_IN_LABEL] == "enabled")
    namespace = await context.cluster.get(NAMESPACE, "", metadata["namespace"])
    return bool(namespace["metadata"].get("labels", {}).get(OPT_IN_LABEL) == "enabled")


def _last_writer(live: Object) -> str:
    """Return the field manager that owns ``spec.replicas``, the latest if there are several."""
    owners = [
        entry
        for entry in live["metadata"].get("managedFields", ())
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    ]
    latest: Object = max(owners, key=lambda entry: str(entry.get("time", "")), default={})
    return str(latest.get("manager") or "somebody else")


async def _scale(context: RespondContext, key: Key, situation: Situation, replicas: int) -> None:
    """Write the replicas, on condition that they still are as they were when it was decided."""
    target = situation.target
    assert target is not None
    await context.cluster.write(scale_write(target, key.namespace, replicas))
    if replicas > target.replicas:
        starts = [r.signal.alert.starts_at for r in situation.responders if r.signal.alert]
        latency = (context.clock() - min(starts)).total_seconds()
        context.metrics.responses.latency_seconds.observe(max(0.0, latency))


async def _read_again(context: RespondContext, entries: list[Entry]) -> None:
    for entry in entries:
        try:
            live = await context.cluster.get(AUTO_RESPONSE, entry.namespace, entry.name)
        except NotFoundError:
            context.registry.drop(entry.namespace, entry.name)
        else:
            context.registry.renew(live)

"""Writing a field for a circuit breaker: announced in the status, written, and then decided anew."""

from dataclasses import replace

from firewatch.api.circuit import Change
from firewatch.api.conditions import format_instant
from firewatch.api.resource import Key
from firewatch.cluster.kinds import CONFIG_MAP
from firewatch.respond.ahead import announce_breaker
from firewatch.respond.circuit.change import hurry_kubelet, write_change
from firewatch.respond.circuit.levers import Seen, lever_of
from firewatch.respond.context import RespondContext
from firewatch.respond.situation import Pull, Responder, Situation
from firewatch.settings import FIELD_MANAGER


async def pull(context: RespondContext, key: Key, situation: Situation, what: Pull) -> Situation:
    """Write a field; return the situation as it then is.

    ``ConflictError`` if somebody else has written it: the record says what was meant to be.
    """
    entry = context.registry.get(key.namespace, what.responder)
    if entry is None:
        raise RuntimeError(f"{key}: a write for a circuit breaker was decided for nobody")
    await announce_breaker(context, entry, what.record)
    # It is counted by what stands in the status now.
    context.registry.reserved.discard(key)
    context.registry.breaking.discard(key)
    await write_change(context.cluster, key.namespace, what.change)
    await _hurry(context, key, situation, what)
    responders = tuple(
        _after(r, what) if r.name == what.responder else r for r in situation.responders
    )
    _observe_opening(context, situation, what)
    return replace(situation, responders=responders)


async def _hurry(context: RespondContext, key: Key, situation: Situation, what: Pull) -> None:
    """Have the pods see a key of a ConfigMap that was written."""
    responder = next(r for r in situation.responders if r.name == what.responder)
    if what.change.kind != CONFIG_MAP.kind or responder.world is None:
        return
    pods = responder.world.target.pods
    names = [pod.name for pod in pods if what.change.name in pod.config_maps]
    await hurry_kubelet(context.cluster, key.namespace, names, format_instant(context.clock()))


def _after(responder: Responder, what: Pull) -> Responder:
    """Return a responder as the write has left it."""
    world = responder.world
    assert world is not None
    seen = {**world.seen, lever_of(what.change): _seen(what.change)}
    return replace(
        responder, breaker=what.record, holds_claim=True, world=replace(world, seen=seen)
    )


def _seen(change: Change) -> Seen:
    return Seen(change.uid, change.intended, FIELD_MANAGER)


def _observe_opening(context: RespondContext, situation: Situation, what: Pull) -> None:
    """Count how long it has taken from the alert to the first write."""
    responder = next(r for r in situation.responders if r.name == what.responder)
    if responder.breaker is None and responder.signal.alert is not None:
        latency = (context.clock() - responder.signal.alert.starts_at).total_seconds()
        context.metrics.responses.latency_seconds.observe(max(0.0, latency))

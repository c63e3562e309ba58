"""Events about a target: what people see in ``kubectl describe``, and what is counted with it."""

import logging

from firewatch.api.resource import Key, Object
from firewatch.cluster.errors import ClusterError
from firewatch.cluster.events import post_event
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.respond.context import RespondContext
from firewatch.respond.notices import WOULD_NOTIFY
from firewatch.respond.registry import Entry, target_of
from firewatch.respond.situation import Decision, Note, Situation
from firewatch.respond.sizes import granted_kind

_log = logging.getLogger(__name__)

_NOT_DONE = frozenset(
    {
        *("Observed", "DryRun", "Requested", "Rejected", "Limited", "Refused", "WriteRefused"),
        *("BreakerRefused", "Tripped", WOULD_NOTIFY),
    }
)
"""Events about something that was not done: told once, not each time it is found again."""


def news_of(entries: list[Entry], decision: Decision) -> list[Note]:
    """Leave out what the status says already."""
    said = {entry.name: entry.live.get("status", {}).get("message") for entry in entries}
    return [
        note
        for note in decision.notes
        if note.event not in _NOT_DONE
        or note.at  # which is told once by that
        or said.get(note.responder) != decision.views[note.responder].message
    ]


async def tell(context: RespondContext, key: Key, situation: Situation, decision: Decision) -> None:
    """Post Events on the AutoResponse and, if it was changed, on the target; count."""
    for note in decision.notes:
        entry = context.registry.get(key.namespace, note.responder)
        if entry is None:
            continue
        context.metrics.responses.actions.labels(note.event, entry.spec.mode).inc()
        involved = [involving(entry)]
        if note.event not in _NOT_DONE and situation.target is not None:
            involved.append(_reference(context, key, situation.target.uid))
        for thing in involved:
            await post_note(context, thing, note)


def _reference(context: RespondContext, key: Key, uid: str) -> Object:
    wanted, name = target_of(key)
    kind = granted_kind(context.settings, wanted)
    metadata = {"namespace": key.namespace, "name": name, "uid": uid}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def involving(entry: Entry) -> Object:
    """Return an AutoResponse as an Event is about it."""
    return {**entry.live, "apiVersion": AUTO_RESPONSE.api_version, "kind": AUTO_RESPONSE.kind}


async def post_note(context: RespondContext, involved: Object, note: Note) -> None:
    """Post an Event, if that is possible."""
    try:
        await post_event(
            context.cluster,
            involved,
            reason=note.event,
            message=note.message,
            now=context.clock(),
            warning=note.warning,
        )
    except ClusterError as error:
        # The status has the same words; an Event is a courtesy that may not undo the rest.
        _log.warning("event %s for %s was refused: %s", note.event, note.responder, error)

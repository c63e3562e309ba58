"""What people are told of an AutoResponse, as a pass over its target or over itself finds it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from firewatch.api.notices import Notices
from firewatch.api.responses import HistoryEntry
from firewatch.respond.context import RespondContext
from firewatch.respond.messages import Speaker
from firewatch.respond.notices import Seen, advance
from firewatch.respond.pausing import find_pause
from firewatch.respond.registry import Entry
from firewatch.respond.signals import Signal


def speaker_of(entry: Entry) -> Speaker:
    """Return an AutoResponse as one that says something."""
    return Speaker(entry.namespace, entry.name, entry.live["metadata"]["uid"], entry.spec)


def is_mute(entry: Entry, now: datetime) -> bool:
    """Tell whether nobody is told anything for an AutoResponse at present.

    A message is an action too: while it is paused none is begun. It then goes on from where it was, so
    what still is the case is told once the pause has ended.
    """
    return entry.deleting or not entry.is_accepted or find_pause(entry.live, now) is not None


def follow(
    context: RespondContext,
    entry: Entry,
    signals: Mapping[str, Signal],
    *,
    happened: str = "",
    news: Sequence[HistoryEntry] = (),
    is_changed: bool = False,
) -> Notices | None:
    """Return what people are to be told after a pass; None if there is nothing to say of it."""
    now, before = context.clock(), entry.notices
    if not is_mute(entry, now):
        seen = Seen(now, signals, happened=happened, news=news, is_changed=is_changed)
        before = advance(speaker_of(entry), before, seen)
    return None if before == Notices() else before


def wake_notifiers(context: RespondContext, before: Entry, after: Entry) -> None:
    """Have sent what has come into the outbox; what waits there already has a time of its own."""
    known = {notice.id for notice in before.notices.outbox}
    if any(notice.id not in known for notice in after.notices.outbox):
        for key in after.telling:
            context.wake(key)

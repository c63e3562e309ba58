"""A pass over what one action of an AutoResponse has to tell: look up addresses, send, write down.

It has loop and keys of its own, so that nothing that changes a target ever waits for a message. Each
message that was taken is written down by itself and at once, and an orderly end waits for that. Only
after a process that dies between the two it is sent again; whatever else goes wrong in between is
remembered.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from weakref import WeakValueDictionary

from firewatch.api.conditions import format_instant, parse_time
from firewatch.api.notices import Delivery, DeliveryState, Notice, Notices, Notify
from firewatch.api.resource import Key, Object
from firewatch.api.responses import AutoResponseStatus
from firewatch.cluster.errors import ConflictError, NotFoundError, NotLeadingError
from firewatch.cluster.gate import Gate
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.cluster.status import dump_status, write_status
from firewatch.respond.addresses import AddressError, Directory, NoWay, Way
from firewatch.respond.ahead import put_live
from firewatch.respond.context import RespondContext
from firewatch.respond.deliver import Courier, DeliveryError
from firewatch.respond.deliveries import (
    after_delivery,
    after_failure,
    after_look,
    give_up,
    last_of,
    without_gone_ways,
)
from firewatch.respond.events import involving, post_note
from firewatch.respond.external import is_external
from firewatch.respond.messages import describe, write_letter
from firewatch.respond.notices import find_notifying, with_notifying
from firewatch.respond.outbox import is_mute, speaker_of
from firewatch.respond.pausing import find_pause
from firewatch.respond.registry import Entry, notices_of
from firewatch.respond.situation import Note

_FIRST_SECONDS = 5.0
_LONGEST_SECONDS = 300.0
_DOUBLINGS = 6
"""How long after a failure the next try follows: first, at most, and how often it is doubled till then."""
_PATIENCE = timedelta(days=1)
"""For how long a message is tried."""
_YOUNG_SECONDS = 2.0
"""How long a resource without a status is left to the pass that writes the first."""
_MOST_AT_ONCE = 8
"""Messages that one pass sends by each way; others get their turn before the next."""
_PASS_SECONDS = 20.0
"""After so long a pass begins no further message: one of minutes would be taken for stuck."""
_TRIES = 5


@dataclass(frozen=True)
class _Task:
    """What one action has to tell now."""

    entry: Entry
    action: int
    notify: Notify

    @property
    def due(self) -> list[Notice]:
        """Return the messages that it has not told yet, oldest first."""
        return [each for each in self.entry.notices.outbox if self.action in each.pending]

    @property
    def to(self) -> str:
        """Return whom it tells."""
        return describe(self.notify)

    def mark(self, way: Way | NoWay) -> str:
        """Return how a message says that it went this way."""
        return f"{self.action}/{way.name}"


@dataclass
class Notifier:
    """Sends what waits in the outboxes of AutoResponses."""

    context: RespondContext
    courier: Courier
    leads: Callable[[], bool] = lambda: True
    """Whether this replica acts; asked right before each message, as before each write."""
    _taken: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Messages that were taken and are not written down yet (uid, message, way), with what is to be
    said of them.
    """
    _failures: dict[Key, int] = field(default_factory=dict)
    """How often in a row a pass has sent in vain."""
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """Held while a status (uid) is written: several ways would only get in each other's way."""
    _sending: Gate = field(default_factory=Gate)
    """Messages from when they are sent until it is written down that they were taken."""

    async def close(self, seconds: float) -> None:
        """Let no message be sent any more, and wait at most so long until what became of others is known.

        Whoever leads next would send again what was taken and does not stand in the status.
        """
        await self._sending.close(seconds)

    async def reconcile(self, key: Key) -> float | None:
        """Send what one action has to tell; return when to look again."""
        name, action = notices_of(key)
        entry = self.context.registry.get(key.namespace, name)
        notify = entry.spec.tells.get(action) if entry else None
        if entry is None or notify is None:
            self._failures.pop(key, None)
            return float("inf")
        if is_mute(entry, self.context.clock()):
            return self._pause_ends(entry)
        if not entry.live.get("status"):
            # The first status must not come between an alert and its answer.
            return _YOUNG_SECONDS
        try:
            return await self._attend(key, _Task(entry, action, notify))
        except NotFoundError:
            return self._forget(key, entry)

    def _forget(self, key: Key, entry: Entry) -> float:
        """Forget an AutoResponse that is not there any more, but not another of its name."""
        registry, uid = self.context.registry, _uid(entry)
        known = registry.get(entry.namespace, entry.name)
        if known is not None and _uid(known) == uid:
            registry.drop(entry.namespace, entry.name)
        self._failures.pop(key, None)
        self._taken = {taken: said for taken, said in self._taken.items() if taken[0] != uid}
        return float("inf")

    def _pause_ends(self, entry: Entry) -> float | None:
        now = self.context.clock()
        pause = find_pause(entry.live, now)
        if pause is None or pause.until is None:
            return None
        return max(0.05, (pause.until - now).total_seconds())

    async def _attend(self, key: Key, task: _Task) -> float | None:
        ways = await self._look_up(task)
        good = [way for way in ways if not isinstance(way, NoWay)]
        problems = [str(way) for way in ways if isinstance(way, NoWay)]
        if not task.due or not task.entry.spec.is_armed:
            problem = _summarize(problems)
            await self._write(
                task, lambda found: after_look(found, task.action, to=task.to, problem=problem)
            )
            self._failures.pop(key, None)
            return None
        failures = await self._send_all(task, good, ways)
        if problems or failures:
            return await self._failed(key, task, problems=problems, failures=failures)
        self._failures.pop(key, None)
        return await self._settle(task, good)

    async def _settle(self, task: _Task, ways: Sequence[Way]) -> float | None:
        """Write down what no way has to take any more; return 0 if there is more to send."""
        everywhere, action = frozenset(map(task.mark, ways)), task.action

        def settle(found: Notices) -> Notices:
            left = without_gone_ways(found, action, everywhere)
            return after_look(left, action, to=task.to, problem="")

        after = await self._write(task, settle)
        return 0.0 if any(task.action in each.pending for each in after.outbox) else None

    async def _send_all(
        self, task: _Task, good: Sequence[Way], ways: Sequence[Way | NoWay]
    ) -> list[DeliveryError]:
        """Send what is due by all ways at the same time; return what went wrong."""
        # All of them come to an end before anything is tried again, whatever becomes of the others.
        sending = (self._send(task, way, ways) for way in good)
        results = await asyncio.gather(*sending, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, DeliveryError):
                raise result
        return [result for result in results if isinstance(result, DeliveryError)]

    async def _look_up(self, task: _Task) -> Sequence[Way | NoWay]:
        source = task.entry.source
        stack = source.name if source is not None and not is_external(source) else ""
        context, namespace = self.context, task.entry.namespace
        directory = Directory(context.cluster, context.settings, namespace, stack)
        try:
            return await directory.find(task.notify)
        except AddressError as error:
            return [NoWay("", str(error))]

    async def _send(self, task: _Task, way: Way, ways: Sequence[Way | NoWay]) -> None:
        """Send what is due by one way, in order; ``DeliveryError`` with the first that is refused."""
        mark, end = task.mark(way), time.monotonic() + _PASS_SECONDS
        # What only waits for another way is none of this one's.
        due = [notice for notice in task.due if mark not in notice.done]
        for notice in due[:_MOST_AT_ONCE]:
            if time.monotonic() > end:
                return
            taken = (_uid(task.entry), notice.id, mark)
            with self._sending.passing():
                if taken not in self._taken:
                    self._taken[taken] = await self._deliver(task, way, notice)
                await self._delivered(task, notice, way=mark, ways=ways, remark=self._taken[taken])
            self._taken.pop(taken, None)

    async def _deliver(self, task: _Task, way: Way, notice: Notice) -> str:
        if not (self._sending.is_open and self.leads()):
            raise NotLeadingError(f"message {notice.id} was not sent: this replica does not lead")
        letter = write_letter(speaker_of(task.entry), notice, task.notify)
        try:
            remark = await self.courier.deliver(way, letter)
        except DeliveryError:
            self._count(notice, "failed")
            raise
        self._count(notice, "delivered")
        return remark

    async def _delivered(
        self, task: _Task, notice: Notice, *, way: str, ways: Sequence[Way | NoWay], remark: str
    ) -> None:
        """Write down that a message was taken, and say so once all ways have taken it."""
        row = Delivery(
            action=task.action,
            to=task.to,
            state=DeliveryState.DELIVERED,
            message=remark,
            moment=notice.moment,
            alert=notice.alert,
            at=format_instant(self.context.clock()),
        )
        everywhere = frozenset(map(task.mark, ways))
        after = await self._write(
            task,
            lambda found: after_delivery(
                found, row, notice=notice.id, way=way, everywhere=everywhere
            ),
        )
        if all(task.action not in each.pending for each in after.outbox if each.id == notice.id):
            message = f"told {task.to} ({notice.moment}): {notice.happened}"
            await self._post(task, Note("Notified", message, task.entry.name, notice.alert))

    async def _failed(
        self, key: Key, task: _Task, *, problems: list[str], failures: list[DeliveryError]
    ) -> float:
        """Write down, once, that somebody could not be told; return when to try again."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        problem = _summarize([*map(str, failures), *problems])
        before = last_of(task.entry.notices, task.action)
        late = self._late(task)
        mark = after_failure if failures else after_look
        after = await self._write(
            task,
            lambda found: give_up(
                mark(found, task.action, to=task.to, problem=problem), task.action, late
            ),
        )
        row = last_of(after, task.action)
        if row and (before is None or (before.state, before.message) != (row.state, row.message)):
            message = f"{task.to} could not be told: {problem}"
            await self._post(task, Note("NotifyFailed", message, task.entry.name, warning=True))
        asked = max((each.wait for each in failures), default=0.0)
        wait = _FIRST_SECONDS * 2.0 ** min(count - 1, _DOUBLINGS)
        return min(_LONGEST_SECONDS, max(wait, asked))

    def _late(self, task: _Task) -> frozenset[str]:
        """Return the messages that have been tried for long enough."""
        oldest = self.context.clock() - _PATIENCE
        late = [notice for notice in task.due if parse_time(notice.at) < oldest]
        for notice in late:
            self._count(notice, "given up")
        return frozenset(notice.id for notice in late)

    async def _write(self, task: _Task, change: Callable[[Notices], Notices]) -> Notices:
        """Change what the status says of messages; nothing is written if nothing differs.

        Whoever has written meanwhile keeps what they wrote: it is read anew and changed again. What was
        sent is not sent again for that.
        """
        turn = self._turns.setdefault(_uid(task.entry), asyncio.Lock())
        async with turn:
            return await self._write_in_turn(task, change)

    async def _write_in_turn(self, task: _Task, change: Callable[[Notices], Notices]) -> Notices:
        entry = self._current(task.entry)
        for _ in range(_TRIES):
            status = self._status(entry, change)
            try:
                live = await write_status(
                    self.context.cluster, AUTO_RESPONSE, entry.live, status, at_version=True
                )
            except ConflictError:
                entry = await self._read_again(entry)
                continue
            return put_live(self.context, entry, live).notices
        raise ConflictError("the status is being written by others again and again")

    def _current(self, entry: Entry) -> Entry:
        """Return an AutoResponse as it is known by now; ``NotFoundError`` if it is another."""
        known = self.context.registry.get(entry.namespace, entry.name) or entry
        if _uid(known) != _uid(entry):
            raise NotFoundError(f"AutoResponse {entry.name} has been made anew")
        return known

    async def _read_again(self, entry: Entry) -> Entry:
        live = await self.context.cluster.get(AUTO_RESPONSE, entry.namespace, entry.name)
        if live["metadata"]["uid"] != _uid(entry):
            raise NotFoundError(f"AutoResponse {entry.name} has been made anew")
        self.context.registry.renew(live)
        return replace(entry, live=live)

    def _status(self, entry: Entry, change: Callable[[Notices], Notices]) -> Object:
        raw = entry.live.get("status", {})
        before = AutoResponseStatus.model_validate({k: v for k, v in raw.items() if k != "ledger"})
        notices = change(before.notices or Notices())
        update: dict[str, object] = {"notices": notices}
        finding = find_notifying(entry.spec, notices)
        if finding and before.conditions and before.observed_generation is not None:
            update["conditions"] = with_notifying(
                before.conditions,
                finding,
                generation=before.observed_generation,
                now=self.context.clock(),
            )
        status = dump_status(before.model_copy(update=update))
        return {**status, "ledger": raw["ledger"]} if "ledger" in raw else status

    def _count(self, notice: Notice, result: str) -> None:
        metrics = self.context.metrics.notices
        metrics.messages.labels(notice.moment, result).inc()
        if result == "delivered":
            waited = self.context.clock() - parse_time(notice.at)
            metrics.seconds.observe(max(0.0, waited.total_seconds()))

    async def _post(self, task: _Task, note: Note) -> None:
        await post_note(self.context, involving(task.entry), note)


def _uid(entry: Entry) -> str:
    uid: str = entry.live["metadata"]["uid"]
    return uid


def _summarize(problems: Sequence[str]) -> str:
    """Return the first of several problems, and how many more there are."""
    if not problems:
        return ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"

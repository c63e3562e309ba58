"""What the responding half remembers between passes: AutoResponses and their alert sources.

Both only save a request in the hot path. A write that was decided on a stale copy is refused by the
API server (resourceVersion) and decided again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from pydantic import ValidationError

from firewatch.api.conditions import Finding, parse_time
from firewatch.api.ledger import LedgerTarget
from firewatch.api.notices import Notices
from firewatch.api.resource import ConditionStatus, Key, Object
from firewatch.api.responses import AutoResponseSpec, Tripped
from firewatch.build.confine import NAMESPACE_LABEL
from firewatch.respond.alerts import Alert, matches
from firewatch.respond.heartbeats import Heartbeats
from firewatch.respond.signals import Pushed, Source, SourceState, heed_silences

TARGET = "Target"
ONLOOKER = "Onlooker"
NOTICES = "Notices"
"""Kinds of loop keys: a target, an AutoResponse that changes nothing, and what one action has to tell."""
_PUSH_MEMORY = timedelta(minutes=5)
_MOST_PUSHED = 10_000
"""Alerts remembered of one source: who may push could make up labels for ever."""
_ALWAYS = datetime.min.replace(tzinfo=UTC)


def target_key(namespace: str, kind: str, name: str) -> Key:
    """Return the loop key of a target."""
    return Key(TARGET, namespace, f"{kind}/{name}")


def target_of(key: Key) -> tuple[str, str]:
    """Return kind and name of the target that a key means."""
    kind, _, name = key.name.partition("/")
    return kind, name


def notices_key(namespace: str, response: str, action: int) -> Key:
    """Return the loop key of what one action of an AutoResponse has to tell."""
    return Key(NOTICES, namespace, f"{response}/{action}")


def notices_of(key: Key) -> tuple[str, int]:
    """Return the name of the AutoResponse, and the place of the action that a key means."""
    name, _, action = key.name.partition("/")
    return name, int(action)


def source_key(namespace: str, stack: str) -> Key:
    """Return the loop key of a stack's alerts."""
    return Key("Source", namespace, stack)


@dataclass(frozen=True)
class Entry:
    """An AutoResponse as last read.

    What is made out of it is kept: each pass over one target looks at all of the others.
    """

    live: Object
    spec: AutoResponseSpec
    accepted: Finding
    source: Key | None
    """Where its alerts come from; None if that cannot be told."""
    since: datetime = _ALWAYS
    """Since when it has been as it is: what was found about its alerts before is not about it."""

    @property
    def name(self) -> str:
        """Return the name of the AutoResponse."""
        name: str = self.live["metadata"]["name"]
        return name

    @property
    def namespace(self) -> str:
        """Return the namespace of the AutoResponse and its target."""
        namespace: str = self.live["metadata"]["namespace"]
        return namespace

    @cached_property
    def target(self) -> Key:
        """Return the key of the target that it names; its own if it changes nothing."""
        target = self.spec.target
        if target is None or not self.spec.changes:
            return Key(ONLOOKER, self.namespace, self.name)
        return target_key(self.namespace, target.kind, target.name)

    @property
    def telling(self) -> list[Key]:
        """Return the keys of what its actions have to tell."""
        return [notices_key(self.namespace, self.name, action) for action in self.spec.tells]

    @cached_property
    def notices(self) -> Notices:
        """Return what its status says of messages."""
        raw = self.live.get("status", {}).get("notices") or {}
        try:
            return Notices.model_validate(raw)
        except ValidationError:  # of an operator that has come and gone
            return Notices()

    @cached_property
    def owed(self) -> Key | None:
        """Return the key of the target whose ledger it keeps."""
        return self._about("ledger")

    def _about(self, record: str) -> Key | None:
        """Return the key of the target that a record of its status is about."""
        raw = self.live.get("status", {}).get(record)
        if not raw:
            return None
        try:
            target = LedgerTarget.model_validate(raw.get("target"))
        except ValidationError:
            return self.target  # a record that cannot be read still is one
        return target_key(self.namespace, target.kind, target.name)

    @cached_property
    def tripped(self) -> Tripped | None:
        """Return what its status says of the breaker of its namespace."""
        raw = self.live.get("status", {}).get("tripped")
        return Tripped.model_validate(raw) if raw else None

    @cached_property
    def breaking(self) -> Key | None:
        """Return the key of the target whose circuit breaker is not over."""
        return self._about("breaker")

    @property
    def owes(self) -> set[Key]:
        """Return the keys of the targets that something is owed to."""
        return {key for key in (self.owed, self.breaking) if key is not None}

    @property
    def is_open(self) -> bool:
        """Tell whether something was done for an alert that is not over."""
        return bool(self.owes) or bool(self.live.get("status", {}).get("restart"))

    @cached_property
    def targets(self) -> set[Key]:
        """Return the keys of all targets that it has to do with."""
        return {self.target, *self.owes}

    @property
    def deleting(self) -> bool:
        """Tell whether it is being deleted."""
        return "deletionTimestamp" in self.live["metadata"]

    @property
    def deleted_at(self) -> datetime:
        """Return when its deletion was asked for."""
        return parse_time(self.live["metadata"]["deletionTimestamp"])

    @property
    def is_accepted(self) -> bool:
        """Tell whether it was understood and may act."""
        return self.accepted.status is ConditionStatus.TRUE


class Registry:
    """AutoResponses by name."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self.is_filled = False
        """Whether all AutoResponses have been read since the start: until then, that one is missing
        here says nothing.
        """
        self.reserved: set[Key] = set()
        """Targets that are about to be changed, before that stands in a ledger."""
        self.breaking: set[Key] = set()
        """Those whose circuit breaker is about to open, before that stands in a status."""

    def put(self, entry: Entry, before: Entry | None = None) -> None:
        """Remember what has been made out of an AutoResponse.

        The object itself may have been written meanwhile; then it stays as it was written. If what
        is known still is what was known before it was read, it is what the API server has now,
        though it be older: etcd may have been restored.
        """
        known = self.get(entry.namespace, entry.name)
        if known is not None and known is not before and _is_older(entry.live, known.live):
            entry = replace(entry, live=known.live)
        self._entries[entry.namespace, entry.name] = _slim(entry)

    def renew(self, live: Object, before: Entry | None = None) -> None:
        """Remember an AutoResponse as it was just read or written.

        What has been made out of it stays: somebody else may just have found out better. About
        ``before`` see ``put``.
        """
        metadata = live["metadata"]
        known = self.get(metadata["namespace"], metadata["name"])
        if known is not None and (known is before or not _is_older(live, known.live)):
            self._entries[known.namespace, known.name] = _slim(replace(known, live=live))

    def drop(self, namespace: str, name: str) -> Entry | None:
        """Forget an AutoResponse that does not exist any more; return what was known of it."""
        return self._entries.pop((namespace, name), None)

    def get(self, namespace: str, name: str) -> Entry | None:
        """Return an AutoResponse by name."""
        return self._entries.get((namespace, name))

    def on_target(self, key: Key) -> list[Entry]:
        """Return the AutoResponses that have to do with a target, oldest first."""
        return sorted((e for e in self._entries.values() if key in e.targets), key=_age)

    def of_source(self, key: Key) -> list[Entry]:
        """Return the AutoResponses whose alerts come from a stack."""
        return [e for e in self._entries.values() if e.source == key]

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))


def _slim(entry: Entry) -> Entry:
    """Return the entry without what takes room and nobody looks at."""
    metadata = {k: v for k, v in entry.live["metadata"].items() if k != "managedFields"}
    return replace(entry, live={**entry.live, "metadata": metadata})


def _age(entry: Entry) -> tuple[str, str]:
    return (entry.live["metadata"]["creationTimestamp"], entry.name)


def _is_older(new: Object, known: Object) -> bool:
    """Tell whether an object was read before a known one of the same uid was."""
    before, after = new["metadata"], known["metadata"]
    same = before["uid"] == after["uid"]
    return same and int(before["resourceVersion"]) < int(after["resourceVersion"])


class Sources:
    """What is known about the alerts of each stack."""

    def __init__(self) -> None:
        self._sources: dict[Key, Source] = {}
        self._external: dict[Key, frozenset[str]] = {}
        self._set_aside: dict[Key, dict[str, Pushed]] = {}
        """What was pushed before this replica led, until the source has been asked."""
        self._heartbeats = Heartbeats()

    def configure(self, key: Key, external: frozenset[str]) -> None:
        """Set the labels that a source adds to every alert it sends."""
        self._external[key] = external

    def external(self, key: Key) -> frozenset[str]:
        """Return the labels that a source adds to every alert it sends."""
        return self._external.get(key, frozenset())

    def get(self, key: Key | None) -> Source:
        """Return what is known about a source."""
        return self._sources.get(key, Source()) if key else Source()

    def known_to(self, entry: Entry) -> Source:
        """Return what has been found about the alerts of an AutoResponse since it is as it is.

        An alert that fired when Prometheus was last asked may have resolved before it was applied.
        """
        source = self.get(entry.source)
        state = source.state if source.state and source.state.polled_at >= entry.since else None
        if state is None and entry.spec.awaits_poll:
            return Source()
        trigger = entry.spec.trigger
        # In a storm there are thousands that are for others.
        pushed = {
            identity: push
            for identity, push in source.pushed.items()
            if push.at >= entry.since and matches(trigger, push.alert.labels)
        }
        found = _about(Source(state, pushed), entry)
        return heed_silences(found) if entry.spec.heeds_silences else found

    def begin_anew(self) -> None:
        """Take nothing for known until the sources have been asked, as after a start.

        Others have led meanwhile, and what was pushed may be over. It counts as soon as it turns out
        that its source cannot be asked.
        """
        for key, source in self._sources.items():
            self._set_aside[key] = {**self._set_aside.get(key, {}), **source.pushed}
        self._sources.clear()
        self._heartbeats.begin_anew()

    def polled(self, key: Key, state: SourceState) -> None:
        """Take in a poll: it knows better than what was pushed before it began."""
        known = {**self._set_aside.pop(key, {}), **self.get(key).pushed}
        pushed = {i: p for i, p in known.items() if _is_newer(p, state)}
        self._sources[key] = Source(self._with_heartbeat(key, state), pushed)

    def _with_heartbeat(self, key: Key, state: SourceState) -> SourceState:
        """Return a poll with whether pushes are missing."""
        if state.error:
            self._heartbeats.lose_sight(key)
            return state
        missing = self._heartbeats.are_missing(key, state.pulse, state.polled_at)
        return replace(state, pushes_missing=missing)

    def hear(self, key: Key, at: datetime) -> None:
        """Take in that an alert that fires was pushed, whoever it is for."""
        self._heartbeats.hear(key, at)

    def push(self, key: Key, alerts: Iterable[Alert], at: datetime) -> None:
        """Take in alerts that were pushed together and fire."""
        source = self.get(key)
        pushed = {i: p for i, p in source.pushed.items() if at - p.at < _PUSH_MEMORY}
        pushed |= {alert.identity: Pushed(alert, at) for alert in alerts}
        if len(pushed) > _MOST_PUSHED:
            latest = sorted(pushed.items(), key=lambda item: item[1].at)
            pushed = dict(latest[-_MOST_PUSHED:])
        self._sources[key] = Source(source.state, pushed)

    def drop(self, key: Key) -> None:
        """Forget a source that nobody listens to."""
        self._sources.pop(key, None)
        self._external.pop(key, None)
        self._set_aside.pop(key, None)
        self._heartbeats.drop(key)


def _is_newer(pushed: Pushed, state: SourceState) -> bool:
    if state.error:
        return state.polled_at - pushed.at < _PUSH_MEMORY
    return pushed.at > state.polled_at


def _about(source: Source, entry: Entry) -> Source:
    """Leave out what is about another namespace, unless the trigger asks for it or nothing is changed."""
    if not entry.spec.changes or NAMESPACE_LABEL in entry.spec.trigger.labels:
        return source

    def is_ours(labels: Mapping[str, str]) -> bool:
        return labels.get(NAMESPACE_LABEL, entry.namespace) == entry.namespace

    pushed = {i: p for i, p in source.pushed.items() if is_ours(p.alert.labels)}
    if source.state is None:
        return replace(source, pushed=pushed)
    rules = tuple(
        replace(
            rule,
            alerts=tuple(alert for alert in rule.alerts if is_ours(alert.labels)),
            # Nor does the load of others keep a target from going back.
            samples=tuple(sample for sample in rule.samples if is_ours(sample.labels)),
        )
        for rule in source.state.rules
        if is_ours(rule.labels) or _is_template(rule.labels)
    )
    return replace(source, state=replace(source.state, rules=rules), pushed=pushed)


def _is_template(labels: Mapping[str, str]) -> bool:
    """Tell whether a rule leaves it to each of its alerts which namespace they are about."""
    return "{{" in labels.get(NAMESPACE_LABEL, "")

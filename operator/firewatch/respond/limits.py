"""How much is enough (pure): actions of the last hour, and targets that are changed at present.

Counted from what stands in the statuses and ledgers, so that a restart forgets nothing. The history
alone would not do: it holds 20 entries of all kinds, which a busy hour pushes out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from firewatch.api.conditions import parse_time
from firewatch.api.resource import Key
from firewatch.api.responses import MOST_ACTIONS, HistoryEntry
from firewatch.api.restart import RestartState
from firewatch.respond.registry import Entry

_HOUR = timedelta(hours=1)
ACTIONS = frozenset({"ScaledUp", "Rewritten", "Restarted", "BreakerOpened"})
"""Events of writes that an alert has led to; putting things back is never limited."""
FAILURES = frozenset(
    {
        *("Ineffective", "Contested", "RestoreSkipped", "RestartSkipped", "WriteRefused"),
        "BreakerIneffective",
    }
)
"""Events of episodes that have ended badly."""


class Action(NamedTuple):
    """A write to a target; all AutoResponses that it was for tell it with the same instant."""

    target: Key
    at: datetime


@dataclass(frozen=True)
class Limits:
    """What holds for all AutoResponses together, whatever they say."""

    namespace_actions: int
    """Actions within an hour in one namespace."""
    cluster_actions: int
    """Actions within an hour in the cluster."""
    targets: int
    """Targets of one namespace that are changed at the same time."""


@dataclass(frozen=True)
class Usage:
    """How much has been done, as far as one target is concerned."""

    on_target: int = 0
    """Actions within the last hour."""
    limit: str = ""
    """Why no target of the namespace may be changed now, for people."""


def measure_usage(
    key: Key, entries: Iterable[Entry], reserved: Iterable[Key], limits: Limits, now: datetime
) -> Usage:
    """Return what has been done; ``reserved`` are targets that are about to be written to."""
    entries, reserved = list(entries), set(reserved) - {key}
    recent = {a for entry in entries for a in _actions(entry) if now - a.at < _HOUR}
    in_namespace = sum(each.target.namespace == key.namespace for each in recent)
    in_namespace += sum(each.namespace == key.namespace for each in reserved)
    changed = {owed for entry in entries for owed in entry.owes} | reserved
    others = {each for each in changed if each.namespace == key.namespace and each != key}
    return Usage(
        on_target=sum(action.target == key for action in recent),
        limit=_limit(key, limits, in_namespace, len(recent) + len(reserved), len(others)),
    )


def remember(
    before: Iterable[str],
    news: Iterable[HistoryEntry],
    now: datetime,
    events: frozenset[str] = ACTIONS,
) -> list[str]:
    """Return the instants of events with new ones, newest first.

    They are looked through only when one is added, so that time alone changes no status.
    """
    added = {each.time for each in news if each.event in events}
    if not added:
        return [*before]
    recent = {each for each in before if now - parse_time(each) < _HOUR}
    return sorted(added | recent, key=parse_time, reverse=True)[:MOST_ACTIONS]


def bad_ends(news: Iterable[HistoryEntry], before: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """Return what counts as the bad end of an episode, each episode once.

    One that was contested is not put back either, which is told when its alert is over.
    """
    left_alone = (each.event for each in before if each.event in ("Contested", "Released"))
    is_contested = next(left_alone, "") == "Contested"
    found = [each for each in news if each.event in FAILURES]
    return [each for each in found if not (is_contested and each.event == "RestoreSkipped")]


def _actions(entry: Entry) -> Iterator[Action]:
    status = entry.live.get("status", {})
    for at in status.get("acted") or ():
        yield Action(entry.target, parse_time(at))
    # Where an operator from before has written the last ones, they stand in the history only.
    for told in status.get("history", ()):
        if told.get("event") in ACTIONS:
            yield Action(entry.target, parse_time(told["time"]))
    ledger = status.get("ledger") or {}
    if entry.owed and ledger.get("intended", 0) > ledger.get("written", 0):
        yield Action(entry.owed, parse_time(ledger["changedAt"]))  # not told yet
    restart = status.get("restart") or {}
    if restart.get("state") == RestartState.ANNOUNCED:
        yield Action(entry.target, parse_time(restart["at"]))
    breaker = status.get("breaker") or {}
    opened_at = (breaker.get("circuit") or {}).get("openedAt")
    if entry.breaking and opened_at and not breaker.get("inForce"):
        yield Action(entry.breaking, parse_time(opened_at))


def _limit(key: Key, limits: Limits, namespace: int, cluster: int, targets: int) -> str:
    remedy = "look after it, or raise the chart's rails"
    if targets >= limits.targets:
        return (
            f"{targets} other targets in namespace {key.namespace} are changed at present, and"
            f" {limits.targets} may be at the same time; {remedy}.maxTargets"
        )
    if namespace >= limits.namespace_actions:
        return (
            f"there were {namespace} actions in namespace {key.namespace} within an hour, and"
            f" {limits.namespace_actions} are allowed; {remedy}.actionsPerHour.namespace"
        )
    if cluster >= limits.cluster_actions:
        return (
            f"there were {cluster} actions in the cluster within an hour, and"
            f" {limits.cluster_actions} are allowed; {remedy}.actionsPerHour.cluster"
        )
    return ""

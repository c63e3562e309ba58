"""Levers (pure): fields that a breaker holds at a value, and puts back to what stood there before.

Every mechanism comes down to this: in each phase it wants some fields to have some values. What is held
stands in the ledger before it is written, one write at a time, so whoever comes after a crash sees by the
object itself what has become of the last one. What is not wanted any more goes back; what is back is
forgotten. A field that somebody else has changed is left to them: put back to what it was before, it is
written once more, in case they did not know better.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from firewatch.api.circuit import Change

MOST_BYTES = 4096
"""Of a value: it must find room in the ledger."""
_REVERTS = 2
"""After so many a field is contested: whoever reverts will not stop."""


class Lever(NamedTuple):
    """A field of an object of the target's namespace."""

    kind: str
    name: str
    field: str
    """JSON pointer (RFC 6901)."""


@dataclass(frozen=True)
class Seen:
    """A field as the API server shows it now."""

    uid: str
    """Of the object."""
    value: str | None
    """JSON as ``as_text`` writes it; None if the field is not there."""
    writer: str = ""
    """Who last wrote it, from managedFields."""


class Outcome(StrEnum):
    """What has become of a lever since the last look."""

    WRITTEN = "Written"
    REVERTED = "Reverted"
    RELEASED = "Released"
    CONTESTED = "Contested"
    GONE = "Gone"


class Turn(NamedTuple):
    """Something that has become of a lever."""

    outcome: Outcome
    change: Change
    """As it is now, or was if its object is gone."""


def pointer(*parts: str) -> str:
    """Return the JSON pointer to a field."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def parts_of(path: str) -> list[str]:
    """Return the names that a JSON pointer is made of."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def as_text(value: Any) -> str:
    """Return a value as JSON in the one way in which it is compared."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def lever_of(change: Change) -> Lever:
    """Return what a change is a change of."""
    return Lever(change.kind, change.name, change.field)


def settle(
    changes: Iterable[Change], seen: Mapping[Lever, Seen]
) -> tuple[list[Change], list[Turn]]:
    """Take in what became of the last write, and what others have done since.

    A lever that is missing in ``seen`` has no object any more.
    """
    kept: list[Change] = []
    turns: list[Turn] = []
    for change in changes:
        after, outcome = _settled(change, seen.get(lever_of(change)))
        if after is not None:
            kept.append(after)
        if outcome is not None:
            turns.append(Turn(outcome, after or change))
    return kept, turns


def _settled(change: Change, seen: Seen | None) -> tuple[Change | None, Outcome | None]:
    if seen is None or seen.uid != change.uid:
        return None, Outcome.GONE
    if change.released_by or seen.value == change.written == change.intended:
        return change, None
    if seen.value == change.intended:
        return change.model_copy(update={"written": change.intended}), Outcome.WRITTEN
    if seen.value == change.written:  # the operator stopped before its write
        return change.model_copy(update={"intended": change.written}), None
    return _taken(change, seen)


def _taken(change: Change, seen: Seen) -> tuple[Change, Outcome]:
    """Take in that somebody else has written."""
    is_revert = seen.value == change.before
    reverts = change.reverts + is_revert
    if is_revert and reverts < _REVERTS:
        back = {"written": change.before, "intended": change.before, "reverts": reverts}
        return change.model_copy(update=back), Outcome.REVERTED
    who = seen.writer[:256] or "somebody else"
    released = change.model_copy(update={"released_by": who, "reverts": reverts})
    return released, Outcome.CONTESTED if is_revert else Outcome.RELEASED


def next_write(
    changes: Iterable[Change], wanted: Mapping[Lever, str | None], seen: Mapping[Lever, Seen]
) -> tuple[list[Change], Change | None]:
    """Return what is held, and of it what is to be written now; None if all is as it should be.

    First what is wanted, in that order; then what is not wanted any more, the oldest first. What is back
    as it was, and what others have taken and nobody wants any more, is left out. Of what is wanted,
    that of which there is no object is not held.
    """
    held = {lever_of(change): change for change in changes}
    for lever, value in wanted.items():
        if lever not in held and lever in seen:
            held[lever] = _taken_up(lever, seen[lever])
        if lever in held and _is_to_write(held[lever], value):
            return _announced(held, lever, value)
    for lever, change in [*held.items()]:
        if lever in wanted:
            continue
        if _is_to_write(change, change.before):
            return _announced(held, lever, change.before)
        del held[lever]
    return [change for change in held.values() if not _is_idle(change)], None


def _taken_up(lever: Lever, seen: Seen) -> Change:
    return Change(
        **lever._asdict(),
        uid=seen.uid,
        before=seen.value,
        written=seen.value,
        intended=seen.value,
    )


def _is_to_write(change: Change, value: str | None) -> bool:
    return not change.released_by and change.written != value


def _announced(
    held: dict[Lever, Change], lever: Lever, value: str | None
) -> tuple[list[Change], Change]:
    announced = held[lever].model_copy(update={"intended": value})
    held[lever] = announced
    return [change for change in held.values() if not _is_idle(change)], announced


def _is_idle(change: Change) -> bool:
    """Tell whether nothing is owed: it was wanted as it was anyway."""
    is_as_before = change.before == change.written == change.intended
    return is_as_before and not change.released_by and not change.reverts


def patch_of(change: Change) -> Iterator[dict[str, Any]]:
    """Yield the JSON patch (RFC 6902) that writes what is announced, if all is as it was read."""
    yield {"op": "test", "path": "/metadata/uid", "value": change.uid}
    # A path that is not there equals null.
    written = None if change.written is None else json.loads(change.written)
    yield {"op": "test", "path": change.field, "value": written}
    if change.intended is None:
        yield {"op": "remove", "path": change.field}
    else:
        yield {"op": "add", "path": change.field, "value": json.loads(change.intended)}

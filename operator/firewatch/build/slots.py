"""Slots: which rule file goes into which of a stack's rule ConfigMaps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.external import marker_owner, rule_labels
from firewatch.build.objects import Part, Stack, config_map
from firewatch.build.rules import RuleFile, digest, render_marker, slot_revision

SLOT_LIMIT = 900 * 1024
"""Bytes of rules in a ConfigMap; the API server takes 1 MiB with everything around them."""

Slots = Mapping[int, Mapping[str, str]]
"""Texts of the rule files by slot and file name, without markers; no empty slots."""


@dataclass(frozen=True)
class SlotPlan:
    """Where every file goes."""

    slots: dict[int, dict[str, str]]
    homeless: frozenset[str]
    """Files for which no slot has room."""


def plan_slots(files: Iterable[RuleFile], current: Slots, *, limit: int = SLOT_LIMIT) -> SlotPlan:
    """Return where every file goes: where it is, else its home, else the next slot with room.

    A file that moves sends its firing alerts back to pending, so nothing moves for convenience: the
    unchanged files keep their room before those that have changed, and those before new ones.
    """
    where = {name: slot for slot, texts in current.items() for name in texts}
    used = dict.fromkeys(range(names.SLOTS), 0)
    plan = SlotPlan({}, frozenset())
    homeless: set[str] = set()
    for file in sorted(files, key=lambda file: (_rank(file, where, current), file.name)):
        start = where.get(file.name, file.home)
        slot = _slot_with_room(start, limit - file.size, used)
        if slot is None:
            homeless.add(file.name)
            continue
        used[slot] += file.size
        plan.slots.setdefault(slot, {})[file.name] = file.text
    return SlotPlan(plan.slots, frozenset(homeless))


def _rank(file: RuleFile, where: Mapping[str, int], current: Slots) -> int:
    if file.name not in where:
        return 2
    return 0 if current[where[file.name]][file.name] == file.text else 1


def _slot_with_room(start: int, most: int, used: Mapping[int, int]) -> int | None:
    """Return the first slot from ``start`` on that holds at most ``most`` bytes."""
    candidates = ((start + step) % names.SLOTS for step in range(names.SLOTS))
    return next((slot for slot in candidates if used[slot] <= most), None)


def digests(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the hashes of a slot's files by name."""
    return {name: digest(text) for name, text in texts.items()}


def build_slot(stack: Stack, slot: int, texts: Mapping[str, str], *, attempt: str = "") -> Object:
    """Return a rule ConfigMap with its files and its marker.

    ``attempt`` distinguishes a second delivery of the same files: Prometheus does not reload what
    it has loaded before, and without a reload it goes on reporting the last failure.
    """
    revision = slot_revision(digests(texts)) + attempt
    marker = render_marker(slot, revision, marker_owner(stack))
    part = Part(stack, names.rules_name(stack.name, slot), names.PROMETHEUS, names.RULES)
    data = {name: texts[name] for name in sorted(texts)}
    found = config_map(part, {**data, marker.name: marker.text})
    found["metadata"]["labels"] = {**rule_labels(stack), **part.labels()}
    return found


def split_slot(stack: Stack, slot: int, data: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the rule files of a live ConfigMap and the text of its marker (empty if it has none)."""
    texts = dict(data)
    return texts, texts.pop(names.marker_file(slot, marker_owner(stack)), "")

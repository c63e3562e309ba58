"""Slots: nothing moves for convenience, nothing is lost, no ConfigMap grows too large."""

from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.rules import RuleFile, digest, marker_revision, render_marker, slot_revision
from firewatch.build.slots import build_slot, plan_slots, split_slot
from firewatch.build.yaml_text import load_yaml

LIMIT = 1000
STACK = Stack("shop", "main", "uid", MonitoringStackSpec())


def file(name: str, size: int, home: int = 0) -> RuleFile:
    return RuleFile(name, "x" * size, home)


FILES = st.dictionaries(
    st.from_regex(r"[a-z]{1,3}", fullmatch=True),
    st.tuples(st.integers(1, 400), st.integers(0, names.SLOTS - 1)),
    max_size=60,
).map(lambda found: [file(name, size, home) for name, (size, home) in sorted(found.items())])


@given(FILES, FILES)
def test_adding_policies_moves_no_other_and_loses_nothing(
    old: list[RuleFile], added: list[RuleFile]
) -> None:
    before = plan_slots(old, {}, limit=LIMIT)
    there = {f.name for f in old}
    new = [f for f in added if f.name not in there]
    after = plan_slots([*old, *new], before.slots, limit=LIMIT)
    for slot, texts in before.slots.items():
        assert texts.items() <= after.slots[slot].items()
    placed = [(name, text) for texts in after.slots.values() for name, text in texts.items()]
    assert len({name for name, _ in placed}) == len(placed)
    assert {name for name, _ in placed} | after.homeless == there | {f.name for f in new}
    assert not {name for name, _ in placed} & after.homeless
    assert dict(placed).items() <= {f.name: f.text for f in (*old, *new)}.items()


@given(FILES)
def test_no_slot_passes_the_limit_and_the_plan_is_stable(files: list[RuleFile]) -> None:
    plan = plan_slots(files, {}, limit=LIMIT)
    for texts in plan.slots.values():
        assert sum(len(n) + len(t) for n, t in texts.items()) <= LIMIT
    assert plan_slots(reversed(files), plan.slots, limit=LIMIT) == plan


def test_a_file_goes_home_and_past_a_full_slot_to_the_next() -> None:
    plan = plan_slots([file("a", 700, 31), file("b", 700, 31), file("c", 10, 31)], {}, limit=LIMIT)
    assert {slot: set(texts) for slot, texts in plan.slots.items()} == {31: {"a", "c"}, 0: {"b"}}


def test_the_file_that_grew_moves_not_its_neighbours() -> None:
    before = plan_slots([file("a", 400), file("b", 400)], {}, limit=LIMIT).slots
    after = plan_slots([file("a", 700), file("b", 400)], before, limit=LIMIT).slots
    assert {slot: set(texts) for slot, texts in after.items()} == {0: {"b"}, 1: {"a"}}


def test_what_fits_nowhere_is_named() -> None:
    plan = plan_slots([file("a", 10), file("big", LIMIT)], {}, limit=LIMIT)
    assert plan.homeless == {"big"}
    assert plan.slots == {0: {"a": "x" * 10}}


def test_a_slot_carries_a_marker_with_the_hash_of_its_other_files() -> None:
    built = build_slot(STACK, 3, {"b.yml": "2", "a.yml": "1"})
    assert list(built["data"]) == ["a.yml", "b.yml", "firewatch-marker-3.yml"]
    texts, marker = split_slot(STACK, 3, built["data"])
    assert texts == {"a.yml": "1", "b.yml": "2"}
    wanted = slot_revision({name: digest(text) for name, text in texts.items()})
    assert marker_revision(marker) == wanted
    again = build_slot(STACK, 3, texts, attempt="-r2")
    assert marker_revision(split_slot(STACK, 3, again["data"])[1]) == f"{wanted}-r2"
    assert marker_revision("groups: []") == ""


def test_a_revision_depends_on_names_and_texts() -> None:
    assert len({slot_revision(f) for f in ({}, {"a": "1"}, {"a": "2"}, {"b": "1"})}) == 4


def test_a_marker_of_digits_only_is_still_text() -> None:
    """YAML would read 1234567890123456 as a number; Prometheus wants a string."""
    for revision in ("1234567890123456", "12345678901e3456", "0000000000000000"):
        text = render_marker(1, revision).text
        rule = load_yaml(text)["groups"][0]["rules"][0]
        assert rule["labels"] == {"firewatch_hash": revision}
        assert marker_revision(text) == revision

"""Fields that a breaker holds and puts back: exactly, whenever it is stopped, and never against others."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.circuit import Change
from firewatch.respond.circuit.levers import (
    Lever,
    Outcome,
    Seen,
    as_text,
    next_write,
    patch_of,
    pointer,
    settle,
)

SELECTOR = Lever("Service", "api", pointer("spec", "selector"))
LABEL = Lever("Pod", "api-1", pointer("metadata", "labels", "app.kubernetes.io/name"))
OTHER = Lever("Pod", "api-2", LABEL.field)
LEVERS = (SELECTOR, LABEL, OTHER)
BEFORE = {SELECTOR: as_text({"app": "api"}), LABEL: as_text("api"), OTHER: as_text("api")}
OPEN = {SELECTOR: as_text({"app": "fallback"}), LABEL: None}


@dataclass
class Cluster:
    """The objects of a namespace, and the ledger of a breaker that is worked on step by step."""

    seen: dict[Lever, Seen] = field(
        default_factory=lambda: {lever: Seen("uid", value) for lever, value in BEFORE.items()}
    )
    ledger: list[Change] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def step(self, wanted: dict[Lever, str | None], *, writes: bool = True) -> bool:
        """Take a pass, which may be cut short before its write; tell whether there was one."""
        settled, turns = settle(self.ledger, self.seen)
        self.outcomes += [turn.outcome for turn in turns]
        self.ledger, write = next_write(settled, wanted, self.seen)
        if write is not None and writes:
            lever = Lever(write.kind, write.name, write.field)
            assert self.seen[lever].value == write.written, "the patch's test would fail"
            self.put(lever, write.intended, "firewatch")
        return write is not None

    def finish(self, wanted: dict[Lever, str | None]) -> int:
        """Take passes until there is nothing to write; return how many wrote."""
        for number in range(20):
            if not self.step(wanted):
                return number
        raise AssertionError("it does not come to rest")

    def put(self, lever: Lever, value: str | None, writer: str) -> None:
        """Write a field, as whoever it is."""
        self.seen[lever] = replace(self.seen[lever], value=value, writer=writer)

    def values(self) -> dict[Lever, str | None]:
        """Return what stands in the fields."""
        return {lever: seen.value for lever, seen in self.seen.items()}


def test_what_is_wanted_is_written_and_what_is_not_goes_back() -> None:
    cluster = Cluster()
    assert cluster.finish(OPEN) == 2
    assert cluster.values() == {**BEFORE, **OPEN}
    assert [change.before for change in cluster.ledger] == [BEFORE[SELECTOR], BEFORE[LABEL]]
    assert cluster.finish({}) == 2
    assert cluster.values() == BEFORE
    assert cluster.ledger == []


def test_what_is_wanted_comes_first_and_in_its_order() -> None:
    cluster = Cluster()
    cluster.finish(OPEN)
    cluster.step({OTHER: as_text("x"), SELECTOR: as_text({"app": "both"})})
    assert cluster.seen[OTHER].value == as_text("x")
    cluster.step({OTHER: as_text("x"), SELECTOR: as_text({"app": "both"})})
    assert cluster.seen[SELECTOR].value == as_text({"app": "both"})
    assert cluster.seen[LABEL].value is None, "what goes back waits for what is wanted"
    cluster.finish({})
    assert cluster.values() == BEFORE


def test_what_is_wanted_as_it_is_owes_nothing() -> None:
    cluster = Cluster()
    assert cluster.finish({SELECTOR: BEFORE[SELECTOR]}) == 0
    assert cluster.ledger == []


def test_an_object_that_is_gone_owes_nothing() -> None:
    cluster = Cluster()
    cluster.finish(OPEN)
    del cluster.seen[LABEL]
    cluster.seen[SELECTOR] = Seen("another", BEFORE[SELECTOR])
    cluster.step({})
    assert cluster.outcomes[-2:] == [Outcome.GONE, Outcome.GONE]
    assert cluster.ledger == []


def test_what_was_never_there_is_not_held() -> None:
    cluster = Cluster(seen={})
    assert cluster.finish(OPEN) == 0
    assert cluster.ledger == []


def test_what_somebody_puts_back_is_written_once_more_and_then_left() -> None:
    cluster = Cluster()
    cluster.finish(OPEN)
    cluster.put(LABEL, BEFORE[LABEL], "argocd-controller")
    cluster.finish(OPEN)
    assert cluster.seen[LABEL].value is None
    cluster.put(LABEL, BEFORE[LABEL], "argocd-controller")
    assert cluster.finish(OPEN) == 0
    assert cluster.outcomes[-1] is Outcome.CONTESTED
    assert cluster.ledger[1].released_by == "argocd-controller"
    cluster.finish({})
    assert cluster.values() == BEFORE
    assert cluster.ledger == []


def test_what_somebody_sets_to_something_else_stays() -> None:
    cluster = Cluster()
    cluster.finish(OPEN)
    cluster.put(SELECTOR, as_text({"app": "mine"}), "kubectl-edit")
    assert cluster.finish(OPEN) == 0
    assert cluster.outcomes[-1] is Outcome.RELEASED
    cluster.finish({})
    assert cluster.values() == {**BEFORE, SELECTOR: as_text({"app": "mine"})}
    assert cluster.ledger == []


@pytest.mark.parametrize(
    ("change", "last"),
    [
        (
            Change(**LABEL._asdict(), uid="uid", before='"api"', written='"api"'),
            {"op": "remove", "path": LABEL.field},
        ),
        (
            Change(**LABEL._asdict(), uid="uid", before='"api"', intended='"api"'),
            {"op": "add", "path": LABEL.field, "value": "api"},
        ),
    ],
)
def test_a_patch_fails_if_anything_is_not_as_it_was_read(
    change: Change, last: dict[str, str]
) -> None:
    written = "api" if change.written else None
    assert [*patch_of(change)] == [
        {"op": "test", "path": "/metadata/uid", "value": "uid"},
        {"op": "test", "path": "/metadata/labels/app.kubernetes.io~1name", "value": written},
        last,
    ]


VALUES = st.sampled_from([None, as_text("api"), as_text("x"), as_text({"app": "fallback"})])
WANTED = st.dictionaries(st.sampled_from(LEVERS), VALUES, max_size=3)


@given(st.lists(st.tuples(WANTED, st.integers(0, 8), st.booleans()), max_size=12))
def test_whenever_it_is_stopped_everything_goes_back_exactly(
    phases: list[tuple[dict[Lever, str | None], int, bool]],
) -> None:
    cluster = Cluster()
    for wanted, steps, is_cut_short in phases:
        for number in range(steps):
            cluster.step(wanted, writes=not is_cut_short or number < steps - 1)
    cluster.finish({})
    assert cluster.values() == BEFORE
    assert cluster.ledger == []


@given(WANTED, st.sampled_from(LEVERS), VALUES)
def test_nobody_else_is_written_over_twice(
    wanted: dict[Lever, str | None], lever: Lever, value: str | None
) -> None:
    cluster = Cluster()
    cluster.finish(wanted)
    for _ in range(3):
        cluster.put(lever, value, "somebody")
        cluster.finish(wanted)
    cluster.finish({})
    if lever not in wanted:
        assert cluster.seen[lever].value == value, "it was never ours"
    elif value not in (wanted[lever], BEFORE[lever]):
        assert cluster.seen[lever].value == value

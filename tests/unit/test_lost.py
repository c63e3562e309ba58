"""A target whose record is lost: nothing is built on its number until somebody, or the alert, lets it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.lost_ledger import LostLedger
from firewatch.api.responses import State
from firewatch.respond.decide import decide
from firewatch.respond.lost import LEDGER_LOST, is_unrecorded, lost_of
from firewatch.respond.signals import Signal
from firewatch.respond.situation import Decision, Responder, Target
from tests.unit.test_decide import (
    FIRING,
    HOLD,
    RESOLVED,
    RULE_GONE,
    TARGET,
    responder,
    situation,
    spec,
)

LOST = LostLedger(found_at="2026-01-01T00:00:00.000Z", level=TARGET.level)
FINALIZER = "monitoring.freeagentics.io/restore"
SIGNALS = st.sampled_from([FIRING, HOLD, RESOLVED, RULE_GONE])


def ask(*responders: Responder, target: Target | None = TARGET, after: float = 0) -> Decision:
    return decide(situation(*responders, target=target, after=after))


@pytest.mark.parametrize(
    ("finalizers", "status", "expected"),
    [
        ([FINALIZER], None, True),
        ([FINALIZER], {}, True),
        ([FINALIZER], {"state": "Idle"}, False),
        (["foregroundDeletion"], None, False),
        ([], None, False),
    ],
)
def test_a_finalizer_without_a_status_is_one_without_a_record(
    finalizers: list[str], status: dict[str, str] | None, *, expected: bool
) -> None:
    live = {"metadata": {"finalizers": finalizers}} | ({} if status is None else {"status": status})
    assert is_unrecorded(live) is expected


def test_it_is_told_with_the_number_that_is_left() -> None:
    decision = ask(responder(is_unrecorded=True))
    assert decision.ledger is None
    assert decision.scale_to is None
    (note,) = (note for note in decision.notes if note.event == LEDGER_LOST)
    assert note.warning
    assert "api is left at 2" in note.message
    view = decision.views["r"]
    assert (view.state, view.target.reason) == (State.REFUSED, LEDGER_LOST)
    assert decision.lost == {"r": LOST}


def test_it_is_told_of_a_target_that_cannot_be_looked_at() -> None:
    decision = ask(responder(is_unrecorded=True, leaving=True), target=None)
    (note,) = decision.notes
    assert note.event == LEDGER_LOST
    assert "Deployment api cannot be looked at" in note.message


@given(
    st.lists(SIGNALS, min_size=1, max_size=6),
    st.integers(min_value=0, max_value=5),
)
def test_nothing_is_done_before_the_alert_has_resolved(signals: list[Signal], more: int) -> None:
    """Whatever the signals, and whoever else asks."""
    lost: LostLedger | None = None
    others = [responder(f"o{n}") for n in range(more)]
    for number, signal in enumerate(signals):
        first = responder("lost", signal, lost=lost, is_unrecorded=number == 0)
        decision = ask(first, *others, after=number)
        assert decision.lost is None or decision.scale_to is None
        if lost is None or lost.resolved_at is None:
            acts = decision.scale_to is not None
            assert acts is (number > 0 and signal is RESOLVED and bool(others))
        if decision.scale_to is not None:
            return
        assert decision.lost is not None
        lost = decision.lost["lost"]


def test_afterwards_it_counts_from_what_is_there() -> None:
    healed = responder(signal=RESOLVED, lost=LOST)
    resolved = lost_of(situation(healed), healed)
    assert resolved is not None
    assert resolved.resolved_at
    quiet = ask(responder(signal=RESOLVED, lost=resolved))
    assert quiet.views["r"].state is State.IDLE
    assert "the record of what was changed on Deployment api is missing" in quiet.views["r"].message
    acting = ask(responder(lost=resolved))
    assert acting.scale_to == 4
    assert acting.ledger is not None
    assert acting.ledger.baseline == 2


def test_another_number_is_somebodys_decision() -> None:
    decision = ask(responder(lost=LOST), target=replace(TARGET, replicas=3))
    assert decision.scale_to == 5


def test_within_an_episode_it_stands_in_nobodys_way() -> None:
    """Somebody had set another number, and the response has raised it to the one that was found."""
    one_more = spec(actions=[{"scaleUp": {"by": 1, "maxReplicas": 10}}])
    first = responder(lost=LOST, spec=one_more)
    opened = ask(first, target=replace(TARGET, replicas=TARGET.level - 1))
    assert opened.scale_to == LOST.level
    watcher = responder("o", spec=spec(mode="observe"))
    decision = decide(situation(first, watcher, ledger=opened.ledger))
    view = decision.views["o"]
    assert (view.state, view.target.reason) == (State.WOULD_ACT, "Reachable")


def test_one_without_a_source_of_alerts_bears_witness() -> None:
    """As while a backup is applied: the stack may come after its AutoResponses."""
    without = responder("without", HOLD, lost=LOST, leaving=True)
    assert ask(without, responder()).scale_to is None
    kept = ask(without, target=None)
    assert kept.lost == {"without": LOST}


def test_the_end_of_an_episode_forgets_it() -> None:
    resolved = LOST.model_copy(update={"resolved_at": "2026-01-01T00:00:01.000Z"})
    opened = ask(responder(lost=resolved))
    assert opened.ledger is not None
    after = situation(
        responder(signal=RESOLVED, lost=resolved, leaving=True, holds_claim=True),
        ledger=opened.ledger.model_copy(update={"intended": 2, "written": 2}),
    )
    closed = decide(replace(after, now=after.now + timedelta(hours=1)))
    assert closed.ledger is None
    assert closed.lost == {}

"""Restarts: once for each time that an alert fires, whatever happens in between."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firewatch.api.ledger import Ledger, Verdict
from firewatch.api.responses import Mode, State
from firewatch.api.restart import RestartState
from firewatch.respond.limits import Usage
from firewatch.respond.lost import LEDGER_LOST
from firewatch.respond.renewal import Renewal
from firewatch.respond.restarting import decide_all
from firewatch.respond.signals import Signal
from firewatch.respond.situation import Decision, Responder, Situation, Target
from tests.unit.test_decide import FIRING, HOLD, PAUSE, RESOLVED, TARGET, responder, situation, spec

IDLE = replace(TARGET, ready=2, renewal=Renewal(generation=1, is_rolled_out=True))
SPEC = spec(actions=[{"restart": {}}])


def restarter(name: str = "r", signal: Signal = FIRING, **fields: object) -> Responder:
    return responder(name, signal, **{"spec": SPEC, **fields})


@dataclass
class World:
    """A target that is restarted, and a clock: runs decisions to their end as the pass does."""

    target: Target | None
    responders: tuple[Responder, ...]
    ledger: Ledger | None = None
    seconds: float = 0
    restarts: int = 0
    usage: Usage = field(default_factory=Usage)

    def step(self, *, crash_after: int | None = None) -> Decision:
        """Take one pass; ``crash_after`` stops it after so many of its writes."""
        steps = 0
        while True:
            decision = decide_all(self.situation())
            steps += 1
            if decision.restart is None or self.target is None:
                self._told(decision)
                return decision
            name, record = decision.restart
            self.change(name, restart=record, holds_claim=True)
            if crash_after == steps:
                return decision
            self.target = self.target.restarted(record.at)
            self.restarts += 1
            steps += 1
            if crash_after == steps:
                return decision

    def situation(self) -> Situation:
        return situation(
            *self.responders,
            target=self.target,
            ledger=self.ledger,
            after=self.seconds,
            usage=self.usage,
        )

    def _told(self, decision: Decision) -> None:
        for name, record in decision.records.items():
            self.change(name, restart=record, holds_claim=record is not None)
        until = self.situation().now + timedelta(seconds=60)
        for name in decision.ended:
            self.change(name, cooldown_until=until)

    def change(self, name: str, **fields: object) -> None:
        self.responders = tuple(
            replace(r, **fields) if r.name == name else r  # type: ignore[arg-type]
            for r in self.responders
        )

    def signal(self, signal: Signal) -> None:
        self.responders = tuple(replace(r, signal=signal) for r in self.responders)

    def roll_out(self) -> None:
        """Have the controller renew all pods."""
        assert self.target
        renewal = replace(self.target.renewal, is_rolled_out=True, obstacle=None)
        self.target = replace(self.target, renewal=renewal)


def test_an_alert_that_goes_on_firing_is_answered_once() -> None:
    world = World(IDLE, (restarter(),))
    first = world.step()
    assert [note.event for note in first.notes] == ["Restarted"]
    assert "nothing to put back" in first.notes[0].message
    assert (first.views["r"].state, first.ledger) == (State.ACTIVE, None)
    world.roll_out()
    for _ in range(100):
        world.seconds += 60
        world.step()
    assert world.restarts == 1


def test_it_is_over_when_the_alert_has_stayed_resolved_and_then_cools_down() -> None:
    world = World(IDLE, (restarter(),))
    world.step()
    world.roll_out()
    world.signal(RESOLVED)
    assert world.step().views["r"].state is State.HOLDING
    world.seconds += 9
    assert not world.step().ended
    world.seconds += 1
    assert world.step().ended == {"r"}
    assert world.responders[0].restart is None
    world.signal(FIRING)
    assert world.step().views["r"].state is State.COOLDOWN
    world.seconds += 60
    world.step()
    assert world.restarts == 2


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (
            replace(IDLE, renewal=Renewal(obstacle=("RolloutInProgress", "wait"))),
            "RolloutInProgress",
        ),
        (replace(IDLE, paused=True), "TargetPaused"),
        (replace(IDLE, replicas=0), "ScaledToZero"),
        (replace(IDLE, opted_in=False), "NotOptedIn"),
        (None, "TargetNotFound"),
    ],
)
def test_a_target_that_may_not_be_restarted_is_refused(target: Target | None, reason: str) -> None:
    world = World(target, (restarter(),))
    decision = world.step()
    assert (decision.views["r"].state, decision.views["r"].target.reason) == (State.REFUSED, reason)
    assert [note.event for note in decision.notes] == ["Refused"]
    assert world.restarts == 0


def test_neither_the_maximum_nor_an_autoscaler_stands_in_its_way() -> None:
    world = World(replace(IDLE, replicas=50, ready=50, ambiguity="two"), (restarter(),))
    world.step()
    assert world.restarts == 1


def test_the_rails_hold_for_it() -> None:
    world = World(IDLE, (restarter(),), usage=Usage(on_target=3))
    assert world.step().views["r"].state is State.LIMITED
    paused = World(IDLE, (restarter(pause=PAUSE),))
    assert paused.step().views["r"].state is State.PAUSED
    asked = World(IDLE, (restarter(spec=spec(actions=[{"restart": {}}], mode="approve")),))
    assert asked.step().views["r"].state is State.WAITING
    assert world.restarts == paused.restarts == asked.restarts == 0


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.DRY_RUN])
def test_other_modes_only_say_what_they_would_do(mode: Mode) -> None:
    world = World(IDLE, (restarter(spec=spec(actions=[{"restart": {}}], mode=mode)),))
    decision = world.step()
    assert "would restart api" in decision.views["r"].message
    assert (world.restarts, decision.dry_run_restart) == (0, mode is Mode.DRY_RUN)
    assert decision.dry_run_to is None


def test_two_that_fire_together_do_not_restart_it_at_the_same_time() -> None:
    world = World(IDLE, (restarter("a"), restarter("b")))
    decision = world.step()
    assert world.restarts == 1
    assert decision.views["b"].target.reason == "RolloutInProgress"


def test_what_was_done_is_written_down_before_another_is_begun() -> None:
    world = World(IDLE, (restarter("a"), restarter("b", RESOLVED)))
    world.step(crash_after=2)
    world.roll_out()
    world.signal(FIRING)
    told = world.step()
    assert ([note.event for note in told.notes], world.restarts) == (["Restarted"], 1)
    assert told.views["b"].state is State.FIRING
    world.step()
    assert world.restarts == 2


def test_what_is_announced_and_not_wanted_any_more_is_taken_back_before_another_is_begun() -> None:
    world = World(IDLE, (restarter("a"), restarter("b", RESOLVED)))
    world.step(crash_after=1)
    world.change("a", pause=PAUSE)
    world.change("b", signal=FIRING)
    decision = world.step()
    assert (world.restarts, decision.notes, decision.seconds) == (0, (), 0.0)
    assert decision.views["b"].state is State.FIRING
    told = world.step()
    assert [(note.event, note.responder) for note in told.notes] == [("Restarted", "b")]
    assert world.restarts == 1


def test_two_restarts_are_never_announced_with_the_same_words() -> None:
    world = World(IDLE, (restarter("a"), restarter("b", RESOLVED)))
    world.step()
    world.roll_out()
    world.change("b", signal=FIRING)
    world.step(crash_after=1)
    first, second = (each.restart for each in world.responders)
    assert first
    assert second
    assert first.at != second.at
    assert [note.responder for note in world.step().notes] == ["b"]
    assert world.restarts == 2


def test_what_was_done_is_told_though_nothing_is_to_be_done_any_more() -> None:
    world = World(IDLE, (restarter(),))
    world.step(crash_after=2)
    world.change("r", leaving=True)
    decision = world.step()
    assert [note.event for note in decision.notes] == ["Restarted"]
    assert decision.records == {"r": None}


def test_a_restart_that_is_announced_comes_before_more_replicas() -> None:
    world = World(IDLE, (responder("s", RESOLVED), restarter("r")))
    world.step(crash_after=1)
    world.signal(FIRING)
    decision = decide_all(world.situation())
    assert (decision.scale_to, decision.restart) == (None, ("r", world.responders[1].restart))


def test_what_was_announced_is_done_whatever_has_been_done_since() -> None:
    world = World(IDLE, (restarter(),))
    world.step(crash_after=1)
    world.usage = Usage(on_target=3, limit="it counts itself")
    world.step()
    assert world.restarts == 1


def test_another_target_is_not_one_that_is_gone() -> None:
    world = World(IDLE, (restarter(),))
    world.step()
    world.target = replace(IDLE, name="web", uid="uid-web")
    world.change("r", spec=spec(actions=[{"restart": {}}], target={"name": "web"}), signal=RESOLVED)
    decision = world.step()
    assert (decision.records, decision.notes) == ({"r": None}, ())


def test_who_scales_and_who_restarts_do_not_disturb_each_other() -> None:
    world = World(IDLE, (responder("s", RESOLVED), restarter("r")))
    decision = world.step()
    assert (world.restarts, decision.ledger) == (1, None)
    assert decision.views["s"].state is State.IDLE
    world.change("s", signal=FIRING)
    assert decide_all(world.situation()).scale_to == 4


def test_nothing_is_restarted_before_a_lost_record_is_told_or_while_it_matters() -> None:
    over = World(IDLE, (restarter("r"), responder("s", RESOLVED, is_unrecorded=True)))
    decision = over.step()
    assert [note.responder for note in decision.notes if note.event == LEDGER_LOST] == ["s"]
    assert decision.lost
    over.change("s", is_unrecorded=False, lost=decision.lost["s"])
    assert over.restarts == 0
    over.step()
    assert over.restarts == 1
    lost = World(IDLE, (restarter("r"), responder("s", HOLD, is_unrecorded=True)))
    view = lost.step().views["r"]
    assert (view.state, view.target.reason) == (State.REFUSED, LEDGER_LOST)
    assert lost.restarts == 0


def test_what_somebody_else_has_changed_just_then_is_not_restarted_again() -> None:
    world = World(IDLE, (restarter(),))
    world.step(crash_after=1)
    assert world.target
    world.target = replace(world.target, renewal=replace(world.target.renewal, generation=2))
    decision = world.step()
    assert [note.event for note in decision.notes] == ["RestartSkipped"]
    assert decision.views["r"].target.reason == "RestartSkipped"
    world.seconds += 60
    assert world.step().notes == ()
    assert world.restarts == 0


def test_what_was_only_announced_is_not_done_for_an_alert_that_has_resolved() -> None:
    world = World(IDLE, (restarter(),))
    world.step(crash_after=1)
    world.signal(RESOLVED)
    world.step()
    assert (world.restarts, world.responders[0].restart) == (0, None)


def test_one_that_leaves_or_whose_target_is_gone_owes_nothing() -> None:
    for change in ({"leaving": True}, {}):
        world = World(IDLE, (restarter(),))
        world.step()
        world.change("r", **change)
        if not change:
            world.target = replace(IDLE, uid="new")
        world.signal(RESOLVED)
        decision = world.step()
        assert decision.records == {"r": None}
        assert [note.event for note in decision.notes] == ([] if change else ["TargetGone"])


def test_a_restart_that_has_not_helped_is_told_once() -> None:
    rails = {"cooldown": "60s", "verifyWithin": "60s"}
    world = World(IDLE, (restarter(spec=spec(actions=[{"restart": {}}], rails=rails)),))
    world.step()
    world.seconds += 30
    world.roll_out()
    world.step()
    world.seconds += 59
    assert world.step().notes == ()
    world.seconds += 1
    decision = world.step()
    assert [note.event for note in decision.notes] == ["Ineffective"]
    assert decision.views["r"].state is State.INEFFECTIVE
    assert world.step().notes == ()
    record = world.responders[0].restart
    assert record
    assert record.effect
    assert record.effect.verdict is Verdict.INEFFECTIVE


ALERTS = {"fire": FIRING, "hold": HOLD, "resolve": RESOLVED}
PASSES = {"step": None, "crash1": 1, "crash2": 2}
"""After how many of its writes a pass ends."""


def happen(world: World, happening: str) -> None:
    match happening:
        case "wait":
            world.seconds += 7
        case "rolled":
            world.roll_out()
        case "pause" | "resume":
            world.change("r0", pause=PAUSE if happening == "pause" else None)
        case _:
            world.signal(ALERTS[happening])


def pass_over(world: World, crash_after: int | None) -> list[tuple[str, str]]:
    """Take a pass, which restarts at most once; return for whom it tells of which restart."""
    before, restarts = world.responders, world.restarts
    decision = world.step(crash_after=crash_after)
    assert world.restarts - restarts <= 1
    for old, new in zip(before, world.responders, strict=True):
        if old.restart and new.restart and old.restart.state is RestartState.DONE:
            kept = (old.restart.at, old.restart.state)
            assert (new.restart.at, new.restart.state) == kept
    return [(note.responder, note.at) for note in decision.notes if note.event == "Restarted"]


happenings = st.sampled_from([*ALERTS, *PASSES, "wait", "rolled", "pause", "resume"])


@given(st.lists(happenings, max_size=60), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_whatever_happens_a_target_is_restarted_once_until_the_alert_is_over(
    found: list[str], count: int
) -> None:
    world = World(IDLE, tuple(restarter(f"r{n}", RESOLVED) for n in range(count)))
    told: list[tuple[str, str]] = []
    for happening in found:
        if happening in PASSES:
            told += pass_over(world, PASSES[happening])
        else:
            happen(world, happening)
    assert len({*told}) == len(told), "told once each"
    pending = sum(
        r.restart is not None and r.restart.state is RestartState.ANNOUNCED
        for r in world.responders
    )
    assert len(told) <= world.restarts <= len(told) + pending

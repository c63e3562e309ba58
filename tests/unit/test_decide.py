"""Decisions about a target: what is written, what is told, and that it is always undone exactly."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firewatch.api.ledger import Ledger
from firewatch.api.responses import AutoResponseSpec, Mode, State
from firewatch.respond.alerts import Alert, AlertState
from firewatch.respond.approval import Verdict
from firewatch.respond.decide import decide
from firewatch.respond.limits import Usage
from firewatch.respond.load import Load
from firewatch.respond.pausing import Pause
from firewatch.respond.signals import Kind, Signal
from firewatch.respond.situation import Autoscaler, Decision, Responder, Situation, Target

START = datetime(2026, 1, 1, tzinfo=UTC)
ALERT = Alert("id", "HighCPUUsage", {"alertname": "HighCPUUsage"}, AlertState.FIRING, START)
FIRING = Signal(Kind.FIRING, "Firing", "HighCPUUsage fires", ALERT, 1)
RESOLVED = Signal(Kind.RESOLVED, "Resolved", "no matching alert is active")
HOLD = Signal(Kind.HOLD, "SourceUnreachable", "Prometheus cannot be asked")
RULE_GONE = Signal(Kind.RULE_GONE, "RuleGone", "no rule")


def spec(**overrides: object) -> AutoResponseSpec:
    fields = {
        "trigger": {"preset": "cpu_high"},
        "target": {"name": "api"},
        "actions": [{"scaleUp": {"by": 2, "maxReplicas": 10}}],
        "recovery": {
            "hold": "10s",
            "rampDown": {"step": "50%", "every": "5s"},
            "orphanAfter": "1m",
        },
        "rails": {"cooldown": "60s"},
        "mode": "enforce",
    }
    return AutoResponseSpec.model_validate(fields | overrides)


def responder(name: str = "r", signal: Signal = FIRING, **fields: object) -> Responder:
    base = Responder(name, f"uid-{name}", "2026-01-01T00:00:00Z", spec(), signal)
    return replace(base, **fields)  # type: ignore[arg-type]


TARGET = Target("Deployment", "api", "uid-1", 2, paused=False, opted_in=True, last_writer="kubectl")

HPA = Autoscaler(
    kind="HorizontalPodAutoscaler",
    name="api",
    uid="uid-hpa",
    minimum=2,
    is_set=True,
    maximum=8,
    paused=False,
    last_writer="kubectl",
)


def situation(
    *responders: Responder,
    target: Target | None = TARGET,
    ledger: Ledger | None = None,
    after: float = 0,
    usage: Usage | None = None,
) -> Situation:
    now = START + timedelta(seconds=after)
    return Situation(now, target, responders, ledger, usage or Usage())


@dataclass
class World:
    """A target, its responders and a clock: runs decisions to their end as the pass does."""

    target: Target | None
    responders: tuple[Responder, ...]
    ledger: Ledger | None = None
    seconds: float = 0
    writes: int = 0
    usage: Usage = field(default_factory=Usage)

    def step(self, *, crash_after: int | None = None) -> Decision:
        """Take one pass; ``crash_after`` stops it after so many of its writes."""
        steps = 0
        while True:
            decision = decide(self.situation)
            if not decision.keeps_ledger:
                self.ledger = decision.ledger
            if decision.ended:
                until = self.situation.now + timedelta(seconds=60)
                self.responders = tuple(
                    replace(r, cooldown_until=until) if r.name in decision.ended else r
                    for r in self.responders
                )
            steps += 1
            if crash_after == steps or decision.scale_to is None or self.target is None:
                return decision
            self.target = replace(self.target, last_writer="firewatch").at_level(decision.scale_to)
            self.writes += 1
            steps += 1
            if crash_after == steps:
                return decision

    @property
    def situation(self) -> Situation:
        return situation(
            *self.responders,
            target=self.target,
            ledger=self.ledger,
            after=self.seconds,
            usage=self.usage,
        )

    def signal(self, signal: Signal) -> None:
        self.responders = tuple(replace(r, signal=signal) for r in self.responders)

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def end(self) -> tuple[int, Ledger | None]:
        return self.replicas, self.ledger

    @property
    def replicas(self) -> int:
        assert self.target is not None
        return self.target.replicas


def test_an_episode_goes_up_holds_ramps_down_and_cools_down() -> None:
    world = World(TARGET, (responder(),))
    up = world.step()
    assert (world.replicas, [n.event for n in up.notes]) == (4, ["ScaledUp"])
    assert world.ledger is not None
    assert (world.ledger.baseline, world.ledger.written, world.ledger.intended) == (2, 4, 4)
    world.signal(RESOLVED)
    assert world.step().views["r"].state is State.HOLDING
    world.wait(9)
    world.step()
    assert world.replicas == 4
    world.wait(1)
    assert [n.event for n in world.step().notes] == ["RampedDown"]
    assert world.replicas == 3
    world.step()
    assert world.replicas == 3, "the next step is not due yet"
    world.wait(5)
    last = world.step()
    assert [n.event for n in last.notes] == ["Restored"]
    assert world.end == (2, None)
    assert last.ended == {"r"}
    world.signal(FIRING)
    assert world.step().views["r"].state is State.COOLDOWN
    assert world.replicas == 2
    world.wait(60)
    world.step()
    assert world.replicas == 4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"replicas": 0}, "ScaledToZero"),
        ({"paused": True}, "TargetPaused"),
        ({"opted_in": False}, "NotOptedIn"),
        ({"replicas": 12}, "MaximumReached"),
    ],
)
def test_a_target_that_may_not_be_changed_is_refused_with_a_remedy(
    changes: dict[str, object], reason: str
) -> None:
    target = replace(TARGET, **changes)  # type: ignore[arg-type]
    decision = decide(situation(responder(), target=target))
    assert decision.ledger is None
    assert decision.scale_to is None
    assert decision.views["r"].target.reason == reason
    assert decision.views["r"].state is State.REFUSED
    assert [note.event for note in decision.notes] == ["Refused"]


def test_a_missing_target_is_refused() -> None:
    decision = decide(situation(responder(), target=None))
    assert decision.views["r"].target.reason == "TargetNotFound"


@pytest.mark.parametrize(
    ("mode", "event", "dry_run"), [(Mode.OBSERVE, "Observed", None), (Mode.DRY_RUN, "DryRun", 4)]
)
def test_other_modes_only_say_what_they_would_do(
    mode: Mode, event: str, dry_run: int | None
) -> None:
    decision = decide(situation(responder(spec=spec(mode=mode))))
    assert (decision.ledger, decision.scale_to, decision.dry_run_to) == (None, None, dry_run)
    assert [(n.event, n.replicas_from, n.replicas_to) for n in decision.notes] == [(event, 2, 4)]


@pytest.mark.parametrize("signal", [HOLD, RULE_GONE])
def test_what_cannot_be_told_holds(signal: Signal) -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.signal(signal)
    for _ in range(50):
        world.wait(1)
        world.step()
    assert world.replicas == 4


def test_a_claim_whose_rule_is_gone_ends_after_orphan_after_and_hold() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.signal(RULE_GONE)
    world.step()
    world.wait(60)
    world.step()
    assert world.replicas == 4
    world.wait(30)
    world.step()
    world.wait(30)
    world.step()
    assert world.end == (2, None)


@pytest.mark.parametrize("foreign", [1, 3, 7])
def test_a_foreign_write_ends_the_episode_without_restore_and_names_the_writer(
    foreign: int,
) -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.target = replace(TARGET, replicas=foreign, last_writer="kubectl-scale")
    decision = world.step()
    assert decision.views["r"].state is State.RELEASED
    assert "kubectl-scale set api to" in decision.views["r"].message
    assert [note.event for note in decision.notes] == ["Released"]
    assert world.step().notes == (), "told once"
    world.wait(100)
    world.step()
    world.signal(RESOLVED)
    assert [note.event for note in world.step().notes] == ["RestoreSkipped"]
    assert world.end == (foreign, None)


def test_a_target_made_anew_closes_the_ledger_without_restore() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.target = replace(TARGET, uid="uid-2", replicas=5)
    assert [note.event for note in world.step().notes] == ["TargetGone"]
    assert world.end == (5, None)


def test_the_highest_claim_wins_and_the_baseline_is_kept() -> None:
    small = responder("small")
    big = responder(
        "big", spec=spec(actions=[{"scaleUp": {"by": "200%", "maxReplicas": 10}}]), signal=RESOLVED
    )
    world = World(TARGET, (small, big))
    world.step()
    assert world.replicas == 4
    world.signal(FIRING)
    world.step()
    assert world.replicas == 6
    assert world.ledger is not None
    assert (world.ledger.baseline, len(world.ledger.claims)) == (2, 2)


def test_deletion_restores_at_once_and_tells_of_it() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.responders = (replace(world.responders[0], leaving=True),)
    decision = world.step()
    assert world.end == (2, None)
    assert [note.event for note in decision.notes] == ["Restored"]


@pytest.mark.parametrize("fires", [FIRING, RESOLVED])
@pytest.mark.parametrize("target", [TARGET, None])
def test_a_response_that_was_changed_to_only_tell_people_gives_back(
    fires: Signal, target: Target | None
) -> None:
    world = World(TARGET, (responder(),))
    world.step()
    notify = {"notify": {"webhook": {"url": "https://hook.example"}}}
    telling = spec(actions=[notify], target=None)
    world.responders = (replace(world.responders[0], spec=telling, leaving=True, signal=fires),)
    world.target = world.target if target else None
    decision = world.step()
    assert world.ledger is None
    assert [note.event for note in decision.notes] == ["Restored" if target else "TargetGone"]
    assert target is None or world.replicas == 2


def test_deletion_of_one_of_two_leaves_what_the_other_wants() -> None:
    world = World(TARGET, (responder("a"), responder("b")))
    world.step()
    world.responders = (replace(world.responders[0], leaving=True), world.responders[1])
    world.step()
    assert world.replicas == 4
    assert world.ledger is not None
    assert [claim.response for claim in world.ledger.claims] == ["b"]


@pytest.mark.parametrize("baseline", [0, 11])
def test_a_ledger_with_an_impossible_baseline_is_left_alone(baseline: int) -> None:
    world = World(TARGET, (responder(),))
    world.step()
    assert world.ledger is not None
    world.ledger = broken = world.ledger.model_copy(update={"baseline": baseline})
    world.signal(RESOLVED)
    world.step()
    world.wait(1000)
    decision = world.step()
    assert (world.replicas, world.ledger) == (4, broken)
    assert decision.views["r"].target.reason == "LedgerInvalid"


def test_an_alert_that_resolved_before_the_write_happened_is_not_acted_on() -> None:
    world = World(TARGET, (responder(),))
    world.step(crash_after=1)
    world.signal(RESOLVED)
    for _ in range(30):
        world.wait(1)
        world.step()
    assert (world.replicas, world.writes, world.ledger) == (2, 0, None)


events = st.sampled_from(["fire", "resolve", "hold", "wait", "wait", "crash1", "crash2", "step"])


@given(
    happenings=st.lists(events, max_size=60),
    baseline=st.integers(1, 9),
    by=st.one_of(st.integers(1, 5), st.sampled_from(["10%", "50%", "300%"])),
    others=st.integers(1, 3),
    minimum=st.none() | st.integers(0, 9),
)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_the_baseline_comes_back(
    happenings: list[str], baseline: int, by: int | str, others: int, minimum: int | None
) -> None:
    wanted = spec(actions=[{"scaleUp": {"by": by, "maxReplicas": 10}}])
    responders = tuple(responder(f"r{i}", spec=wanted, signal=RESOLVED) for i in range(others))
    scaler = None if minimum is None else replace(HPA, minimum=minimum, maximum=10)
    before = replace(TARGET, replicas=baseline, autoscaler=scaler)
    world = World(before, responders)
    for happening in happenings:
        match happening:
            case "fire":
                world.signal(FIRING)
            case "resolve":
                world.signal(RESOLVED)
            case "hold":
                world.signal(HOLD)
            case "wait":
                world.wait(4)
            case "crash1":
                world.step(crash_after=1)
            case "crash2":
                world.step(crash_after=2)
            case _:
                world.step()
        assert world.target
        assert before.level <= world.target.level <= 10
    world.signal(RESOLVED)
    for _ in range(40):
        world.step()
        world.wait(6)
    assert world.target
    assert (world.target.level, world.end) == (before.level, (baseline, None))


def test_a_revert_is_written_once_more_and_the_second_is_contested() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.target = replace(TARGET, last_writer="argocd-controller")
    again = world.step()
    assert [n.event for n in again.notes] == ["Rewritten"]
    assert "argocd-controller had put it back" in again.notes[0].message
    assert (world.replicas, world.writes) == (4, 2)
    world.target = replace(TARGET, last_writer="argocd-controller")
    contested = world.step()
    assert contested.views["r"].state is State.CONTESTED
    assert "argocd-controller" in contested.views["r"].message
    assert [n.event for n in contested.notes] == ["Contested"]
    for _ in range(50):
        world.wait(5)
        world.step()
    assert (world.replicas, world.writes) == (2, 2)
    world.signal(RESOLVED)
    world.step()
    assert world.end == (2, None)


SCALED = replace(TARGET, replicas=3, autoscaler=HPA)


def test_the_minimum_of_an_autoscaler_goes_up_and_back() -> None:
    world = World(SCALED, (responder(),))
    up = world.step()
    assert world.target
    assert world.ledger
    assert world.target.level == 5, "counted from the replicas that the autoscaler had set"
    assert (world.ledger.schema_version, world.ledger.baseline) == (2, 2)
    assert up.nudge_to == 5
    world.target = replace(world.target, replicas=5)
    assert world.step().nudge_to is None
    world.target = replace(world.target, replicas=8)
    world.signal(RESOLVED)
    world.step()
    world.wait(10)
    down = world.step()
    assert [n.event for n in down.notes] == ["Restored"]
    assert (world.target.level, world.target.replicas) == (2, 8), "the autoscaler goes down itself"
    assert world.ledger is None


def test_a_target_is_not_helped_for_ever() -> None:
    world = World(SCALED, (responder(),))
    world.step()
    world.wait(29)
    assert world.step().nudge_to == 5
    world.wait(1)
    assert world.step().nudge_to is None


def test_no_more_than_the_autoscaler_allows() -> None:
    world = World(replace(SCALED, autoscaler=replace(HPA, maximum=4)), (responder(),))
    world.step()
    assert world.target
    assert world.target.level == 4
    full = World(replace(SCALED, autoscaler=replace(HPA, maximum=3)), (responder(),))
    view = full.step().views["r"]
    assert (view.state, view.target.reason) == (State.REFUSED, "CappedByAutoscaler")


def test_a_higher_minimum_is_never_lowered() -> None:
    world = World(replace(SCALED, autoscaler=replace(HPA, minimum=6)), (responder(),))
    world.step()
    assert world.target
    assert world.target.level == 6


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (replace(SCALED, autoscaler=replace(HPA, paused=True)), "AutoscalerPaused"),
        (replace(TARGET, ambiguity="two of them"), "AmbiguousAutoscaler"),
        (replace(SCALED, replicas=0), "ScaledToZero"),
    ],
)
def test_autoscalers_that_do_not_scale_are_refused(target: Target, reason: str) -> None:
    world = World(target, (responder(),))
    assert world.step().views["r"].target.reason == reason
    assert world.writes == 0


@pytest.mark.parametrize(
    ("before", "after"), [(SCALED, TARGET), (TARGET, SCALED), (SCALED, replace(SCALED, uid="new"))]
)
def test_another_autoscaler_ends_the_episode_without_restore(before: Target, after: Target) -> None:
    world = World(before, (responder(),))
    world.step()
    world.target = after
    writes = world.writes
    last = world.step()
    assert last.notes[0].event in ("AutoscalerChanged", "TargetGone")
    assert (world.ledger, world.writes) == (None, writes)


def test_a_minimum_that_was_not_set_may_go_back_to_none() -> None:
    keda = replace(HPA, kind="ScaledObject", minimum=0, is_set=False)
    world = World(replace(SCALED, autoscaler=keda), (responder(),))
    world.step()
    assert world.ledger
    assert world.ledger.autoscaler
    assert not world.ledger.autoscaler.was_set
    world.signal(RESOLVED)
    world.step()
    world.wait(10)
    world.step()
    assert world.target
    assert (world.target.level, world.end) == (0, (3, None))


def test_enough_is_enough_and_says_so_once_an_hour_is_over_it_goes_on() -> None:
    world = World(TARGET, (responder(),), usage=Usage(on_target=3))
    decision = world.step()
    assert decision.views["r"].state is State.LIMITED
    assert "3 times within an hour" in decision.views["r"].message
    assert [n.event for n in decision.notes] == ["Limited"]
    assert (world.writes, decision.seconds) == (0, 30.0)
    world.usage = Usage(limit="10 actions in the cluster")
    assert "10 actions in the cluster" in world.step().views["r"].message
    world.usage = Usage()
    world.step()
    assert world.replicas == 4


def test_putting_back_is_never_limited() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.usage = Usage(on_target=99, limit="everything")
    world.signal(RESOLVED)
    for _ in range(4):
        world.wait(10)
        world.step()
    assert world.end == (2, None)


def test_a_further_claim_does_not_raise_a_target_beyond_its_limit() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    more = spec(actions=[{"scaleUp": {"by": 5, "maxReplicas": 10}}])
    world.responders = (responder(), responder("s", spec=more))
    world.usage = Usage(on_target=3)
    world.step()
    assert world.replicas == 4
    world.usage = Usage()
    world.step()
    assert world.replicas == 7


PAUSE = Pause("paused until somebody says so")


def test_nothing_is_done_for_a_paused_response_and_nothing_undone() -> None:
    world = World(TARGET, (responder(pause=PAUSE),))
    assert world.step().views["r"].state is State.PAUSED
    assert world.writes == 0
    world.responders = (responder(),)
    world.step()
    world.responders = (responder(signal=RESOLVED, pause=PAUSE),)
    for _ in range(10):
        world.wait(60)
        assert world.step().views["r"].state is State.PAUSED
    assert world.replicas == 4
    world.responders = (responder(signal=RESOLVED),)
    world.step()
    world.wait(5)
    world.step()
    assert world.end == (2, None), "a pause that is over is over"


def test_a_paused_response_that_is_deleted_gives_back() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.responders = (responder(pause=PAUSE, leaving=True),)
    world.step()
    assert world.end == (2, None)


def test_a_pause_of_one_is_not_that_of_another() -> None:
    more = spec(actions=[{"scaleUp": {"by": 5, "maxReplicas": 10}}])
    world = World(TARGET, (responder(), responder("s", spec=more, pause=PAUSE)))
    world.step()
    assert world.replicas == 4


def test_a_pause_ends_by_itself() -> None:
    until = START + timedelta(seconds=40)
    world = World(TARGET, (responder(pause=Pause("paused", until)),))
    assert world.step().seconds == 40


def approving(signal: Signal = FIRING, **fields: Any) -> Responder:
    return responder(signal=signal, spec=spec(mode="approve"), **fields)


def test_with_approve_nothing_is_done_before_somebody_says_so() -> None:
    world = World(TARGET, (approving(),))
    first = world.step()
    view = first.views["r"]
    assert (view.state, world.writes) == (State.WAITING, 0)
    assert view.request
    assert view.request.id in view.message
    assert "would scale api 2 → 4" in view.request.message
    assert [n.event for n in first.notes] == ["Requested"]
    world.wait(60)
    world.responders = (approving(request=view.request),)
    assert world.step().views["r"].request == view.request, "it is asked once"
    world.responders = (approving(request=view.request, verdict=Verdict.APPROVED),)
    world.step()
    assert world.replicas == 4
    world.responders = (approving(RESOLVED, holds_claim=True),)
    world.step()
    world.wait(10)
    world.step()
    world.wait(5)
    world.step()
    assert world.end == (2, None), "putting back needs no approval"


def test_a_request_that_nobody_answers_is_made_anew() -> None:
    world = World(TARGET, (approving(),))
    first = world.step().views["r"].request
    assert first
    world.responders = (approving(request=first),)
    world.wait(3600)
    second = world.step().views["r"].request
    assert second
    assert second.id != first.id


def test_what_is_rejected_is_not_asked_again_while_the_alert_fires() -> None:
    world = World(TARGET, (approving(),))
    request = world.step().views["r"].request
    world.responders = (approving(request=request, verdict=Verdict.REJECTED),)
    world.wait(7200)
    view = world.step().views["r"]
    assert (view.state, view.request, world.writes) == (State.REJECTED, request, 0)
    world.responders = (approving(RESOLVED, request=request, verdict=Verdict.REJECTED),)
    assert world.step().views["r"].request is None
    world.responders = (approving(),)
    assert world.step().views["r"].state is State.WAITING


def test_what_is_undone_goes_back_at_once_and_the_cooldown_begins() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    assert world.ledger
    since = world.ledger.claims[0].since
    world.responders = (responder(undo=since),)
    last = world.step()
    assert world.end == (2, None)
    assert last.ended == {"r"}
    assert world.step().views["r"].state is State.COOLDOWN
    world.wait(60)
    world.step()
    assert world.replicas == 4, "only that very claim"


def resolved(value: float) -> Signal:
    return replace(RESOLVED, load=Load(value, 80))


def test_a_cured_alert_is_held_until_the_baseline_would_carry_the_load() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.signal(resolved(50))
    for _ in range(20):
        world.wait(60)
        view = world.step().views["r"]
    assert (world.replicas, view.state) == (4, State.ACTIVE)
    assert "50 on 4 replicas would be 100 on 2, and the alert's limit is 80" in view.message
    world.signal(resolved(30))
    assert world.step().views["r"].state is State.HOLDING
    world.wait(9)
    world.signal(resolved(40))
    world.step()
    world.signal(resolved(30))
    world.step()
    world.wait(9)
    world.step()
    assert world.replicas == 4, "the hold begins anew"
    for _ in range(4):
        world.wait(5)
        world.step()
    assert world.end == (2, None)


def test_nobody_is_held_for_a_load_that_cannot_be_told() -> None:
    world = World(TARGET, (responder(),))
    world.step()
    world.signal(RESOLVED)
    for _ in range(4):
        world.wait(10)
        world.step()
    assert world.end == (2, None)


def escalating(**fields: Any) -> Responder:
    further = {"by": 1, "every": "2m", "maxSteps": 3}
    scale_up = {"by": 2, "maxReplicas": 6, "escalation": further}
    return responder(spec=spec(actions=[{"scaleUp": scale_up}]), **fields)


def test_a_step_follows_only_once_the_last_is_ready_and_has_not_helped() -> None:
    world = World(TARGET, (escalating(),))
    world.step()
    world.wait(300)
    world.step()
    assert world.replicas == 4, "not all of them are ready"
    assert world.target
    world.target = replace(world.target, ready=4)
    world.step()
    assert world.replicas == 5
    world.target = replace(world.target, ready=5)
    world.wait(119)
    world.step()
    assert world.replicas == 5, "not yet"
    world.wait(1)
    world.step()
    assert world.replicas == 6
    world.target = replace(world.target, ready=6)
    for _ in range(10):
        world.wait(120)
        world.step()
    assert world.replicas == 6, "the maximum"
    world.signal(RESOLVED)
    for _ in range(10):
        world.step()
        world.wait(10)
    assert world.end == (2, None)


def test_steps_are_actions_and_limited_as_those() -> None:
    world = World(TARGET, (escalating(),))
    world.step()
    world.wait(300)
    assert world.target
    world.target = replace(world.target, ready=4)
    world.usage = Usage(on_target=3)
    world.step()
    assert world.replicas == 4


def test_no_step_is_taken_for_an_alert_that_does_not_fire() -> None:
    world = World(TARGET, (escalating(),))
    world.step()
    assert world.target
    world.target = replace(world.target, ready=4)
    world.signal(HOLD)
    for _ in range(10):
        world.wait(300)
        world.step()
    assert world.replicas == 4

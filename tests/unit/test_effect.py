"""Whether what was done helps: only the alert's own expression says so, and only in time."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firewatch.api.ledger import Verdict
from firewatch.api.responses import State
from firewatch.respond.load import is_excess
from firewatch.respond.signals import Signal
from firewatch.respond.situation import Responder
from tests.unit.test_decide import FIRING, HOLD, RESOLVED, TARGET, World, responder, spec

READY = replace(TARGET, ready=4)


def measuring(value: float | None) -> Signal:
    return replace(FIRING, value=value)


def wanting(within: str = "60s", signal: Signal = FIRING, **rails: object) -> Responder:
    scale_up = {"by": 2, "maxReplicas": 6, "escalation": {"by": 1, "every": "90s", "maxSteps": 3}}
    wanted = spec(
        actions=[{"scaleUp": scale_up}],
        rails={"cooldown": "60s", "verifyWithin": within, **rails},
    )
    return responder(spec=wanted, signal=signal)


def ready(world: World) -> None:
    """Have all replicas ready that are there."""
    assert world.target
    world.target = replace(world.target, ready=world.target.replicas)


def verdict(world: World) -> Verdict | None:
    assert world.ledger
    effect = world.ledger.claims[0].effect
    return effect.verdict if effect else None


def begun(responder: Responder) -> World:
    """Return a world in which the target was raised a moment ago and is ready."""
    world = World(TARGET, (responder,))
    world.step()
    ready(world)
    world.step()
    return world


def test_what_has_not_helped_is_told_once_and_not_tried_again() -> None:
    world = begun(wanting())
    world.wait(59)
    assert world.step().notes == ()
    world.wait(1)
    told = world.step()
    assert [note.event for note in told.notes] == ["Ineffective"]
    assert told.notes[0].warning
    assert "fires as before" in told.notes[0].message
    assert told.views["r"].state is State.INEFFECTIVE
    assert told.views["r"].target.reason == "Ineffective"
    for _ in range(20):
        world.wait(90)
        assert world.step().notes == ()
    assert world.replicas == 4, "no further step"
    world.signal(RESOLVED)
    world.step()
    world.wait(10)
    world.step()
    world.wait(5)
    world.step()
    assert world.end == (2, None), "and it is put back as always"


@pytest.mark.parametrize(
    ("before", "after", "helps"),
    [
        (10.0, 8.9, True),
        (10.0, 9.1, False),
        (10.0, None, False),
        (None, 5.0, False),
        (-10.0, -12.0, False),
    ],
)
def test_a_tenth_less_is_better_and_further_steps_follow(
    before: float | None, after: float | None, *, helps: bool
) -> None:
    world = begun(wanting(signal=measuring(before)))
    world.signal(measuring(after))
    world.wait(1)
    world.step()
    assert (verdict(world) is Verdict.IMPROVED) == helps
    world.signal(measuring(before))
    world.wait(60)
    world.step()
    world.wait(90)
    world.step()
    assert world.replicas == (5 if helps else 4)


def test_what_cannot_be_seen_proves_neither() -> None:
    world = begun(wanting())
    world.signal(HOLD)
    world.wait(3600)
    assert world.step().notes == ()
    assert verdict(world) is Verdict.UNKNOWN
    world.signal(FIRING)
    assert [note.event for note in world.step().notes] == ["Ineffective"]


def test_replicas_that_do_not_become_ready_are_told_and_get_their_time_once_they_are() -> None:
    world = World(TARGET, (wanting(),))
    world.step()
    world.wait(60)
    (note,) = world.step().notes
    assert "not all replicas are ready" in note.message
    ready(world)
    world.step()
    assert verdict(world) is Verdict.UNKNOWN
    world.wait(30)
    world.signal(RESOLVED)
    world.step()
    assert verdict(world) is Verdict.IMPROVED


def test_nobody_need_ask() -> None:
    world = begun(wanting("0s"))
    assert verdict(world) is None
    world.wait(7200)
    assert "Ineffective" not in [note.event for note in world.step().notes]


@given(st.lists(st.sampled_from(["fire", "less", "hold", "wait", "ready", "step", "crash"])))
@settings(max_examples=200, deadline=None)
def test_whatever_happens_it_is_told_at_most_once_for_each_time_that_it_was_awaited(
    happenings: list[str],
) -> None:
    world = World(TARGET, (wanting(signal=measuring(10.0)),))
    told: list[str] = []
    for happening in happenings:
        match happening:
            case "fire":
                world.signal(measuring(10.0))
            case "less":
                world.signal(measuring(1.0))
            case "hold":
                world.signal(HOLD)
            case "wait":
                world.wait(40)
            case "ready":
                ready(world)
            case _:
                decision = world.step(crash_after=1 if happening == "crash" else None)
                told += [note.at for note in decision.notes if note.event == "Ineffective"]
    assert len(told) == len({*told}) <= 2


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("load > 0.8", True),
        ("0.8 < load", True),
        ("(load >= limit) and on() up", True),
        ("node_memory_used_bytes > 1e9", True),
        ("free < 10", False),
        ("10 > free", False),
        ("absent(up)", False),
        ("up ==", False),
    ],
)
def test_only_of_what_is_too_much_less_is_better(expression: str, *, expected: bool) -> None:
    assert is_excess(expression) is expected

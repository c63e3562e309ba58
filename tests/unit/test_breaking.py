"""What is decided about circuit breakers beside scale-ups and restarts, without a cluster."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firewatch.api.circuit_breaker import Mechanism
from firewatch.api.responses import AutoResponseSpec, State
from firewatch.respond.alerts import Alert, AlertState
from firewatch.respond.breaking import with_breakers
from firewatch.respond.circuit.levers import Lever, Seen
from firewatch.respond.circuit.world import Backend, ConfigMap, Pod, Traffic, World
from firewatch.respond.limits import Usage
from firewatch.respond.restarting import decide_all
from firewatch.respond.signals import Kind, Signal
from firewatch.respond.situation import Decision, OpenBreaker, Responder, Situation, Target

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
ALERT = Alert("a", "APIHighErrorRate", {}, AlertState.FIRING, NOW)
FLAG = Lever("ConfigMap", "api", "/data/breaker")
WORLD = World(
    target=Backend("Deployment", "api", {"app": "api"}, (Pod("api-0", {"app": "api"}),)),
    replicas=2,
    config_map=ConfigMap("api", {}),
    traffic={"api-0": Traffic(100, 50)},
    counters={"api-0": Traffic(100, 50)},
    names=frozenset({"api-0"}),
    seen={FLAG: Seen("c", None)},
)
TARGET = Target("Deployment", "api", "u", 2, paused=False, opted_in=True, last_writer="kubectl")


def responder(name: str = "break", *, fires: bool = True, **fields: Any) -> Responder:
    flag = {"configMap": "api", "key": "breaker", "open": "on"}
    action = {"circuitBreaker": {"mechanism": "flag", "flag": flag, **fields}}
    spec = AutoResponseSpec.model_validate(
        {
            "trigger": {"preset": "error_rate_high"},
            "target": {"name": "api"},
            "actions": [action],
            "mode": "enforce",
        }
    )
    kind = Kind.FIRING if fires else Kind.RESOLVED
    signal = Signal(kind, kind, "", ALERT if fires else None, int(fires), ("APIHighErrorRate",))
    return Responder(name, f"uid-{name}", "2026", spec, signal, world=WORLD if fires else None)


def situation(*responders: Responder, **more: Any) -> Situation:
    return Situation(NOW, TARGET, responders, **more)


def decide(found: Situation) -> Decision:
    return with_breakers(found, decide_all(found))


def refused(found: Situation, reason: str) -> str:
    """Return why nothing is opened; it must be for this reason."""
    decision = decide(found)
    view = decision.views[found.responders[0].name]
    assert (decision.pull, view.state, view.target.reason) == (None, State.REFUSED, reason)
    assert [note.event for note in decision.notes] == ["BreakerRefused"]
    return view.message


def opened() -> Responder:
    """Return a responder whose breaker is open."""
    found = responder()
    pull = decide(situation(found)).pull
    assert pull is not None
    seen = {FLAG: Seen("c", pull.change.intended)}
    return replace(found, breaker=pull.record, world=replace(WORLD, seen=seen))


def test_what_is_announced_is_what_is_written() -> None:
    decision = decide(situation(responder()))
    assert decision.pull is not None
    name, record, change = decision.pull
    assert (name, record.mechanism, record.errors_before) == ("break", Mechanism.FLAG, 0.5)
    assert change in record.changes
    assert (change.written, change.intended) == (None, '"on"')
    assert not decision.breakers, "nothing is told of what is not announced"


def test_nothing_is_opened_while_the_alert_does_not_fire() -> None:
    decision = decide(situation(responder(fires=False)))
    assert (decision.pull, decision.breakers, decision.seconds) == (None, {}, None)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"breakers": (OpenBreaker("web", frozenset()),)}, "TooManyOpen"),
        (
            {"breakers": (OpenBreaker("web", frozenset({"api"})),), "most_breakers": 9},
            "DependencyOpen",
        ),
    ],
)
def test_others_that_are_open_may_be_in_the_way(more: dict[str, Any], reason: str) -> None:
    assert "web" in refused(situation(responder(), **more), reason)


def test_a_neighbour_that_it_depends_on_is_in_the_way_of_it_alone() -> None:
    others = {"breakers": (OpenBreaker("web", frozenset()),), "most_breakers": 9}
    refused(situation(responder(dependsOn=["web"]), **others), "DependencyOpen")
    assert decide(situation(responder(dependsOn=["db"]), **others)).pull is not None


def test_limits_hold_for_opening_and_not_for_what_is_open() -> None:
    usage = Usage(limit="enough has been done")
    assert decide(situation(responder(), usage=usage)).views["break"].state is State.LIMITED
    later = decide(situation(opened(), usage=usage))
    assert later.breakers["break"] is not None
    assert later.breakers["break"].in_force


def test_what_is_open_is_looked_at_again_when_its_phase_may_end() -> None:
    found = opened()
    after = decide(situation(found)).breakers["break"]
    assert after is not None
    quiet = decide(situation(replace(found, breaker=after)))
    assert quiet.seconds == 2.0
    soon = datetime.fromisoformat(after.circuit.ends_at) - timedelta(seconds=1)
    near = replace(situation(replace(found, breaker=after)), now=soon)
    assert decide(near).seconds == pytest.approx(1.0)


def test_a_restart_waits_for_a_breaker_on_its_target() -> None:
    spec = {
        **responder().spec.model_dump(by_alias=True, exclude_none=True),
        "actions": [{"restart": {}}],
    }
    restarting = replace(responder("renew"), spec=AutoResponseSpec.model_validate(spec), world=None)
    decision = decide(situation(opened(), restarting))
    assert decision.restart is None
    assert decision.views["renew"].target.reason == "BreakerOpen"


def test_two_on_one_target_open_one_after_the_other() -> None:
    decision = decide(situation(responder("first"), responder("second")))
    assert decision.pull is not None
    assert decision.pull.responder == "first"

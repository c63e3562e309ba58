"""What each mechanism of a breaker would do, and why it cannot."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.circuit import BreakerRecord, Circuit, Phase
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.api.ledger import LedgerTarget
from firewatch.respond.circuit import fallback, rollback, shed
from firewatch.respond.circuit.choice import WAYS, choose
from firewatch.respond.circuit.levers import Lever, as_text
from firewatch.respond.circuit.plan import Obstacle, Plan
from firewatch.respond.circuit.world import (
    Backend,
    ConfigMap,
    Mesh,
    Pod,
    Revision,
    Service,
    Traffic,
    World,
)

NOW = datetime(2026, 11, 29, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
APP = {"app": "api"}
PODS = tuple(Pod(f"api-{n}", {**APP, "pod-template-hash": "x"}) for n in range(4))
OTHERS = Backend("Deployment", "api-lite", {"app": "lite"}, (Pod("lite-0", {"app": "lite"}),))
GOOD, BAD = Traffic(100, 0), Traffic(100, 60)
WORLD = World(
    target=Backend("Deployment", "api", APP, PODS),
    replicas=4,
    services=(Service("api", APP), Service("lite", {"app": "lite"}), Service("outside", {})),
    fallback=OTHERS,
    config_map=ConfigMap("api", {"level": "info"}),
    revisions=(
        Revision("api-new", 7, NOW - 10 * MINUTE),
        Revision("api-old", 6, NOW - timedelta(days=3)),
    ),
    traffic={"api-0": GOOD, "api-1": BAD, "api-2": GOOD, "api-3": GOOD},
    errors_since=NOW - 8 * MINUTE,
)
ALL_BAD = {pod.name: BAD for pod in PODS}
FLAG = {"configMap": "api", "key": "breaker", "open": "on"}
FALLBACK = {"target": {"name": "api-lite"}}
EVERYTHING = {"flag": FLAG, "fallback": FALLBACK, "shed": {"replicas": 1}}


def breaker(mechanism: str = "auto", **fields: Any) -> CircuitBreaker:
    """Return an action that gives all that mechanisms may need."""
    return CircuitBreaker.model_validate({"mechanism": mechanism, **EVERYTHING, **fields})


def record(
    mechanism: Mechanism, phase: Phase, *shares: str, service: str = "api", revision: str = ""
) -> BreakerRecord:
    """Return the record of a breaker in a phase."""
    moment = "2026-11-29T03:00:00.000Z"
    return BreakerRecord(
        schema_version=1,
        target=LedgerTarget(kind="Deployment", name="api", uid="u"),
        alert="a",
        alert_name="APIHighErrorRate",
        mechanism=mechanism,
        does="",
        service=service,
        revision=revision,
        shares=[*shares],
        circuit=Circuit(phase=phase, since=moment, ends_at=moment, opened_at=moment, openings=1),
    )


def held(
    mechanism: Mechanism, phase: Phase, *shares: str, world: World = WORLD, **more: Any
) -> dict[Lever, str | None]:
    """Return what a breaker holds in a phase."""
    of = {key: more.pop(key) for key in ("revision",) if key in more}
    way, wanted = WAYS[mechanism], breaker(mechanism.value, **more)
    return dict(way.wanted_in(record(mechanism, phase, *shares, **of), wanted, world))


def reason(world: World, wanted: CircuitBreaker) -> str:
    """Return why nothing can be done."""
    found = choose(world, wanted)
    assert isinstance(found, Obstacle), found
    return found.reason


def plan(world: World, wanted: CircuitBreaker) -> Plan:
    """Return what would be done."""
    found = choose(world, wanted)
    assert isinstance(found, Plan), found
    return found


def test_each_mechanism_says_what_it_would_do() -> None:
    found = {each: plan(replace(WORLD, mesh=Mesh("Istio")), breaker(each)) for each in WAYS}
    assert {mechanism: each.does for mechanism, each in found.items()} == {
        Mechanism.FLAG: "set key breaker of ConfigMap api to 'on'",
        Mechanism.MESH: "have Istio leave out pods of Service api that fail",
        Mechanism.ISOLATE: "take api-1 out of Service api",
        Mechanism.FALLBACK: "lead Service api to Deployment api-lite",
        Mechanism.ROLLBACK: "roll Deployment api back to revision 6",
        Mechanism.SHED: "scale Deployment api 4 → 1",
    }
    assert all(each.mechanism is mechanism for mechanism, each in found.items())


@pytest.mark.parametrize(
    ("mechanism", "fields"),
    [("flag", {"flag": None}), ("fallback", {"fallback": None}), ("shed", {"shed": None})],
)
def test_what_is_not_given_cannot_be_done(mechanism: str, fields: Any) -> None:
    found = reason(WORLD, breaker(mechanism, **fields))
    assert found in ("NoFlag", "NoFallback", "NoShed")


class TestAuto:
    """The least invasive that can work."""

    def test_what_is_given_and_can_work_comes_first(self) -> None:
        assert plan(WORLD, breaker()).mechanism is Mechanism.FLAG

    def test_it_says_why_it_is_nothing_that_comes_before(self) -> None:
        found = plan(replace(WORLD, traffic=ALL_BAD), breaker(flag=None, fallback=None))
        assert found.mechanism is Mechanism.ROLLBACK
        assert "not isolate: 4 of 4 pods" in found.does
        assert "not flag" not in found.does, "which was not given"

    def test_if_nothing_can_work_it_says_why(self) -> None:
        world = replace(WORLD, traffic=ALL_BAD, kept_by="Argo CD (application api)")
        found = choose(world, breaker(flag=None, fallback=None, shed=None))
        assert isinstance(found, Obstacle)
        assert found.reason == "NoMechanism"
        assert "not isolate" in found.message
        assert "not rollback: Argo CD" in found.message


class TestService:
    """Which Service it is about."""

    def test_the_only_one_that_leads_to_the_target(self) -> None:
        assert plan(WORLD, breaker("isolate")).service == "api"

    @pytest.mark.parametrize(
        ("services", "named", "expected"),
        [
            ((), None, "NoService"),
            ((Service("api", APP),), "web", "NoService"),
            ((Service("api", APP), Service("web", APP)), None, "AmbiguousService"),
        ],
    )
    def test_else_it_must_be_said(
        self, services: tuple[Service, ...], named: str | None, expected: str
    ) -> None:
        world = replace(WORLD, services=services)
        for mechanism in ("isolate", "fallback"):
            assert reason(world, breaker(mechanism, service=named)) == expected

    def test_one_of_several_that_is_named(self) -> None:
        world = replace(WORLD, services=(Service("api", APP), Service("web", APP)))
        assert plan(world, breaker("isolate", service="web")).service == "web"


@pytest.mark.parametrize("mechanism", ["isolate", "fallback", "rollback"])
def test_nothing_is_done_for_a_few_requests(mechanism: str) -> None:
    few = {"api-1": Traffic(49, 49)}
    assert reason(replace(WORLD, traffic=few), breaker(mechanism)) == "TooFewRequests"
    assert reason(replace(WORLD, traffic=None), breaker(mechanism)) == "NoMeasure"


class TestIsolate:
    """Pods leave their Service."""

    def test_if_all_fail_nobody_leaves(self) -> None:
        assert reason(replace(WORLD, traffic=ALL_BAD), breaker("isolate")) == "TooManyFail"

    def test_if_nobody_fails_nobody_leaves(self) -> None:
        good = {pod.name: GOOD for pod in PODS}
        assert reason(replace(WORLD, traffic=good), breaker("isolate")) == "NoPodFails"

    def test_a_pod_is_not_bad_by_chance(self) -> None:
        chance = {"api-0": Traffic(100, 0), "api-1": Traffic(2, 2)}
        assert reason(replace(WORLD, traffic=chance), breaker("isolate")) == "NoPodFails"

    def test_the_budget_holds(self) -> None:
        world = replace(WORLD, disruptions_allowed=0)
        assert reason(world, breaker("isolate")) == "BudgetExhausted"
        assert plan(replace(WORLD, disruptions_allowed=1), breaker("isolate"))

    def test_the_pod_that_fails_least_is_tried_first(self) -> None:
        traffic = {**WORLD.traffic, "api-3": Traffic(100, 10)}  # type: ignore[dict-item]
        assert plan(replace(WORLD, traffic=traffic), breaker("isolate")).shares == (
            "api-3",
            "api-1",
        )

    def test_a_stateful_set_needs_a_label_of_its_own(self) -> None:
        target = replace(WORLD.target, kind="StatefulSet")
        assert reason(replace(WORLD, target=target), breaker("isolate")) == "LabelIsOwned"
        pods = tuple(replace(pod, labels={**pod.labels, "traffic": "yes"}) for pod in PODS)
        world = replace(
            WORLD,
            target=replace(target, pods=pods),
            services=(Service("api", {**APP, "traffic": "yes"}),),
        )
        assert plan(world, breaker("isolate"))
        (lever,) = held(Mechanism.ISOLATE, Phase.OPEN, "api-1", world=world)
        assert lever.field == "/metadata/labels/traffic"

    def test_one_comes_back_after_the_other(self) -> None:
        names = {
            phase: [lever.name for lever in held(Mechanism.ISOLATE, phase, "api-3", "api-1")]
            for phase in Phase
        }
        assert names == {
            Phase.OPEN: ["api-3", "api-1"],
            Phase.HALF_OPEN: ["api-1"],
            Phase.CLOSED: [],
        }

    @given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.booleans())))
    def test_never_more_than_half_of_those_that_are_ready(
        self, drawn: list[tuple[int, int, bool]]
    ) -> None:
        pods = tuple(
            Pod(f"api-{number}", APP, is_ready=is_ready)
            for number, (_, _, is_ready) in enumerate(drawn)
        )
        traffic = {
            pod.name: Traffic(requests, min(errors, requests))
            for pod, (requests, errors, _) in zip(pods, drawn, strict=True)
        }
        world = replace(WORLD, target=replace(WORLD.target, pods=pods), traffic=traffic)
        found = choose(world, breaker("isolate"))
        if isinstance(found, Plan):
            ready = {pod.name for pod in pods if pod.is_ready}
            assert {*found.shares} <= ready
            assert 0 < len(found.shares) <= len(ready) / 2


class TestFallback:
    """Other pods answer."""

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"pods": ()}, "FallbackNotReady"),
            ({"pods": (replace(OTHERS.pods[0], is_ready=False),)}, "FallbackNotReady"),
            ({"is_simple": False}, "FallbackSelector"),
            ({"selector": {}}, "FallbackSelector"),
            ({"selector": APP}, "FallbackSelector"),
        ],
    )
    def test_they_must_be_able_to(self, changes: Any, expected: str) -> None:
        world = replace(WORLD, fallback=replace(OTHERS, **changes))
        assert reason(world, breaker("fallback")) == expected
        assert reason(replace(WORLD, fallback=None), breaker("fallback")) == "NoFallback"

    def test_they_must_have_the_ports_of_the_service(self) -> None:
        services = (Service("api", APP, frozenset({"http"})),)
        assert reason(replace(WORLD, services=services), breaker("fallback")) == "FallbackPorts"
        pods = (replace(OTHERS.pods[0], ports=frozenset({"http"})),)
        world = replace(WORLD, services=services, fallback=replace(OTHERS, pods=pods))
        assert plan(world, breaker("fallback"))

    def test_one_pod_is_tried_among_them(self) -> None:
        selector = Lever("Service", "api", "/spec/selector")
        label = "/metadata/labels/monitoring.freeagentics.io~1serves"
        opened = held(Mechanism.FALLBACK, Phase.OPEN, "")
        assert opened == {selector: as_text({"app": "lite"})}
        trial = held(Mechanism.FALLBACK, Phase.HALF_OPEN, "")
        assert [*trial] == [Lever("Pod", "api-0", label), Lever("Pod", "lite-0", label), selector]
        assert trial[selector] == as_text({fallback.SERVES: "api"})
        assert held(Mechanism.FALLBACK, Phase.CLOSED, "") == {}
        nobody = replace(WORLD, target=replace(WORLD.target, pods=()))
        assert held(Mechanism.FALLBACK, Phase.HALF_OPEN, "", world=nobody) == opened

    def test_the_same_pod_is_tried_on(self) -> None:
        pods = (*PODS[:2], replace(PODS[2], labels={**APP, fallback.SERVES: "api"}))
        world = replace(WORLD, target=replace(WORLD.target, pods=pods))
        tried = WAYS[Mechanism.FALLBACK].tried(record(Mechanism.FALLBACK, Phase.HALF_OPEN), world)
        assert tried == ["api-2"]


class TestFlag:
    """The application is told."""

    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            (None, "NoFlag"),
            (ConfigMap("api", None), "NoFlag"),
            (ConfigMap("api", {}, is_immutable=True), "FlagImmutable"),
            (ConfigMap("api", {"breaker": "on"}), "FlagIsSet"),
            (ConfigMap("api", {"breaker": "x" * 4096}), "FlagTooLong"),
        ],
    )
    def test_it_must_be_possible(self, found: ConfigMap | None, expected: str) -> None:
        assert reason(replace(WORLD, config_map=found), breaker("flag")) == expected

    def test_without_a_word_for_half_open_all_is_tried(self) -> None:
        (lever,) = held(Mechanism.FLAG, Phase.OPEN, "")
        assert lever == Lever("ConfigMap", "api", "/data/breaker")
        assert held(Mechanism.FLAG, Phase.HALF_OPEN, "") == {}
        finer: dict[str, Any] = {"flag": {**FLAG, "halfOpen": "10%"}}
        assert held(Mechanism.FLAG, Phase.HALF_OPEN, "", **finer) == {lever: as_text("10%")}
        assert held(Mechanism.FLAG, Phase.CLOSED, "", **finer) == {}


class TestShed:
    """Fewer replicas."""

    def test_not_against_an_autoscaler(self) -> None:
        world = replace(WORLD, scaled_by="HorizontalPodAutoscaler api")
        assert reason(world, breaker("shed")) == "Autoscaled"

    def test_there_must_be_something_to_shed(self) -> None:
        assert reason(replace(WORLD, replicas=1), breaker("shed")) == "NothingToShed"

    def test_one_is_tried_where_none_is_left(self) -> None:
        lever = Lever("Deployment", "api", shed.REPLICAS)
        none: dict[str, Any] = {"shed": {"replicas": 0}}
        assert held(Mechanism.SHED, Phase.OPEN, "", **none) == {lever: "0"}
        assert held(Mechanism.SHED, Phase.HALF_OPEN, "", **none) == {lever: "1"}
        assert held(Mechanism.SHED, Phase.CLOSED, "", **none) == {}


class TestRollback:
    """The last rollout is undone."""

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"kept_by": "Argo CD (application api)"}, "KeptByOthers"),
            ({"is_paused": True}, "TargetPaused"),
            ({"revisions": ()}, "NoRevision"),
            ({"revisions": WORLD.revisions[:1]}, "NoRevision"),
            ({"target": replace(WORLD.target, kind="StatefulSet")}, "NotADeployment"),
            ({"errors_since": None}, "NotTheRollout"),
            ({"errors_since": NOW - 11 * MINUTE}, "NotTheRollout"),
            ({"errors_since": NOW + 60 * MINUTE}, "NotTheRollout"),
            (
                {
                    "revisions": (
                        WORLD.revisions[0],
                        replace(WORLD.revisions[1], lacking="there is no ConfigMap settings"),
                    )
                },
                "RevisionLacks",
            ),
        ],
    )
    def test_only_if_it_is_the_cause_and_can_be(self, changes: Any, expected: str) -> None:
        assert reason(replace(WORLD, **changes), breaker("rollback")) == expected

    def test_it_stays_whatever_the_phase(self) -> None:
        lever = Lever("Deployment", "api", rollback.TEMPLATE)
        for phase in Phase:
            found = held(Mechanism.ROLLBACK, phase, "", revision="api-old")
            assert found == {lever: '"api-old"'}

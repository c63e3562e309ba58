"""Circuit breakers beside what others do: scale, roll out, delete, pause, open another."""

from dataclasses import replace

import pytest

from firewatch.api.resource import Object
from firewatch.api.responses import PAUSED_UNTIL
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.errors import InvalidError
from firewatch.cluster.find import find
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT, POD, SERVICE
from firewatch.respond.circuit.world import Traffic
from tests.apiserver.killing import Mortal
from tests.apiserver.town import MECHANISMS, breaker, is_bad, open_one, town_of, without_template

pytestmark = pytest.mark.usefixtures("crds")

OPENED, TRIED, CLOSED = "BreakerOpened", "BreakerHalfOpen", "BreakerClosed"


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_deleted_while_it_is_open_it_puts_back_before_it_goes(
    cluster: KubernetesCluster, namespace: str, mechanism: str
) -> None:
    town = await town_of(cluster, namespace)
    before = await town.state()
    await open_one(town, mechanism)
    await cluster.write(Write(Verb.DELETE, AUTO_RESPONSE, namespace, "break", {}))
    await town.live(1)
    after = await town.state()
    assert without_template(after) == without_template(before)
    # What a rollback was done against does not come back, unless somebody asks for it by name.
    assert (after == before) is (mechanism != "rollback")
    assert await find(cluster, AUTO_RESPONSE, namespace, "break") is None


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_target_deleted_while_it_is_open_leaves_nothing_behind_but_what_must_stay(
    cluster: KubernetesCluster, namespace: str, mechanism: str
) -> None:
    town = await town_of(cluster, namespace)
    before = await town.state()
    await open_one(town, mechanism)
    await cluster.write(Write(Verb.DELETE, DEPLOYMENT, namespace, "api", {}))
    await town.live(2)
    assert await town.open_breakers() == {}
    after = await town.state()
    assert (after["data"], after["labels"]) == (before["data"], before["labels"])
    # The Service would lead nowhere.
    assert (after["selectors"] == before["selectors"]) is (mechanism != "fallback")
    assert (await town.episodes.events("break"))[-1] in ("BreakerTakenBack", "BreakerKept")
    live = await cluster.get(AUTO_RESPONSE, namespace, "break")
    assert "finalizers" not in live["metadata"]


async def test_a_rollout_by_a_person_while_it_is_rolled_back_is_left_alone(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    await open_one(town, "rollback")
    container = {"name": "c", "image": "example.org/api:3"}
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}
    await town.episodes.patch(DEPLOYMENT, change)
    await town.replica_set("api-newest", 3, "example.org/api:3")
    await town.live(3)
    assert await town.open_breakers() == {}
    image = (await town.episodes.spec(DEPLOYMENT))["template"]["spec"]["containers"][0]["image"]
    assert image == "example.org/api:3"
    events = await town.episodes.events("break")
    assert events[:2] == [OPENED, "BreakerReleased"], events


async def test_what_answers_instead_is_lost_and_the_target_answers_again(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    before = await town.state()
    await open_one(town, "fallback")
    status = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    await cluster.write(Write(Verb.MERGE, POD, namespace, "lite-0", status, "status"))
    await town.live(1)
    assert await town.open_breakers() == {}
    assert await town.state() == before
    last = (await town.episodes.status("break"))["history"][0]
    assert last["event"] == "BreakerTakenBack"
    assert "no pod of Deployment lite is ready any more" in last["message"]


async def test_one_that_the_api_server_does_not_let_open_is_given_up_with_its_alert(
    cluster: KubernetesCluster, namespace: str
) -> None:
    class Strict(Mortal):
        """An API server that refuses what would be changed."""

        async def write(self, write: Write) -> Object:
            if write.kind is SERVICE:
                raise InvalidError("a webhook says no")
            return await super().write(write)

    town = await town_of(cluster, namespace)
    before = await town.state()
    town.fails = is_bad("fallback")
    await town.serve(30)
    await town.episodes.response("break", actions=breaker("fallback"))
    town.episodes = replace(town.episodes, cluster=Strict(cluster))
    await town.live(2)
    status = await town.episodes.status("break")
    assert (status["state"], status["breaker"]["inForce"]) == ("Refused", False)
    assert "a webhook says no" in status["message"]
    await town.live(2, firing=False)
    assert await town.open_breakers() == {}
    assert await town.state() == before
    live = await cluster.get(AUTO_RESPONSE, namespace, "break")
    assert "finalizers" not in live["metadata"]


async def test_of_two_breakers_on_one_target_one_waits(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    await open_one(town, "flag")
    await town.episodes.response("other", actions=breaker("shed"))
    await town.live(2)
    status = await town.episodes.status("other")
    assert (status["state"], [*await town.open_breakers()]) == ("Refused", ["break"])
    assert "is open (AutoResponse break)" in status["message"]
    await town.until_closed()


@pytest.mark.parametrize("mechanism", ["fallback", "shed"])
async def test_a_scale_up_beside_a_breaker_goes_on_unless_that_holds_the_replicas(
    cluster: KubernetesCluster, namespace: str, mechanism: str
) -> None:
    town = await town_of(cluster, namespace)
    before = await town.state()
    await open_one(town, mechanism)
    await town.episodes.response("scale")
    await town.live(1)
    scaled = await town.episodes.status("scale")
    expected = ("Active", 6) if mechanism == "fallback" else ("Refused", 1)
    assert (scaled["state"], (await town.episodes.spec(DEPLOYMENT))["replicas"]) == expected
    await town.live(40)
    for _ in range(20):
        await town.live(2, firing=False)
    assert await town.open_breakers() == {}
    assert "ledger" not in await town.episodes.status("scale")
    assert await town.state() == before


async def test_one_breaker_at_a_time_in_a_namespace_and_never_two_that_depend_on_each_other(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    await open_one(town, "flag")
    flag = {"configMap": "api", "key": "lite", "open": "on"}
    await town.episodes.response("lite", target="lite", actions=breaker("flag", flag=flag))
    await town.live(1)
    status = await town.episodes.status("lite")
    assert status["state"] == "Refused"
    assert "1 may be at the same time" in status["message"]
    town.episodes.settings["FIREWATCH_MAX_BREAKERS"] = "2"
    actions = breaker("flag", flag=flag, dependsOn=["api"])
    await town.episodes.patch(AUTO_RESPONSE, {"spec": {"actions": actions}}, "lite")
    await town.live(1)
    assert "depends" in (await town.episodes.status("lite"))["message"]
    actions = breaker("flag", flag=flag)
    await town.episodes.patch(AUTO_RESPONSE, {"spec": {"actions": actions}}, "lite")
    town.answered["lite-0"] = Traffic(100, 50)
    await town.live(1)
    assert [*await town.open_breakers()] == ["break", "lite"]


async def test_of_two_that_would_open_at_the_same_moment_one_does(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    town.fails = is_bad("flag")
    await town.serve(30)
    town.answered["lite-0"] = Traffic(100, 50)
    flag = {"configMap": "api", "key": "lite", "open": "on"}
    await town.episodes.response("break", actions=breaker("flag"))
    await town.episodes.response("lite", target="lite", actions=breaker("flag", flag=flag))
    await town.live(1)
    assert len(await town.open_breakers()) == 1


async def test_while_it_is_paused_it_stays_as_it_is(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    await open_one(town, "flag")
    opened = await town.state()
    pause = {"metadata": {"annotations": {PAUSED_UNTIL: "true"}}}
    await town.episodes.patch(AUTO_RESPONSE, pause, "break")
    await town.live(30)
    assert await town.state() == opened
    assert (await town.episodes.status("break"))["state"] == "Paused"
    on = {"metadata": {"annotations": {PAUSED_UNTIL: None}}}
    await town.episodes.patch(AUTO_RESPONSE, on, "break")
    await town.until_closed()


async def test_a_record_of_a_newer_operator_is_left_exactly_as_it_is(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    await open_one(town, "flag")
    opened = await town.state()
    change = [{"op": "replace", "path": "/status/breaker/schema", "value": 99}]
    write = Write(Verb.JSON_PATCH, AUTO_RESPONSE, namespace, "break", change, "status")
    await cluster.write(write)
    record = (await town.open_breakers())["break"]
    await town.live(30)
    assert (await town.open_breakers())["break"] == record
    assert await town.state() == opened
    assert "does not know" in (await town.episodes.status("break"))["message"]


async def test_changed_to_another_action_it_is_taken_back(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    before = await town.state()
    await open_one(town, "fallback")
    actions = [{"scaleUp": {"by": 1, "maxReplicas": 10}}]
    await town.episodes.patch(AUTO_RESPONSE, {"spec": {"actions": actions}}, "break")
    await town.live(2)
    assert await town.open_breakers() == {}
    events = await town.episodes.events("break")
    assert (events[0], {*events[1:]}) == (OPENED, {"ScaledUp", "BreakerTakenBack"})
    after = await town.state()
    assert (after["selectors"], after["labels"]) == (before["selectors"], before["labels"])

"""What people are told of circuit breakers, and how they end one by hand."""

import pytest

from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import AUTO_RESPONSE, SERVICE
from firewatch.runbook.preflight import examine
from firewatch.runbook.responses import timeline, undo
from tests.apiserver.town import breaker, open_one, town_of

pytestmark = pytest.mark.usefixtures("crds")

OPENED, TRIED, CLOSED = "BreakerOpened", "BreakerHalfOpen", "BreakerClosed"


async def test_what_people_are_shown_and_how_they_undo_it(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    before = await town.state()
    await open_one(town, "isolate")
    live = await cluster.get(AUTO_RESPONSE, namespace, "break")
    said = [step.message for step in timeline(live) if not step.time]
    ends = live["status"]["breaker"]["circuit"]["endsAt"]
    assert said == [
        "mechanism: isolate, take api-1 out of Service api",
        "errors: 12.7% before, not known while open",
        f"next: api-1 is tried from {ends} on",
        'changed: Pod api-1 /metadata/labels/traffic: "yes" → nothing',
    ]
    assert "circuit breaker is taken back" in await undo(cluster, live)
    await town.live(1)
    assert await town.state() == before
    assert (await town.episodes.events("break"))[-1] == "BreakerTakenBack"


async def test_preflight_says_which_ways_could_be_used(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    fallback = {"target": {"name": "lite"}}
    await town.episodes.response("break", actions=breaker(fallback=fallback))
    await town.episodes.step()
    live = await cluster.get(AUTO_RESPONSE, namespace, "break")
    found = {check.about: (check.grade, check.message) for check in await examine(cluster, live)}
    assert found["isolate"] == ("ok", "would take api-0 out of Service api if it alone fails")
    assert found["fallback"] == ("ok", "would lead Service api to Deployment lite")
    assert found["rollback"] == ("ok", "would roll Deployment api back to revision 1")
    assert found["measure"][0] == "look"
    assert {"flag", "shed"} & found.keys() == set()
    await town.episodes.patch(SERVICE, {"spec": {"selector": {"app": "nobody"}}})
    found = {check.about: (check.grade, check.message) for check in await examine(cluster, live)}
    assert found["isolate"] == (
        "look",
        "no Service leads to Deployment api; it takes one to divert traffic",
    )

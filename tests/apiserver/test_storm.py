"""A storm of alerts on forty of 41 targets, to the operator's process: none lost, none doubled.

More targets than are looked at at a time, so that telling what was done is left for later.

``make bench-storm`` has a hundred targets, and measures.
"""

import asyncio
from collections.abc import Iterator

import pytest

from bench.storm import ALERTS, latencies, post, storm
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from e2e.kubectl import wait_for
from tests.apiserver.posting import Site, posting_site, pushed, scalings

TARGETS = 41
RAILS = {
    "FIREWATCH_NAMESPACE_ACTIONS_PER_HOUR": "1000",
    "FIREWATCH_CLUSTER_ACTIONS_PER_HOUR": "1000",
    "FIREWATCH_MAX_TARGETS": str(TARGETS),
}
LONGEST = 5.0
"""Seconds from the first post about a target until it is raised; the aim is 1, on a quiet machine."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("storm")
    with (
        ControlPlane.prepare(folder, ConsoleProgress()) as control_plane,
        posting_site(folder, control_plane, targets=TARGETS, rails=RAILS) as found,
    ):
        yield found


def events(site: Site, *targets: str) -> list[str]:
    """Return what each AutoResponse says that it has done, once all of them have done something."""
    found = site.responses()
    told = [[entry["event"] for entry in found[each].get("history", ())] for each in targets]
    assert all("ScaledUp" in each for each in told), "not yet"
    return [event for each in told for event in each]


def wait_told(site: Site, *targets: str) -> list[str]:
    """Wait until all have been raised and say so; return all that they say."""
    return wait_for("every action to be told", lambda: events(site, *targets))


async def until_told(site: Site, *targets: str) -> list[str]:
    return await asyncio.to_thread(wait_told, site, *targets)


async def test_ten_thousand_alerts_are_one_action_for_each_target(site: Site) -> None:
    *targets, last = site.targets
    audit, alerts = site.audit(), storm(tuple(targets))
    assert len(alerts) == ALERTS
    sent = await post(site, alerts)
    assert await until_told(site, *targets) == ["ScaledUp"] * len(targets)
    assert max(latencies(sent, audit).values()) < LONGEST
    await post(site, alerts)
    # What comes after the second storm is answered after it, so that nothing has come of that.
    await post(site, [pushed(last)])
    assert await until_told(site, *site.targets) == ["ScaledUp"] * TARGETS
    assert {*site.replicas().values()} == {4}
    assert sorted(call.name for call in scalings(audit)) == sorted(site.targets)

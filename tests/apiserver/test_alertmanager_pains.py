"""What people have suffered from messages of Alertmanager, by a receiver that really listens.

Named after the project and its issue. Where it is about what Alertmanager does, a real one sends.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from aiohttp.test_utils import TestServer

from firewatch.api.resource import Key, Object
from firewatch.build import names
from firewatch.cluster.alertmanager import Alertmanager
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT, SECRET
from firewatch.metrics import Metrics
from firewatch.reconcile.loop import Loop
from firewatch.reconcile.responses import reconcile_response
from firewatch.respond.external import external_key
from firewatch.respond.receiver import Receiver
from firewatch.respond.registry import source_key, target_key
from firewatch.respond.relay import Relay
from firewatch.respond.target import reconcile_target
from tests.apiserver.episodes import ALERT, Episodes
from tests.apiserver.node import loopback
from tests.apiserver.scene import eventually
from tests.apiserver.teller import running_alertmanager
from tests.apiserver.webhooks import SOURCE, TOKEN, message

pytestmark = pytest.mark.usefixtures("crds")

TARGETS = ("api", "web")
COPIES = 100


@dataclass
class Site:
    """Two targets in a namespace, the response of each, and a receiver that really listens.

    Of the alerts of a message the one labelled ``n: 0`` is about the first, ``n: 1`` about the second.
    """

    episodes: Episodes
    loop: Loop
    session: aiohttp.ClientSession
    url: str
    woken: list[Key]

    async def send(self, body: object) -> int:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.session.post(self.url, json=body, headers=headers) as answer:
            return answer.status

    async def replicas(self) -> list[int]:
        """Return how many replicas both are to have."""
        found = [await self.episodes.spec(DEPLOYMENT, name) for name in TARGETS]
        return [int(spec["replicas"]) for spec in found]

    async def until_replicas(self, *wanted: int) -> None:
        await eventually(lambda found: found == [*wanted], self.replicas, seconds=30)

    async def until_told(self, name: str, *wanted: str) -> None:
        """Wait until an AutoResponse says that just this has happened."""

        async def look() -> list[str]:
            return await self.episodes.events(name)

        await eventually(lambda found: found == [*wanted], look, seconds=30)

    async def poll(self, *, firing: bool) -> None:
        """Have Prometheus say whether the alerts fire, and look at both targets."""
        self.episodes.alert(firing=firing)
        state = self.episodes.sources.get(source_key(self.episodes.namespace, "main")).state
        assert state
        for name in TARGETS:
            self.episodes.sources.polled(external_key(self.episodes.namespace, name), state)
            target = target_key(self.episodes.namespace, DEPLOYMENT.kind, name)
            assert await self.loop.pass_over(target)

    def counted(self, name: str, **labels: str) -> float:
        """Return one of the receiver's counters."""
        family = f"firewatch_receiver_{name}_total"
        return self.episodes.metrics.registry.get_sample_value(family, labels) or 0.0

    async def until_counted(self, least: float, name: str, **labels: str) -> None:
        async def look() -> float:
            return self.counted(name, **labels)

        await eventually(lambda found: found >= least, look, seconds=30)


@asynccontextmanager
async def listening(episodes: Episodes) -> AsyncIterator[Site]:
    """Run the receiver, and passes over the targets that it has to do with."""
    woken: list[Key] = []
    context = replace(episodes.context, wake=woken.append)
    for name in episodes.responses:
        await reconcile_response(context, Key(AUTO_RESPONSE.kind, episodes.namespace, name))
    context.registry.is_filled = True
    loop = Loop({"Target": partial(reconcile_target, context)}, Metrics(), workers=4)
    running = asyncio.create_task(loop.run())
    async with aiohttp.ClientSession() as session:
        relay = Relay(session, leads=lambda: True, leader=lambda: "")
        application = Receiver(context, loop.pass_over, relay).application()
        async with TestServer(application) as server:
            url = f"http://127.0.0.1:{server.port}/webhook/{episodes.namespace}"
            yield Site(episodes, loop, session, url, woken)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest_asyncio.fixture
async def site(cluster: KubernetesCluster, namespace: str) -> AsyncIterator[Site]:
    episodes = Episodes(cluster, namespace)
    await episodes.create(SECRET, "webhook", data={"token": b64encode(TOKEN.encode()).decode()})
    for number, name in enumerate(TARGETS):
        await episodes.workload(DEPLOYMENT, name)
        trigger = {"alert": ALERT, "labels": {"n": str(number)}}
        await episodes.response(name, target=name, trigger=trigger, source=SOURCE)
    async with listening(episodes) as found:
        yield found


@pytest.mark.parametrize("whole", ["firing", "resolved"])
async def test_openfaas_37_of_a_mixed_message_only_that_target_is_raised_whose_alert_fires(
    site: Site, whole: str
) -> None:
    assert await site.send(message("firing", "resolved", status=whole)) == 200
    assert await site.replicas() == [4, 2]
    assert await site.send(message("resolved", "firing", status=whole)) == 200
    assert await site.replicas() == [4, 4], "and a resolved one is only a reason to ask Prometheus"


async def test_kubernaut_451_a_bad_alert_does_not_cost_the_others(site: Site) -> None:
    bad = [None, {"status": "firing"}, {"status": "perhaps", "labels": {"alertname": ALERT}}]
    good = message("firing", "firing")["alerts"]
    assert await site.send(message(alerts=[*bad, *good])) == 200
    assert await site.replicas() == [4, 4]
    # Each response has a source of its own, and both are told.
    assert site.counted("alerts", state="malformed") == len(bad) * len(TARGETS)


async def test_what_a_message_leaves_out_is_asked_of_prometheus_at_once(site: Site) -> None:
    source = external_key(site.episodes.namespace, TARGETS[0])
    site.woken.clear()
    assert await site.send(message("firing")) == 200
    assert source not in site.woken
    assert await site.send(message("firing", truncatedAlerts=900)) == 200
    assert source in site.woken


async def test_alertmanager_880_a_hundred_copies_at_once_are_one_action(site: Site) -> None:
    answers = await asyncio.gather(*(site.send(message("firing")) for _ in range(COPIES)))
    assert {*answers} == {200}
    assert await site.replicas() == [4, 2]
    assert await site.episodes.events(TARGETS[0]) == ["ScaledUp"]


@dataclass
class Sender:
    """A real Alertmanager that sends what it is told to the receiver of a site."""

    site: Site
    api: Alertmanager

    async def fire(self, *numbers: int, name: str = ALERT, **times: str) -> None:
        """Have alerts fire, each with a label by which they differ."""
        # Not now: an alert that ends now must have begun before that.
        began = datetime.now(UTC) - timedelta(seconds=1)
        await self.api.send(
            [
                {
                    "labels": {"alertname": name, "n": str(number)},
                    "annotations": {},
                    "startsAt": began.isoformat(),
                    **times,
                }
                for number in numbers
            ]
        )

    async def silence(self, name: str) -> None:
        """Mute the alerts of a name, and wait until they are."""
        now = datetime.now(UTC)
        body = {
            "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "test",
            "comment": "test",
        }
        async with self.site.session.post(f"{self.api.url}/api/v2/silences", json=body) as answer:
            assert answer.status == 200, await answer.text()

        async def muted() -> set[str]:
            return {a.labels["alertname"] for a in await self.api.alerts() if a.is_muted}

        await eventually(lambda found: name in found, muted, seconds=10)


def settings(url: str) -> Object:
    """Return the settings of an Alertmanager that repeats as often as it can."""
    access: dict[str, Any] = {"authorization": {"credentials": TOKEN}}
    times = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}
    return {
        "route": {"receiver": "firewatch", "group_by": ["alertname"], **times},
        "receivers": [
            {"name": "firewatch", "webhook_configs": [{"url": url, "http_config": access}]}
        ],
    }


@pytest_asyncio.fixture
async def sender(site: Site, tmp_path: Path, numbers: Iterator[int]) -> AsyncIterator[Sender]:
    address = loopback(23, next(numbers))
    api = Alertmanager(site.session, f"http://{address}:{names.ALERTMANAGER_PORT}")
    config = yaml.safe_dump(settings(site.url))
    async with running_alertmanager(api, tmp_path, address, config):
        yield Sender(site, api)


async def test_what_alertmanager_is_told_to_send_again_it_sends_again(sender: Sender) -> None:
    site = sender.site
    site.episodes.registry.is_filled = False  # as right after a start
    await sender.fire(0)
    await site.until_counted(2, "requests", result="unavailable")
    assert await site.replicas() == [2, 2]
    site.episodes.registry.is_filled = True
    await site.until_replicas(4, 2)
    await site.until_told(TARGETS[0], "ScaledUp")


async def test_alertmanager_2320_repeats_of_a_group_that_grows_are_no_further_action(
    sender: Sender,
) -> None:
    """Whenever a group has another alert all of it is sent again, and besides every second."""
    site = sender.site
    for number in range(5):
        seen = site.counted("requests", result="accepted")
        await sender.fire(0, number + 2)
        await site.until_counted(seen + 2, "requests", result="accepted")
    assert site.counted("alerts", state="firing") > 10
    assert await site.replicas() == [4, 2]
    assert await site.episodes.events(TARGETS[0]) == ["ScaledUp"]


async def test_alertmanager_226_what_is_silenced_goes_back_though_its_end_is_never_sent(
    sender: Sender,
) -> None:
    site = sender.site
    await sender.fire(0)
    await site.until_replicas(4, 2)
    await sender.silence(ALERT)
    await sender.fire(0, endsAt=datetime.now(UTC).isoformat())
    # What is sent after that arrives, twice; so would have done that it is over.
    seen = site.counted("alerts", state="firing")
    await sender.fire(0, name="Another")
    await site.until_counted(seen + 2 * len(TARGETS), "alerts", state="firing")
    assert site.counted("alerts", state="resolved") == 0
    assert await site.replicas() == [4, 2]
    for _ in range(3):
        await site.poll(firing=False)
        site.episodes.now += timedelta(seconds=6)
    assert await site.replicas() == [2, 2]
    assert await site.episodes.events(TARGETS[0]) == ["ScaledUp", "Restored"]

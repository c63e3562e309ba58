"""Two replicas: what the one that stands by takes in is not lost, and only the other acts."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from firewatch.api.resource import Key
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT, SECRET
from firewatch.cluster.leading import LeadingCluster
from firewatch.metrics import Metrics
from firewatch.respond.deliver import open_courier
from firewatch.respond.external import external_key
from firewatch.respond.guard import Guard
from firewatch.respond.receiver import Receiver
from firewatch.respond.relay import RELAYED, Relay
from firewatch.settings import parse_settings
from firewatch.work import Operator
from tests.apiserver.episodes import ALERT, Episodes
from tests.apiserver.scene import eventually
from tests.apiserver.webhooks import SOURCE, TOKEN, message
from tests.apiserver.world import Objects, Recorder

pytestmark = pytest.mark.usefixtures("crds")


@dataclass
class Narrow(Recorder):
    """A cluster of one namespace: what other tests have left elsewhere is not there."""

    namespace: str = ""

    async def list(self, *arguments: Any, **options: Any) -> Objects:
        kind, namespace, *rest = arguments
        return await super().list(kind, namespace or self.namespace, *rest, **options)


class Turns:
    """Says whether a replica leads, as the test wants it."""

    def __init__(self) -> None:
        self._terms = 0
        self._leads = False
        self._changed = asyncio.Event()

    def term(self) -> int:
        return self._terms if self._leads else 0

    async def change(self, term: int) -> int:
        while (found := self.term()) == term:
            self._changed.clear()
            await self._changed.wait()
        return found

    def begin(self) -> None:
        self._terms += 1
        self._leads = True
        self._changed.set()

    def end(self) -> None:
        self.run_out()
        self._changed.set()

    def run_out(self) -> None:
        """Have its time be over before anybody has noticed."""
        self._leads = False


@dataclass
class Replica:
    """An operator with a receiver that really listens."""

    operator: Operator
    receiver: Receiver
    way: Narrow
    turns: Turns
    client: TestClient[Any, Any]
    address: str

    async def lead(self) -> None:
        """Have it lead, and wait until it does."""
        self.turns.begin()
        await until(lambda: self.operator._term is not None)

    async def stand_by(self) -> None:
        """Take the Lease from it, and wait until it has noticed."""
        self.turns.end()
        await until(lambda: self.operator._term is None)

    async def send(self, *, token: str = TOKEN, **headers: str) -> int:
        """Send a message that the alert fires, as an Alertmanager does."""
        path = f"/webhook/{self.way.namespace}"
        every = {"Authorization": f"Bearer {token}", **headers}
        async with self.client.post(path, json=message("firing"), headers=every) as answer:
            return answer.status

    def push(self) -> None:
        """Take in that the alert fires as a Prometheus pushes it, once it is known who sends it."""
        source = external_key(self.way.namespace, "scale")
        self.receiver._take_pushed(source, [{"labels": {"alertname": ALERT}}])

    def owes(self) -> bool:
        entry = self.operator.responses.registry.get(self.way.namespace, "scale")
        return entry is not None and entry.owed is not None

    def tells(self) -> bool:
        entry = self.operator.responses.registry.get(self.way.namespace, "scale")
        return entry is not None and bool(entry.telling)


@asynccontextmanager
async def running(
    cluster: KubernetesCluster, namespace: str, leader: Callable[[], str]
) -> AsyncIterator[Replica]:
    """Run a replica that stands by, and end it in order."""
    turns, way = Turns(), Narrow(cluster, namespace=namespace)
    leading = LeadingCluster(way, lambda: bool(turns.term()))
    granted = {"FIREWATCH_TARGET_NAMESPACES": namespace, "FIREWATCH_SOURCE_NAMESPACES": namespace}
    guard = Guard(allows_loopback=True)
    async with aiohttp.ClientSession() as session, open_courier(guard) as courier:
        operator = Operator(
            leading, session, courier, settings=parse_settings(granted), metrics=Metrics()
        )
        relay = Relay(session, leading.leads, leader)
        receiver = Receiver(operator.responses, operator.settle, relay)
        work = asyncio.create_task(operator.run(turns))
        try:
            async with TestClient(TestServer(receiver.application())) as client:
                await until(lambda: operator.responses.registry.is_filled)
                address = f"127.0.0.1:{client.port}"
                yield Replica(operator, receiver, way, turns, client, address)
        finally:
            work.cancel()
            await asyncio.wait([work])


async def until(is_so: Callable[[], bool]) -> None:
    async def look() -> bool:
        return is_so()

    await eventually(bool, look, seconds=20)


@dataclass
class Scene:
    """A target, its response, and two replicas that know of each other."""

    episodes: Episodes
    first: Replica
    second: Replica

    async def replicas(self) -> int:
        return int((await self.episodes.spec(DEPLOYMENT))["replicas"])

    async def until_replicas(self, count: int) -> None:
        await eventually(lambda found: found == count, self.replicas, seconds=20)

    async def until_events(self, *events: str) -> None:
        """Wait for what is told only once it has been done."""
        await eventually(lambda found: found == [*events], self.episodes.events, seconds=20)


@pytest_asyncio.fixture
async def scene(cluster: KubernetesCluster, namespace: str) -> AsyncIterator[Scene]:
    episodes = Episodes(cluster, namespace)
    await episodes.workload(DEPLOYMENT)
    await episodes.create(SECRET, "webhook", data={"token": b64encode(TOKEN.encode()).decode()})
    await episodes.response(source=SOURCE)
    made: list[Replica] = []

    def leader() -> str:
        return next((each.address for each in made if each.turns.term()), "")

    async with (
        running(cluster, namespace, leader) as first,
        running(cluster, namespace, leader) as second,
    ):
        made += [first, second]
        yield Scene(episodes, first, second)


async def test_what_a_replica_hears_while_it_stands_by_is_acted_on_when_it_leads(
    scene: Scene,
) -> None:
    scene.second.push()
    assert scene.second.operator.responses.sources.get(
        external_key(scene.second.way.namespace, "scale")
    ).pushed
    assert (await scene.replicas(), scene.second.way.writes) == (2, [])
    await scene.second.lead()
    await scene.until_replicas(4)
    await scene.until_events("ScaledUp")
    assert scene.first.way.writes == []


async def test_a_webhook_is_answered_by_whoever_leads_whichever_replica_it_comes_to(
    scene: Scene,
) -> None:
    await scene.first.lead()
    assert await scene.second.send() == 200
    assert (await scene.replicas(), (await scene.episodes.status())["state"]) == (4, "Active")
    assert "ledger" in await scene.episodes.status()
    assert scene.second.way.writes == []


async def test_a_webhook_without_the_token_is_handed_on_to_nobody(scene: Scene) -> None:
    await scene.first.lead()
    assert await scene.second.send(token="guessed") == 401
    assert await scene.replicas() == 2


async def test_while_nobody_leads_a_webhook_is_to_be_sent_again(scene: Scene) -> None:
    assert await scene.second.send() == 503
    await scene.first.lead()
    assert await scene.second.send() == 200
    await scene.until_replicas(4)


async def test_a_webhook_is_handed_on_once_and_not_in_a_circle(scene: Scene) -> None:
    await scene.first.lead()
    assert await scene.second.send(**{RELAYED: "1"}) == 503
    assert await scene.replicas() == 2


async def test_while_the_leader_does_not_answer_a_webhook_is_to_be_sent_again(
    scene: Scene,
) -> None:
    await scene.first.lead()
    await scene.first.client.close()
    assert await scene.second.send() == 503
    assert await scene.replicas() == 2


async def test_whoever_comes_to_lead_knows_what_the_one_before_owes(
    scene: Scene, cluster: KubernetesCluster
) -> None:
    first, second = scene.first, scene.second
    await first.lead()
    assert await first.send() == 200
    await first.stand_by()
    await second.lead()
    await until(second.owes)
    assert (await scene.replicas(), await scene.episodes.events()) == (4, ["ScaledUp"])
    place = (scene.episodes.namespace, "scale")
    await cluster.write(Write(Verb.DELETE, AUTO_RESPONSE, *place, None))
    second.operator.wake(Key(AUTO_RESPONSE.kind, *place))
    await scene.until_replicas(2)


async def test_a_pass_that_may_not_write_any_more_settles_nothing(scene: Scene) -> None:
    first = scene.first
    await first.lead()
    first.push()
    first.turns.run_out()
    seen = len(first.way.writes)
    target = Key("Target", first.way.namespace, "Deployment/api")
    assert not await first.operator.settle(target), "200 would be for what stands nowhere"
    assert (await scene.replicas(), len(first.way.writes)) == (2, seen)


async def test_whoever_does_not_lead_any_more_acts_on_nothing(scene: Scene) -> None:
    first = scene.first
    await first.lead()
    assert await first.send() == 200
    await first.stand_by()
    seen = len(first.way.writes)
    assert await first.send() == 503
    target = Key("Target", first.way.namespace, "Deployment/api")
    first.operator.wake(target)
    first.operator.wake(Key(AUTO_RESPONSE.kind, first.way.namespace, "scale"))
    assert not await first.operator.settle(target)
    assert len(first.way.writes) == seen
    await first.lead()
    assert await first.send() == 200, "and it may come to lead again"
    assert await scene.episodes.events() == ["ScaledUp"]


@dataclass
class Slow:
    """An endpoint that takes a message, and answers when it is let."""

    arrived: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.arrived.append((await request.json())["firewatch"]["moment"])
        await self.gate.wait()
        return web.Response()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Listen meanwhile, at this address."""
        application = web.Application()
        application.router.add_post("/", self.take)
        async with TestServer(application) as server:
            yield f"http://127.0.0.1:{server.port}/"


async def tell_by(scene: Scene, url: str) -> None:
    """Have the response tell of what it does, and both replicas know of that."""
    scale = {"scaleUp": {"by": 2, "maxReplicas": 10}}
    notify = {"notify": {"webhook": {"url": url}, "at": ["opened", "acted"]}}
    await scene.episodes.patch(AUTO_RESPONSE, {"spec": {"actions": [scale, notify]}}, "scale")
    for each in (scene.first, scene.second):
        each.operator.wake(Key(AUTO_RESPONSE.kind, scene.episodes.namespace, "scale"))
        await until(each.tells)


async def test_what_a_server_takes_while_its_sender_ends_in_order_is_sent_by_nobody_else(
    scene: Scene,
) -> None:
    first, second, slow = scene.first, scene.second, Slow()
    async with slow.serving() as url:
        await tell_by(scene, url)
        await first.lead()
        assert await first.send() == 200
        await until(lambda: slow.arrived == ["opened"])
        ending = asyncio.create_task(first.operator.end_messages(20))
        await asyncio.sleep(0)
        assert not ending.done()
        slow.gate.set()
        await ending
        (left,) = (await scene.episodes.status())["notices"]["outbox"]
        assert left["moment"] == "acted", "it was not begun any more"
        await first.stand_by()
        await second.lead()

        async def outbox() -> list[Any]:
            return list((await scene.episodes.status())["notices"]["outbox"])

        await eventually(lambda found: not found, outbox, seconds=20)
    assert slow.arrived == ["opened", "acted"]

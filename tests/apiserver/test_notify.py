"""People are told, once each, of what happens: read at real endpoints on this machine."""

import asyncio
import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from e2e.messages import EMAIL, PAGERDUTY, SLACK, WEBHOOK, Recorder, record
from firewatch.api.resource import Object
from firewatch.api.responses import PAUSED_UNTIL
from firewatch.cluster.client import KubernetesCluster, Write
from firewatch.cluster.errors import NotLeadingError, UnreachableError
from firewatch.cluster.kinds import (
    AUTO_RESPONSE,
    DEPLOYMENT,
    EVENT,
    MONITORING_STACK,
    SECRET,
)
from firewatch.respond.deliver import Courier, open_courier
from firewatch.respond.guard import Guard
from firewatch.respond.notifier import Notifier
from tests.apiserver.killing import Mortal, live
from tests.apiserver.told import Told

pytestmark = pytest.mark.usefixtures("crds")
TOKEN = "a-token-that-nobody-guesses"
ALL = ["opened", "acted", "restored"]


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with record("127.0.0.1") as found:
        yield found


@pytest_asyncio.fixture(scope="module")
async def courier() -> AsyncIterator[Courier]:
    async with open_courier(Guard(allows_loopback=True)) as found:
        yield found


@pytest.fixture
def writes(cluster: KubernetesCluster) -> Mortal:
    return Mortal(cluster)


@dataclass
class Post:
    """A namespace that tells a recorder."""

    told: Told
    recorder: Recorder

    @property
    def hook(self) -> Object:
        """Return an endpoint whose address is no secret."""
        return {"webhook": {"url": self.recorder.webhook_url}}

    def arrived(self, channel: str) -> list[Any]:
        """Return the contents of the messages from this namespace."""
        ours = re.compile(rf"namespace {self.told.namespace}(?![\w-])")
        return [m.content for m in self.recorder.messages(channel) if ours.search(m.text)]

    def moments(self) -> list[str]:
        """Return of what the webhook was told, in order."""
        return [content["firewatch"]["moment"] for content in self.arrived(WEBHOOK)]

    async def secret(self, **texts: str) -> None:
        data = {name: b64encode(text.encode()).decode() for name, text in texts.items()}
        await self.told.create(SECRET, "keys", data=data)


@pytest_asyncio.fixture
async def post(
    cluster: KubernetesCluster,
    writes: Mortal,
    namespace: str,
    recorder: Recorder,
    courier: Courier,
) -> Post:
    calm = Told(cluster, namespace, courier=courier)
    await calm.workload(DEPLOYMENT)
    return Post(replace(calm, cluster=writes), recorder)


def key(name: str) -> Object:
    return {"name": "keys", "key": name}


async def episode(told: Told) -> None:
    """Have the alert fire for a while, and be over."""
    for _ in range(3):
        told.alert(firing=True)
        await told.step()
        told.now += timedelta(seconds=5)
    await told.until_over()
    await told.until_told()


async def test_a_receiver_of_the_stack_is_told_in_all_its_ways_once_each(post: Post) -> None:
    told, recorder = post.told, post.recorder
    await post.secret(chat=recorder.slack_url, pager="routing-key-1")
    receiver = {
        "name": "team",
        "slack": [{"apiUrl": key("chat"), "channel": "#shop"}],
        "pagerduty": [{"routingKey": key("pager"), "url": recorder.pagerduty_url}],
        "webhook": [{"url": recorder.webhook_url}],
        "email": [{"to": "team@shop.example"}],
    }
    smtp = {"smarthost": recorder.smarthost, "from": "fire@a.example", "requireTls": False}
    await told.alerting_stack(receiver, smtp=smtp)
    await told.telling({"receiver": "team"})
    await episode(told)
    assert (await told.spec(DEPLOYMENT))["replicas"] == 2
    assert post.moments() == ALL
    chat = post.arrived(SLACK)
    assert [each["channel"] for each in chat] == ["#shop"] * 3
    assert [each["text"].partition(":")[0] for each in chat] == ALL
    assert "HighCPUUsage: scaled api 2 → 4 (baseline 2)" in chat[1]["text"]
    assert "HighCPUUsage: restored api 4 → 2" in chat[2]["text"]
    pages = post.arrived(PAGERDUTY)
    assert [each["event_action"] for each in pages] == ["trigger", "trigger", "resolve"]
    assert {each["routing_key"] for each in pages} == {"routing-key-1"}
    assert len({each["dedup_key"] for each in pages}) == 1
    mails = post.arrived(EMAIL)
    assert [each["subject"].partition(":")[0] for each in mails] == ALL
    (row,) = (await told.notices())["deliveries"]
    assert (row["to"], row["state"], row["moment"]) == ("receiver team", "Delivered", "restored")
    assert (await told.condition("Ready"))["status"] == "True"
    assert Counter(await told.event_reasons())["Notified"] == 3


async def test_people_are_told_by_secrets_of_the_response_itself_and_none_of_it_is_shown(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    told = post.told
    await told.stack()
    await post.secret(url=f"{post.recorder.webhook_url}?{TOKEN}", token=TOKEN)
    hook = {"urlSecret": key("url"), "bearerToken": key("token")}
    message = "{alert} {moment} in {namespace}: {happened}\nnamespace {namespace}\n."
    await told.telling({"webhook": hook, "message": message, "at": ["acted"]})
    told.alert(firing=True)
    await told.step()
    # The recorder knows no such path, so that each try fails.
    failing = (await told.notices())["deliveries"][0]
    assert failing["state"] == "Failing"
    assert "nothing is there any more; correct the address (key url of Secret" in failing["message"]
    await told.patch(SECRET, {"data": secret_data(url=post.recorder.webhook_url)}, "keys")
    await told.tell()
    (content,) = post.arrived(WEBHOOK)
    assert content["firewatch"]["text"].startswith(
        f"HighCPUUsage acted in {told.namespace}: HighCPUUsage: scaled api 2 → 4"
    )
    shown = json.dumps(
        [
            await told.cluster.list(AUTO_RESPONSE, told.namespace),
            await told.cluster.list(EVENT, told.namespace),
        ]
    )
    assert TOKEN not in shown + caplog.text


def secret_data(**texts: str) -> Object:
    return {name: b64encode(text.encode()).decode() for name, text in texts.items()}


async def test_a_restart_neither_repeats_nor_loses(post: Post) -> None:
    told = post.told
    await told.stack()
    await told.telling(post.hook)
    for firing in (True, True, False, False, False, False):
        told.alert(firing=firing)
        told.restart()
        await told.step()
        told.restart()
        await told.tell()
        await told.step()
        told.now += timedelta(seconds=6)
    assert post.moments() == ALL


async def test_an_endpoint_that_fails_costs_nobody_anything_and_is_told_later(
    post: Post, writes: Mortal
) -> None:
    told, other = post.told, {"email": {"to": ["a@b.example"], "smtp": smtp(post.recorder)}}
    await told.stack()
    await told.telling(post.hook, other)
    post.recorder.refuse(WEBHOOK, 503)
    try:
        told.alert(firing=True)
        await told.step()
        assert (await told.spec(DEPLOYMENT))["replicas"] == 4
        assert len(post.arrived(EMAIL)) == 2, "the others are told"
        ready = await told.condition("Ready")
        assert (ready["status"], ready["reason"]) == ("False", "DeliveryFailed")
        assert "HTTP 503: the server fails; look after it" in ready["message"]
        await told.step()
        writes.writes.clear()
        for _ in range(5):
            await told.tell()
        assert writes.seen() == [], "what is known already is not written again"
        assert Counter(await told.event_reasons())["NotifyFailed"] == 1
    finally:
        post.recorder.refuse(WEBHOOK, 0)
    assert post.moments() == []
    await told.step()
    assert post.moments() == ["opened", "acted"]
    assert (await told.condition("Ready"))["status"] == "True"
    await told.until_over()
    await told.until_told()
    assert post.moments() == ALL
    assert len(post.arrived(EMAIL)) == 3


def smtp(recorder: Recorder) -> Object:
    return {"smarthost": recorder.smarthost, "from": "fire@a.example", "requireTls": False}


async def test_a_message_is_given_up_after_a_day_and_that_is_counted(post: Post) -> None:
    told = post.told
    await told.stack()
    await told.telling({"webhook": {"url": "http://127.0.0.1:9"}, "at": ["opened"]})
    told.alert(firing=True)
    await told.step()
    assert len((await told.notices())["outbox"]) == 1
    told.now += timedelta(days=1, seconds=1)
    await told.tell()
    found = await told.notices()
    assert (found["outbox"], found["givenUp"]) == ([], 1)
    assert found["deliveries"][0]["state"] == "Failing"


async def test_a_secret_that_is_missing_is_named_before_anything_happens(
    post: Post, writes: Mortal
) -> None:
    told = post.told
    await told.stack()
    await told.telling({"slack": {"apiUrl": key("chat")}})
    told.alert(firing=False)
    await told.step()
    found = await told.condition("Notifying")
    assert (found["status"], found["reason"]) == ("False", "NoAddress")
    assert found["message"] == (
        "Slack (Secret keys): key chat of Secret keys is missing; create it"
    )
    await post.secret(chat=post.recorder.slack_url)
    await told.step()
    assert (await told.condition("Notifying"))["status"] == "True"
    assert (await told.condition("Ready"))["status"] == "True"
    writes.writes.clear()
    for _ in range(3):
        told.restart()
        await told.step()
        told.now += timedelta(minutes=10)
        told.alert(firing=False)
    assert writes.seen() == [], "a quiet cluster stays quiet"


async def test_a_way_that_fails_holds_up_no_other_of_its_receiver(post: Post) -> None:
    told, recorder = post.told, post.recorder
    await post.secret(chat=recorder.slack_url)
    slack, hook = {"apiUrl": key("chat")}, post.hook["webhook"]
    await told.alerting_stack({"name": "team", "slack": [slack], "webhook": [hook]})
    message = "{moment} {alert}\nnamespace {namespace}\n."
    await told.onlooker({"receiver": "team", "message": message, "at": ["opened"]})
    told.alerts([f"Alert{number}" for number in range(10)])
    recorder.refuse(SLACK, 503)
    try:
        await told.step()
        await told.tell()
    finally:
        recorder.refuse(SLACK, 0)
    assert (len(post.arrived(SLACK)), len(post.arrived(WEBHOOK))) == (0, 10)
    for _ in range(2):
        await told.tell()
    assert (len(post.arrived(SLACK)), len(post.arrived(WEBHOOK))) == (10, 10)
    assert (await told.notices("tell"))["outbox"] == []


async def test_a_way_that_is_taken_from_a_receiver_is_waited_for_no_more(post: Post) -> None:
    told, hook = post.told, {"name": "team", "webhook": [post.hook["webhook"]]}
    await told.alerting_stack({**hook, "slack": [{"apiUrl": key("chat")}]})
    await told.telling({"receiver": "team", "at": ["opened"]})
    told.alert(firing=True)
    await told.step()
    assert len((await told.notices())["outbox"]) == 1
    problem = (await told.condition("Notifying"))["message"]
    assert problem == "receiver team: slack[0]: key chat of Secret keys is missing; create it"
    await told.patch(MONITORING_STACK, {"spec": {"alerting": {"receivers": [hook]}}}, "main")
    await told.tell()
    assert (await told.notices())["outbox"] == []
    assert post.moments() == ["opened"]
    assert (await told.condition("Notifying"))["status"] == "True"


async def test_a_replica_that_does_not_lead_any_more_sends_nothing(post: Post) -> None:
    told = post.told
    await told.stack()
    await told.telling({**post.hook, "at": ["opened"]})
    told.alert(firing=True)
    await told.look()
    assert told.courier
    told.notifier = Notifier(told.context, told.courier, leads=lambda: False)
    with pytest.raises(NotLeadingError):
        await told.tell()
    assert post.moments() == []
    told.notifier = None
    await told.tell()
    assert post.moments() == ["opened"]


@pytest.mark.parametrize("mode", ["observe", "dryRun"])
async def test_other_modes_send_nothing_and_say_what_they_would(post: Post, mode: str) -> None:
    told = post.told
    await told.stack()
    await told.telling(post.hook, mode=mode)
    await episode(told)
    assert post.moments() == []
    (row,) = (await told.notices())["deliveries"]
    assert (row["state"], row["moment"]) == ("WouldSend", "restored")
    assert row["message"].startswith("restored: HighCPUUsage is over; nothing was changed")
    assert Counter(await told.event_reasons())["WouldNotify"] == 2
    assert (await told.notices())["outbox"] == []


async def test_a_pause_holds_messages_back_and_what_still_is_the_case_is_told_after_it(
    post: Post,
) -> None:
    told = post.told
    await told.stack()
    await told.telling(post.hook)

    async def pause(until: str | None) -> None:
        annotations = {PAUSED_UNTIL: until}
        await told.patch(AUTO_RESPONSE, {"metadata": {"annotations": annotations}}, "scale")

    await pause("true")
    told.alert(firing=True)
    await told.step()
    assert post.moments() == []
    await pause(None)
    await told.step()
    assert post.moments() == ["opened", "acted"]
    await pause("true")
    for _ in range(3):
        told.alert(firing=False)
        await told.step()
        told.now += timedelta(minutes=1)
    assert post.moments() == ["opened", "acted"]
    await pause(None)
    await told.until_over()
    await told.until_told()
    assert post.moments() == ALL


async def test_notify_team_tells_of_every_alert_by_its_name_and_changes_nothing(
    post: Post, writes: Mortal
) -> None:
    told = post.told
    await told.alerting_stack({"name": "team", "webhook": [post.hook["webhook"]]})
    message = "{moment} {alert}: {summary} ({labels.severity})\nnamespace {namespace}\n."
    await told.onlooker({"receiver": "team", "message": message, "at": ["opened", "restored"]})
    told.alerts(["Hot"], ["Full"])
    await told.step()
    told.alerts(["Hot", "Full"])
    for _ in range(3):
        await told.step()
    told.alerts(["Full"], ["Hot"])
    await told.step()
    told.now += timedelta(seconds=10)
    told.alerts(["Full"], ["Hot"])
    await told.step()
    assert [each["firewatch"]["text"].splitlines()[0] for each in post.arrived(WEBHOOK)] == [
        "opened Hot: Hot is too much (warning)",
        "opened Full: Full is too much (warning)",
        "restored Hot: Hot is too much (warning)",
    ]
    status = await told.status("tell")
    assert (status["state"], status["message"]) == ("Firing", "Full fires; people are told of it")
    assert writes.seen(DEPLOYMENT) == []
    live = await told.cluster.get(AUTO_RESPONSE, told.namespace, "tell")
    assert "finalizers" not in live["metadata"]
    told.alerts([], ["Hot", "Full"])
    await told.step()
    assert (await told.status("tell"))["state"] == "Holding"
    told.now += timedelta(seconds=10)
    told.alerts([], ["Hot", "Full"])
    await told.step()
    assert (await told.status("tell"))["state"] == "Idle"
    assert len(post.arrived(WEBHOOK)) == 4


async def test_a_response_that_is_changed_to_only_tell_people_gives_back_first(post: Post) -> None:
    told = post.told
    await told.stack()
    await told.telling(post.hook)
    told.alert(firing=True)
    await told.step()
    assert (await told.spec(DEPLOYMENT))["replicas"] == 4
    spec = {"target": None, "actions": [{"notify": post.hook}]}
    await told.patch(AUTO_RESPONSE, {"spec": spec}, "scale")
    told.alert(firing=True)
    await told.step()
    assert (await told.spec(DEPLOYMENT))["replicas"] == 2
    status = await told.status()
    assert (status["state"], "ledger" in status) == ("Firing", False)
    live = await told.cluster.get(AUTO_RESPONSE, told.namespace, "scale")
    assert not live["metadata"].get("finalizers")
    await told.until_told()
    assert post.moments() == ALL


class Forgetful(Mortal):
    """A cluster that does not answer the write after a delivery, once."""

    is_away = False

    async def write(self, write: Write) -> Object:
        if self.is_away and write.kind is AUTO_RESPONSE:
            self.is_away = False
            raise UnreachableError("the API server does not answer")
        return await super().write(write)


async def test_what_was_taken_is_not_sent_again_though_it_could_not_be_written_down(
    cluster: KubernetesCluster, post: Post
) -> None:
    writes = Forgetful(cluster)
    told = replace(post.told, cluster=writes)
    await told.stack()
    await told.telling({**post.hook, "at": ["opened"]})
    told.alert(firing=True)
    await told.look()
    writes.is_away = True
    with pytest.raises(UnreachableError):
        await told.tell()
    await told.tell()
    assert post.moments() == ["opened"]
    assert (await told.notices())["outbox"] == []


async def test_killed_at_every_write_nothing_is_lost_and_at_most_the_last_message_comes_twice(
    cluster: KubernetesCluster,
    namespaces: Callable[[], str],
    recorder: Recorder,
    courier: Courier,
) -> None:
    """Kill before and after each write in turn; what is taken stands in the next write."""

    async def end(die_at: float | None) -> tuple[list[str], int, str]:
        calm = Told(cluster, namespaces(), courier=courier)
        await calm.stack()
        await calm.workload(DEPLOYMENT)
        post = Post(calm, recorder)
        await calm.telling(post.hook)
        writes = Mortal(cluster, die_at=die_at)
        told = replace(calm, cluster=writes)
        await live(told, writes, told.until_told)
        assert (await calm.notices())["outbox"] == []
        assert (await calm.spec(DEPLOYMENT))["replicas"] == 2
        # What was killed is done again, if need be, as the first thing after it.
        killed = "".join(writes.seen()[int(die_at) :][:1]) if die_at is not None else ""
        return post.moments(), len(writes.writes), killed

    calm, count, _ = await end(None)
    assert calm == ALL
    points = [number + part for number in range(count) for part in (0, 0.5)]
    doubled = 0
    for point in points:
        moments, _, killed = await end(point)
        assert list(dict.fromkeys(moments)) == ALL, f"killed at {point} of {count}"
        if moments != ALL:
            assert killed == "jsonPatch AutoResponse status"
            assert (point % 1, len(moments)) == (0, 4), "only before it is written down"
            doubled += 1
    assert doubled == 3, "once for each message"
    print(f"{len(points)} kill points")


@asynccontextmanager
async def silence() -> AsyncIterator[tuple[Object, asyncio.Event]]:
    """Run a server that never answers; provide its endpoint, and whether anybody has come."""
    silent: list[asyncio.StreamWriter] = []
    arrived = asyncio.Event()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)
        arrived.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield {"webhook": {"url": f"http://127.0.0.1:{port}"}}, arrived
    finally:
        for writer in silent:
            writer.close()
        server.close()
        await server.wait_closed()


async def test_a_server_that_never_answers_holds_up_nothing_else(post: Post) -> None:
    told = post.told
    await told.stack()
    async with silence() as (nobody, arrived):
        await told.telling(nobody, post.hook)
        told.alert(firing=True)
        await told.look()
        assert (await told.spec(DEPLOYMENT))["replicas"] == 4
        telling = asyncio.create_task(told.tell())
        async with asyncio.timeout(5):
            await arrived.wait()
        for seconds in (0, 11):
            told.now += timedelta(seconds=seconds)
            told.alert(firing=False)
            await told.look()
        assert (await told.spec(DEPLOYMENT))["replicas"] == 2
        assert not telling.done()
    await telling


async def test_an_orderly_end_does_not_wait_for_ever_for_a_server_that_never_answers(
    post: Post,
) -> None:
    told = post.told
    await told.stack()
    async with silence() as (nobody, arrived):
        await told.telling(nobody)
        told.alert(firing=True)
        await told.look()
        telling = asyncio.create_task(told.tell())
        async with asyncio.timeout(5):
            await arrived.wait()
            assert told.notifier
            await told.notifier.close(0.1)
        assert not telling.done()
        telling.cancel()
        await asyncio.wait([telling])
    waiting = [each["moment"] for each in (await told.notices())["outbox"]]
    assert waiting == ["opened", "acted"], "whoever leads next sends them"

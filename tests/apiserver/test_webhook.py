"""Alertmanager's webhook, over real HTTP: who may send, and what an answer means."""

import asyncio
import gzip
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from firewatch.api.resource import Key
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.errors import UnreachableError
from firewatch.cluster.kinds import AUTO_RESPONSE, DEPLOYMENT, SECRET
from firewatch.metrics import Metrics
from firewatch.reconcile.loop import Loop
from firewatch.reconcile.responses import reconcile_response
from firewatch.respond.external import external_key
from firewatch.respond.heartbeats import Pulse
from firewatch.respond.receiver import Receiver
from firewatch.respond.relay import Relay
from firewatch.respond.signals import SourceState
from firewatch.respond.target import reconcile_target
from tests.apiserver.episodes import Episodes
from tests.apiserver.webhooks import SOURCE, TOKEN, message

pytestmark = pytest.mark.usefixtures("crds")


@dataclass
class Post:
    """A receiver that really listens, and a sender."""

    episodes: Episodes
    client: TestClient[Any, Any]

    async def send(
        self, body: object, *, token: str = TOKEN, namespace: str = "", **options: Any
    ) -> int:
        path = f"/webhook/{namespace or self.episodes.namespace}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.post(path, json=body, headers=headers, **options) as answer:
            return answer.status

    async def replicas(self) -> int:
        return int((await self.episodes.spec(DEPLOYMENT))["replicas"])


@pytest_asyncio.fixture
async def post(cluster: KubernetesCluster, namespace: str) -> AsyncIterator[Post]:
    episodes = Episodes(cluster, namespace)
    await episodes.workload(DEPLOYMENT)
    await episodes.create(SECRET, "webhook", data={"token": b64encode(TOKEN.encode()).decode()})
    await episodes.response(source=SOURCE)
    context = episodes.context
    for name in episodes.responses:
        await reconcile_response(context, Key(AUTO_RESPONSE.kind, namespace, name))
    context.registry.is_filled = True

    loop = Loop({"Target": partial(reconcile_target, context)}, Metrics(), workers=4)
    running = asyncio.create_task(loop.run())
    async with aiohttp.ClientSession() as session:
        relay = Relay(session, leads=lambda: True, leader=lambda: "")
        application = Receiver(context, loop.pass_over, relay).application()
        async with TestClient(TestServer(application)) as client:
            yield Post(episodes, client)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_is_answered_stands_in_a_ledger(post: Post) -> None:
    assert await post.send(message("firing", "resolved")) == 200
    assert (await post.replicas(), (await post.episodes.status())["state"]) == (4, "Active")
    assert "ledger" in await post.episodes.status()


async def test_a_hundred_copies_are_one_action(post: Post) -> None:
    await asyncio.gather(*(post.send(message("firing")) for _ in range(100)))
    assert await post.replicas() == 4
    assert await post.episodes.events() == ["ScaledUp"]


async def test_what_says_nothing_of_a_firing_alert_changes_nothing(post: Post) -> None:
    assert await post.send(message("resolved")) == 200
    assert await post.send(message()) == 200
    other = {"status": "firing", "labels": {"alertname": "Another"}}
    assert await post.send(message(alerts=[other])) == 200
    assert await post.replicas() == 2


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", f"{TOKEN}\t{TOKEN}"])
async def test_robusta_2174_nobody_acts_without_the_token(post: Post, token: str) -> None:
    assert await post.send(message("firing"), token=token) == 401
    assert await post.replicas() == 2


async def test_a_token_is_good_for_its_namespace_only(
    post: Post, cluster: KubernetesCluster
) -> None:
    assert await post.send(message("firing"), namespace="default") == 401
    assert await post.replicas() == 2


async def test_two_tokens_are_valid_while_they_are_rotated(post: Post) -> None:
    both = b64encode(f"{TOKEN}\nthe-next-one\n".encode()).decode()
    await post.episodes.patch(SECRET, {"data": {"token": both}}, "webhook")
    assert await post.send(message("firing")) == 200
    assert await post.send(message("firing"), token="the-next-one") == 200
    assert await post.send(message("firing"), token="") == 401


async def test_before_all_responses_are_read_nobody_is_turned_away_for_good(post: Post) -> None:
    post.episodes.registry.is_filled = False
    assert await post.send(message("firing")) == 503
    assert await post.replicas() == 2


@pytest.mark.parametrize("body", ["x", [], {"version": "3"}, {"version": "4", "alerts": 1}, None])
async def test_what_is_no_message_is_refused(post: Post, body: object) -> None:
    assert await post.send(body) == 400


async def test_what_is_packed_is_not_unpacked(post: Post) -> None:
    path = f"/webhook/{post.episodes.namespace}"
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps(message("firing")).encode())
    async with post.client.post(path, data=body, headers=headers) as answer:
        assert answer.status == 400
    assert await post.replicas() == 2


async def test_what_starts_nothing_is_not_kept(post: Post) -> None:
    other = {"status": "firing", "labels": {"alertname": "Another"}}
    assert await post.send(message("firing", alerts=[other])) == 200
    source = external_key(post.episodes.namespace, "scale")
    assert not post.episodes.sources.get(source).pushed
    assert await post.send(message("firing")) == 200
    assert len(post.episodes.sources.get(source).pushed) == 1


async def test_who_sends_waits_for_a_pass_that_somebody_else_came_between(post: Post) -> None:
    # Of this the operator has not heard yet, so that its first write is refused.
    await post.episodes.patch(AUTO_RESPONSE, {"spec": {"recovery": {"hold": "20s"}}}, "scale")
    assert await post.send(message("firing")) == 200
    assert "ledger" in await post.episodes.status()
    assert await post.replicas() == 4


async def test_any_alert_that_fires_is_a_sign_of_life_and_is_not_kept(post: Post) -> None:
    episodes, source = post.episodes, external_key(post.episodes.namespace, "scale")
    pulse = Pulse(episodes.now, timedelta(minutes=3))

    def are_missing() -> bool | None:
        episodes.sources.polled(source, SourceState(episodes.now, pulse=pulse))
        state = episodes.sources.get(source).state
        assert state
        return state.pushes_missing

    assert are_missing() is None
    episodes.now += timedelta(minutes=3)
    assert are_missing() is True
    labels = {"alertname": "Watchdog"}
    for status, missing in (("resolved", True), ("firing", False)):
        body = message(alerts=[{"status": status, "labels": labels}])
        assert await post.send(body, token="x") == 401
        assert are_missing() is True
        assert await post.send(body) == 200
        assert are_missing() is missing
    assert not episodes.sources.get(source).pushed


async def test_what_cannot_be_settled_is_to_be_sent_again(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise UnreachableError("the API server does not answer")

    monkeypatch.setattr("firewatch.respond.target.gather", away)
    assert await post.send(message("firing")) == 503
    monkeypatch.undo()
    assert await post.send(message("firing")) == 200
    assert await post.replicas() == 4

"""Polls of a source wake whom they concern: also when nothing but time has passed."""

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from firewatch.api.conditions import good
from firewatch.api.resource import Key
from firewatch.api.responses import AutoResponseSpec
from firewatch.cluster.kinds import SECRET
from firewatch.metrics import Metrics
from firewatch.respond.context import RespondContext
from firewatch.respond.external import external_key
from firewatch.respond.registry import Entry, Registry, Sources
from firewatch.respond.source import Sourcing
from firewatch.respond.status import find_source
from firewatch.settings import parse_settings
from tests.unit.test_registry import live
from tests.unit.test_signals import NOW
from tests.unit.test_trust import Files

SOURCE = external_key("shop", "scale")


@dataclass
class Site:
    """A Prometheus that has one rule, and polls of it."""

    url: str
    session: aiohttp.ClientSession
    now: datetime = NOW
    woken: list[Key] = field(default_factory=list)
    sources: Sources = field(default_factory=Sources)

    def polls(self, **source: Any) -> Sourcing:
        """Return polls for one AutoResponse."""
        spec = AutoResponseSpec.model_validate(
            {
                "trigger": {"alert": "Hot"},
                "target": {"name": "api"},
                "actions": [{"scaleUp": {"by": 1, "maxReplicas": 4}}],
                "source": {"prometheus": {"url": self.url}, **source},
            }
        )
        registry = Registry()
        registry.put(Entry(live(1), spec, good("Accepted", "Accepted", "x"), SOURCE, NOW))
        context = RespondContext(
            cluster=Files(),
            settings=parse_settings({}),
            metrics=Metrics(),
            clock=lambda: self.now,
            wake=self.woken.append,
            registry=registry,
            sources=self.sources,
        )
        return Sourcing(context, self.session)

    async def wakes(self, polls: Sourcing, after: timedelta = timedelta(0)) -> bool:
        """Ask once more; tell whether that has woken the target."""
        self.now += after
        self.woken.clear()
        assert await polls.poll(SOURCE) == 15.0
        return bool(self.woken)


def _good(data: Any) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": data})

    return answer


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    rule = {
        "name": "Hot",
        "query": "vector(1) > 2",
        "health": "ok",
        "lastEvaluation": NOW.isoformat(),
        "duration": 0,
        "alerts": [],
    }
    group = {"name": "g", "file": "f", "interval": 15, "rules": [rule]}
    application = web.Application()
    application.router.add_get("/api/v1/rules", _good({"groups": [group]}))
    started = {"startTime": (NOW - timedelta(days=1)).isoformat()}
    application.router.add_get("/api/v1/status/runtimeinfo", _good(started))
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        yield Site(f"http://127.0.0.1:{server.port}", session)


async def test_a_rule_that_is_not_evaluated_any_more_is_news_when_it_is_late(site: Site) -> None:
    polls = site.polls()
    assert await site.wakes(polls)
    assert not await site.wakes(polls, timedelta(seconds=30))
    assert await site.wakes(polls, timedelta(seconds=30)), "three intervals are over"
    assert not await site.wakes(polls, timedelta(seconds=30))


async def test_pushes_that_are_missing_and_come_again_are_news_once(site: Site) -> None:
    polls = site.polls(webhookToken={"name": "webhook", "key": "token"}, heartbeat="5m")
    assert await site.wakes(polls)
    await site.wakes(polls, timedelta(minutes=1))
    assert not await site.wakes(polls, timedelta(minutes=10))
    assert await site.wakes(polls, timedelta(minutes=4))
    assert not await site.wakes(polls, timedelta(minutes=4))
    site.sources.hear(SOURCE, site.now)
    assert await site.wakes(polls)
    assert not await site.wakes(polls, timedelta(minutes=14))


async def test_a_token_that_nobody_can_have_is_told_until_somebody_can(site: Site) -> None:
    polls = site.polls(webhookToken={"name": "webhook", "key": "token"})
    (entry,) = polls.context.registry
    cluster = polls.context.cluster
    assert isinstance(cluster, Files)

    def said() -> str:
        return find_source(entry, site.sources.known_to(entry), site.now).reason

    assert await site.wakes(polls)
    assert said() == "WebhookTokenMissing"
    assert not await site.wakes(polls, timedelta(seconds=15))
    cluster.objects[SECRET, "webhook"] = {"data": {"token": b64encode(b"a\nb\n").decode()}}
    assert await site.wakes(polls)
    assert said() == "Polled"
    cluster.objects[SECRET, "webhook"] = {"data": {"token": b64encode(b"\n").decode()}}
    assert await site.wakes(polls), "an empty one is none"
    assert said() == "WebhookTokenMissing"

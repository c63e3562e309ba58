"""Only the replica that leads writes, and it stops before it lets another lead."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.client import Verb, Write
from firewatch.cluster.errors import NotLeadingError
from firewatch.cluster.kinds import DEPLOYMENT, TOKEN_REVIEW, Kind
from firewatch.cluster.leading import LeadingCluster

SCALE = Write(Verb.JSON_PATCH, DEPLOYMENT, "shop", "api", [], "scale")


@dataclass
class Server:
    """A cluster whose writes end when they are let."""

    held: bool = True
    written: list[Write] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return {"kind": kind.kind, "metadata": {"namespace": namespace, "name": name}}

    async def list(self, *_arguments: Any, **_options: Any) -> list[Object]:
        return [{}]

    async def write(self, write: Write) -> Object:
        await self.gate.wait()
        self.written.append(write)
        return {}


@pytest.fixture
def server() -> Server:
    server = Server()
    server.gate.set()
    return server


@pytest.fixture
def cluster(server: Server) -> LeadingCluster:
    return LeadingCluster(server, lambda: server.held)


async def test_without_the_lease_nothing_is_sent(server: Server, cluster: LeadingCluster) -> None:
    await cluster.write(SCALE)
    server.held = False
    with pytest.raises(NotLeadingError, match="Deployment shop/api was not sent"):
        await cluster.write(SCALE)
    assert server.written == [SCALE]


async def test_whoever_stands_by_reads_and_asks(server: Server, cluster: LeadingCluster) -> None:
    server.held = False
    assert (await cluster.get(DEPLOYMENT, "shop", "api"))["kind"] == "Deployment"
    assert await cluster.list(DEPLOYMENT) == [{}]
    review = Write(Verb.CREATE, TOKEN_REVIEW, "", "", {})
    for write in (review, replace(SCALE, dry_run=True)):
        await cluster.write(write)
    assert len(server.written) == 2


async def test_what_is_under_way_ends_before_another_may_lead(
    server: Server, cluster: LeadingCluster
) -> None:
    server.gate.clear()
    begun = asyncio.create_task(cluster.write(SCALE))
    await asyncio.sleep(0)
    closing = asyncio.create_task(cluster.close(10))
    await asyncio.sleep(0)
    assert not closing.done()
    assert not cluster.leads()
    with pytest.raises(NotLeadingError):
        await cluster.write(SCALE)
    server.gate.set()
    await closing
    assert begun.done()
    assert server.written == [SCALE]


async def test_what_does_not_end_is_not_waited_for_for_ever(
    server: Server, cluster: LeadingCluster
) -> None:
    server.gate.clear()
    begun = asyncio.create_task(cluster.write(SCALE))
    await asyncio.sleep(0)
    await cluster.close(0.01)
    begun.cancel()
    await asyncio.wait([begun])
    assert server.written == []

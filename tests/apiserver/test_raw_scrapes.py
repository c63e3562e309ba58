"""Scrape jobs in Prometheus' own words, from a Secret through a pass to a real Prometheus."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.cluster.kinds import CONFIG_MAP, MONITORING_STACK, SECRET
from tests.apiserver.node import Node, loopback, running_node
from tests.apiserver.world import World

pytestmark = pytest.mark.usefixtures("crds", "role")

STACK: Object = {
    "metrics": {"additionalScrapeConfigs": {"name": "extra", "key": "jobs.yaml"}},
}
OURS = "main-prometheus-scrapes"


@pytest_asyncio.fixture
async def node(world: World, tmp_path: Path, numbers: Iterator[int]) -> AsyncIterator[Node]:
    async with running_node(world, tmp_path, loopback(16, next(numbers))) as running:
        yield running


def hold(world: World, *jobs: Object) -> None:
    """Have the user's Secret hold these jobs."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "extra", "namespace": world.namespace},
        "stringData": {"jobs.yaml": json.dumps(jobs)},
    }
    world.kubectl("apply", "-f", "-", text=json.dumps(body))


def job(name: str, **fields: object) -> Object:
    static = [{"targets": ["127.0.0.1:1"]}]
    password = {"username": "u", "password": "s3cret"}
    return {"job_name": name, "static_configs": static, "basic_auth": password, **fields}


async def until(world: World, reason: str) -> None:
    async with asyncio.timeout(90):
        while (await world.conditions()).get("Loaded", ("", ""))[1] != reason:
            await world.go()
            await asyncio.sleep(0.3)


async def until_scraped(node: Node, *jobs: str) -> None:
    """Wait until Prometheus scrapes exactly these jobs, besides itself."""
    async with asyncio.timeout(60):
        while {each for each in await node.jobs() if each != "prometheus"} != {*jobs}:
            await asyncio.sleep(0.3)


async def until_tried(node: Node) -> None:
    """Wait until Prometheus has scraped every target once, since the status tells how each answers."""
    url = f"http://{node.address}:{names.PROMETHEUS_PORT}/api/v1/targets?state=active"
    async with asyncio.timeout(60):
        while True:
            async with node.world.context.session.get(url) as answer:
                found = (await answer.json())["data"]["activeTargets"]
            if all(each["health"] != "unknown" for each in found):
                return
            await asyncio.sleep(0.3)


async def messages(world: World) -> str:
    live = await world.get(MONITORING_STACK, "main")
    return "\n".join(each["message"] for each in live["status"]["conditions"])


async def test_jobs_follow_the_secret_and_a_bad_one_stops_no_other(
    world: World, node: Node
) -> None:
    world.apply(STACK)
    await world.go()
    assert (await world.conditions())["SecretsPresent"] == ("False", "SecretMissing")
    assert not await world.is_there(SECRET, OURS)
    await node.create_pod()
    await until(world, "Loaded")
    await until_scraped(node)

    hold(world, job("one"), job("two", scrape_intervall="s3cret"))
    await until_rewritten(world)
    await until_scraped(node, "one")
    assert (await world.conditions())["Accepted"] == ("False", "InvalidScrapeConfigs")
    assert "job 2 has a field that Prometheus does not know" in await messages(world)

    hold(world, job("one"), job("two"))
    await until_rewritten(world)
    await until_scraped(node, "one", "two")
    assert (await world.conditions())["Accepted"] == ("True", "Accepted")
    await until_tried(node)
    await world.go()
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == []
    for kind, name in ((CONFIG_MAP, "main-prometheus-config"), (MONITORING_STACK, "main")):
        assert "s3cret" not in json.dumps(await world.get(kind, name))

    world.apply({"metrics": {}})
    await until_rewritten(world)
    assert not await world.is_there(SECRET, OURS)
    await until_scraped(node)


async def until_rewritten(world: World) -> None:
    """Make passes until Prometheus has confirmed what the Secret holds now."""
    await world.go()
    await until(world, "Loaded")


async def test_what_only_prometheus_refuses_does_not_end_what_it_has_taken(
    world: World, node: Node
) -> None:
    hold(world, job("one"))
    world.apply(STACK)
    await world.go()
    await node.create_pod()
    await until(world, "Loaded")
    await until_scraped(node, "one")

    hold(world, job("one"), job("two", scrape_interval="s3cret"))
    await until(world, "ReloadFailed")
    said = await messages(world)
    assert "additionalScrapeConfigs" in said
    assert "s3cret" not in said
    config = await world.get(CONFIG_MAP, "main-prometheus-config")
    ours = await world.get(SECRET, OURS)
    (file,) = [name for name in ours["data"] if name in config["data"][names.CONFIG_KEY]]
    assert "two" not in b64decode(ours["data"][file]).decode()
    await until_scraped(node, "one")

    hold(world, job("three"))
    await until_rewritten(world)
    await until_scraped(node, "three")


async def test_a_first_file_that_prometheus_refuses_is_left_out(world: World, node: Node) -> None:
    hold(world, job("one", scrape_interval="never"))
    world.apply(STACK)
    await world.go()
    await node.create_pod()
    await until(world, "ReloadFailed")
    config = await world.get(CONFIG_MAP, "main-prometheus-config")
    assert "scrape_config_files" not in config["data"][names.CONFIG_KEY]

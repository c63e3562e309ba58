"""A configuration that only Prometheus refuses: it goes on with the last good one, and says so."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.cluster.kinds import CONFIG_MAP, JOB
from firewatch.reconcile.last_good import choose_configuration
from tests.apiserver.jobs import running_jobs
from tests.apiserver.node import Node, loopback, running_node
from tests.apiserver.world import World

pytestmark = pytest.mark.usefixtures("crds", "role")


@pytest_asyncio.fixture
async def node(world: World, tmp_path: Path, numbers: Iterator[int]) -> AsyncIterator[Node]:
    async with running_node(world, tmp_path, loopback(15, next(numbers))) as running:
        yield running


def stack(job: str) -> Object:
    return {"metrics": {"scrapeJobs": [{"name": job, "targets": ["a:1"]}]}}


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a job that the server refuses, as an oversight of our own checks would."""

    def choose_broken(desired: Object, live: Object | None, *, confirmed: str) -> Object:
        text = desired["data"][names.CONFIG_KEY].replace(
            "job_name: broken\n", "job_name: broken\n  scrape_interval: never\n"
        )
        data = {**desired["data"], names.CONFIG_KEY: text}
        return choose_configuration({**desired, "data": data}, live, confirmed=confirmed)

    monkeypatch.setattr("firewatch.reconcile.children.choose_configuration", choose_broken)


async def until(world: World, reason: str) -> None:
    async with asyncio.timeout(60):
        while (await world.conditions()).get("Loaded", ("", ""))[1] != reason:
            await world.go()
            await asyncio.sleep(0.3)


async def config(world: World) -> dict[str, str]:
    live = await world.get(CONFIG_MAP, names.prometheus_config_name("main"))
    data: dict[str, str] = live["data"]
    return data


async def begin(world: World, node: Node) -> None:
    """Have Prometheus run a stack that it likes."""
    world.apply(stack("fine"))
    await world.go()
    await node.create_pod()
    await until(world, "Loaded")


@pytest.mark.usefixtures("broken")
async def test_prometheus_goes_on_with_the_last_good_configuration(
    world: World, node: Node, tmp_path: Path
) -> None:
    await begin(world, node)
    world.apply(stack("broken"))
    await until(world, "ReloadFailed")
    assert "scrape job broken" in held_back(world)
    data = await config(world)
    assert "job_name: fine" in data[names.CONFIG_KEY], "a pod that starts anew finds what works"
    assert "job_name: broken" in data[names.REFUSED_KEY]
    await until_said(world, tmp_path / "job", "not a valid duration string")
    assert await world.recorder.list(JOB, world.namespace) == []
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == [], "it is not tried again"

    world.apply(stack("better"))
    await until(world, "Loaded")
    data = await config(world)
    assert "job_name: better" in data[names.CONFIG_KEY]
    assert not data.keys() & {names.REFUSED_KEY, names.COMPLAINT_KEY}


@pytest.mark.usefixtures("broken")
async def test_a_prometheus_that_cannot_start_gets_the_last_good_configuration(
    world: World, node: Node
) -> None:
    await begin(world, node)
    node.paused = True
    node.set_ended(code=2)
    world.apply(stack("broken"))
    await until(world, "ReloadFailed")
    assert "job_name: fine" in (await config(world))[names.CONFIG_KEY]


@pytest.mark.usefixtures("broken")
async def test_what_a_pod_of_an_old_form_refuses_is_not_blamed_on_the_configuration(
    world: World, node: Node
) -> None:
    """It may lack files that the new form mounts."""
    await begin(world, node)
    here = ("-n", world.namespace)
    world.kubectl(*here, "label", f"pod/{node.name}", "controller-revision-hash=old")
    status = {"replicas": 1, "updateRevision": "new", "observedGeneration": 99}
    world.kubectl(
        *(*here, "patch", "statefulset/main-prometheus", "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": status})),
    )
    world.apply(stack("broken"))
    await until(world, "Renewing")
    data = await config(world)
    assert "job_name: broken" in data[names.CONFIG_KEY]
    assert names.REFUSED_KEY not in data


async def until_said(world: World, folder: Path, words: str) -> None:
    """Let the Job run by which promtool is asked, until the stack repeats its words."""
    async with running_jobs(world, folder), asyncio.timeout(30):
        while words not in held_back(world):
            await world.go()
            await asyncio.sleep(0.1)


def held_back(world: World) -> str:
    """Return what the stack says of a configuration that is not in force."""
    return next(text for text in messages(world) if "last good" in text)


def messages(world: World) -> list[str]:
    text = world.kubectl("-n", world.namespace, "get", "mstack/main", "-o", "json")
    return [str(c["message"]) for c in json.loads(text)["status"]["conditions"]]

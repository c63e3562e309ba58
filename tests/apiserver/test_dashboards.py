"""Dashboards of a stack: a real API server, and a stand-in for Grafana itself."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from firewatch.api.resource import Key, Object
from firewatch.cluster.kinds import CONFIG_MAP, MONITORING_STACK, STATEFUL_SET
from firewatch.reconcile.context import DASHBOARDS
from firewatch.reconcile.dashboards import DashboardsReconciler
from tests.apiserver.node import loopback
from tests.apiserver.pictures import PicturesNode, running_pictures
from tests.apiserver.scene import eventually
from tests.apiserver.world import World

pytestmark = pytest.mark.usefixtures("crds", "role")


@pytest_asyncio.fixture
async def node(world: World, tmp_path: Path, numbers: Iterator[int]) -> AsyncIterator[PicturesNode]:
    async with running_pictures(world, tmp_path, loopback(25, next(numbers))) as found:
        yield found


class Passes:
    """Passes over the stack ``main`` and over its dashboards."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._dashboards = DashboardsReconciler(world.context)

    async def go(self) -> float | None:
        await self.world.go()
        pause = await self._dashboards.reconcile(Key(DASHBOARDS, self.world.namespace, "main"))
        await self.world.go()
        return pause

    async def until(self, reason: str) -> None:
        """Make passes until the dashboards stand like that, and there is nothing more to wait for."""

        async def look() -> tuple[str | None, bool]:
            pause = await self.go()
            found = (await self.world.conditions()).get("DashboardsLoaded", ("", None))
            return found[1], pause is not None and pause > 10

        await eventually(lambda found: found == (reason, True), look, seconds=40)

    async def until_shown(self, node: PicturesNode, *expected: tuple[str, str]) -> None:
        """Make passes until Grafana has exactly these, as folder and title, and the status says so."""

        async def look() -> tuple[object, bool]:
            await self.go()
            status, _ = (await self.world.conditions())["DashboardsLoaded"]
            titles = {(folder, dashboard["title"]) for folder, dashboard in node.dashboards}
            return titles, status != "Unknown"

        await eventually(lambda found: found == ({*expected}, True), look, seconds=20)


def stack(*inline: Object) -> Object:
    return {"metrics": {}, "visualization": {"dashboards": [*inline]}}


def inline(name: str, folder: str = "", **content: object) -> Object:
    return {"name": name, "folder": folder, "json": json.dumps({"title": name, **content})}


def hold(world: World, name: str, folder: str | None = None, **files: object) -> None:
    """Have a ConfigMap of the user's hold these dashboards."""
    metadata: Object = {
        "name": name,
        "namespace": world.namespace,
        "labels": {"grafana_dashboard": "1"},
        "annotations": {} if folder is None else {"grafana_folder": folder},
    }
    data = {
        f"{file}.json": content if isinstance(content, str) else json.dumps(content)
        for file, content in files.items()
    }
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    world.kubectl("apply", "-f", "-", text=json.dumps(body))


async def test_dashboards_come_change_move_and_go_without_a_restart(
    world: World, node: PicturesNode
) -> None:
    passes = Passes(world)
    world.apply(stack(inline("first", folder="Shop $1")))
    await passes.go()
    assert (await world.conditions())["DashboardsLoaded"] == ("Unknown", "NoServer")
    await node.create_pod()
    await passes.until_shown(node, ("Shop $1", "first"))
    template = (await world.get(STATEFUL_SET, "main-grafana"))["spec"]["template"]

    hold(world, "theirs", "Team", api={"title": "API"}, db={"title": "DB", "uid": "db"})
    hold(world, "loose", None, x={"dashboard": {"title": "Wrapped", "panels": [{"type": "graph"}]}})
    kept = (("Shop $1", "first"), ("", "Wrapped"))
    await passes.until_shown(node, *kept, ("Team", "API"), ("Team", "DB"))
    (wrapped,) = (each for folder, each in node.dashboards if not folder)
    assert wrapped["panels"][0]["type"] == "timeseries"

    hold(world, "theirs", "Others", api={"title": "API, better"}, db={"title": "DB", "uid": "db"})
    await passes.until_shown(node, *kept, ("Others", "API, better"), ("Others", "DB"))
    world.kubectl("-n", world.namespace, "delete", "configmap/theirs")
    world.apply(stack())
    await passes.until_shown(node, ("", "Wrapped"))
    await passes.until("Loaded")
    status = (await world.get(MONITORING_STACK, "main"))["status"]["visualization"]
    assert status["dashboards"] == 1

    assert (await world.get(STATEFUL_SET, "main-grafana"))["spec"]["template"] == template
    world.recorder.written()
    await passes.go()
    assert world.recorder.written() == []


async def test_what_is_no_dashboard_is_named_and_the_others_are_there(
    world: World, node: PicturesNode
) -> None:
    passes = Passes(world)
    world.apply(stack(inline("good", uid="same")))
    hold(world, "bad", "Team", broken='{"title": "x",', twin={"title": "Twin", "uid": "same"})
    await passes.go()
    await node.create_pod()
    await passes.until_shown(node, ("", "good"))
    assert (await world.conditions())["DashboardsLoaded"] == ("False", "DashboardLeftOut")
    live = await world.get(MONITORING_STACK, "main")
    left_out = live["status"]["visualization"]["leftOut"]
    assert [each["source"] for each in left_out] == [
        "key broken.json of ConfigMap bad",
        "key twin.json of ConfigMap bad",
    ]
    assert "no JSON" in left_out[0]["message"]
    assert "visualization.dashboards: good has the same uid" in left_out[1]["message"]

    hold(world, "bad", "Team", broken={"title": "x"})
    await passes.until_shown(node, ("", "good"), ("Team", "x"))
    assert (await world.conditions())["DashboardsLoaded"] == ("True", "Loaded")


async def test_roles_may_do_in_a_folder_what_is_written(world: World, node: PicturesNode) -> None:
    passes = Passes(world)
    closed = {"title": "Closed", "viewers": "none", "editors": "view"}
    spec = stack(inline("a", folder="Closed"), inline("b", folder="Open"))
    spec["visualization"]["folders"] = [closed, {"title": "Later"}]
    world.apply(spec)
    await passes.go()
    await node.create_pod()
    team = {"teamId": 7, "permission": 2}
    node.permissions["Closed"] = [{"role": "Viewer", "permission": 1}, {**team, "team": "Shop"}]
    await passes.until_shown(node, ("Closed", "a"), ("Open", "b"))
    assert node.permissions == {"Closed": [{"role": "Editor", "permission": 1}, team]}
    del closed["editors"]
    world.apply(spec)
    await passes.until("Loaded")
    await passes.go()
    assert node.permissions == {"Closed": [{"role": "Editor", "permission": 2}, team]}


async def test_a_new_operator_finds_everything_as_it_is(world: World, node: PicturesNode) -> None:
    world.apply(stack(inline("first")))
    passes = Passes(world)
    await passes.go()
    await node.create_pod()
    await passes.until("Loaded")
    world.recorder.written()
    world.context.dashboards.clear()
    world.context.nudges.settle([], "")
    assert await Passes(world).go() != 0
    assert world.recorder.written() == []
    assert (await world.conditions())["DashboardsLoaded"] == ("True", "Loaded")


async def test_without_grafana_its_dashboards_go(world: World) -> None:
    passes = Passes(world)
    world.apply(stack(inline("first")))
    await passes.go()
    assert await world.is_there(CONFIG_MAP, "main-dashboards-0")
    world.apply({"metrics": {}})
    await passes.go()
    assert not await world.is_there(CONFIG_MAP, "main-dashboards-0")
    assert not await world.is_there(CONFIG_MAP, "main-dashboards")
    assert "DashboardsLoaded" not in await world.conditions()


async def test_packs_bring_their_dashboards(world: World, node: PicturesNode) -> None:
    passes = Passes(world)
    world.apply({**stack(inline("mine", uid="firewatch-node")), "packs": {}})
    await passes.go()
    await node.create_pod()
    own = ("System Overview", "Objectives", "Alerts", "Monitoring")
    expected = {("Firewatch", title) for title in own}
    await passes.until_shown(node, *expected, ("", "mine"))
    both: Object = {**stack(inline("mine", uid="firewatch-node")), "packs": {}}
    world.apply({**both, "exporters": {"node": {}}})
    await passes.until_shown(node, *expected, ("Firewatch", "Node"))
    assert (await world.conditions())["DashboardsLoaded"] == ("False", "DashboardLeftOut")

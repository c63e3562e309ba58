"""Dashboards for a Grafana that others run: a real API server, and a stand-in for Grafana itself."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from firewatch.api.resource import Key, Object
from firewatch.cluster.kinds import MONITORING_STACK
from firewatch.reconcile.context import DASHBOARDS
from firewatch.reconcile.dashboards import DashboardsReconciler
from tests.apiserver.gallery import TOKEN, Gallery, running_gallery
from tests.apiserver.node import loopback
from tests.apiserver.test_dashboards import hold, inline
from tests.apiserver.world import World

pytestmark = pytest.mark.usefixtures("crds", "role")


@pytest_asyncio.fixture
async def gallery(numbers: Iterator[int]) -> AsyncIterator[Gallery]:
    async with running_gallery(loopback(27, next(numbers))) as found:
        yield found


class Passes:
    """Passes over the stack ``main`` and its dashboards, at a time that can be put forward."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.later = timedelta()
        world.context = replace(world.context, clock=lambda: datetime.now(UTC) + self.later)
        self._dashboards = DashboardsReconciler(world.context)

    async def go(self) -> tuple[str, str]:
        """Make a pass; return how the dashboards stand."""
        await self.world.go()
        await self._dashboards.reconcile(Key(DASHBOARDS, self.world.namespace, "main"))
        await self.world.go()
        return (await self.world.conditions())["DashboardsLoaded"]

    async def left_out(self) -> dict[str, str]:
        live = await self.world.get(MONITORING_STACK, "main")
        return {
            each["source"]: each["message"] for each in live["status"]["visualization"]["leftOut"]
        }


def stack(gallery: Gallery, *dashboards: Object, **fields: object) -> Object:
    token = {"name": "grafana", "key": "token"}
    server = {"url": gallery.url, "token": token, "dashboards": [*dashboards], **fields}
    return {"metrics": {}, "external": {"grafana": server}}


def prove(world: World, token: str = TOKEN) -> None:
    metadata = {"name": "grafana", "namespace": world.namespace}
    data = {"token": token}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
    world.kubectl("apply", "-f", "-", text=json.dumps(body))


async def test_dashboards_are_written_moved_and_taken_away_and_nothing_twice(
    world: World, gallery: Gallery
) -> None:
    prove(world)
    passes = Passes(world)
    gallery.folders["mine"] = "Team"
    gallery.put({"uid": "others", "title": "Others", "tags": ["firewatch"]})
    world.apply(stack(gallery, inline("first", folder="Team"), inline("second")))
    hold(world, "theirs", "Shop", api={"title": "API", "tags": ["shop"]})
    assert await passes.go() == ("True", "Loaded")
    kept = ("", "Others")
    assert gallery.titles() == {("Team", "first"), ("", "second"), ("Shop", "API"), kept}
    assert gallery.folders == {"mine": "Team", "f1": "Shop"}
    gallery.changes()
    assert await passes.go() == ("True", "Loaded")
    assert gallery.changes() == []
    assert await Passes(world).go() == ("True", "Loaded")
    assert gallery.changes() == []
    status = (await world.get(MONITORING_STACK, "main"))["status"]["visualization"]
    assert (status["url"], status["dashboards"]) == (gallery.url, 3)

    world.apply(stack(gallery, inline("first", folder="Shop")))
    assert await passes.go() == ("True", "Loaded")
    assert gallery.titles() == {("Shop", "first"), ("Shop", "API"), kept}


async def test_what_somebody_changes_in_grafana_is_put_back(world: World, gallery: Gallery) -> None:
    prove(world)
    passes = Passes(world)
    world.apply(stack(gallery, inline("first", uid="one"), inline("second", uid="two")))
    await passes.go()
    _, _, content = gallery.dashboards["one"]
    gallery.put({**content, "title": "mine now"})
    del gallery.dashboards["two"]
    await passes.go()
    assert gallery.titles() == {("", "mine now"), ("", "second")}
    passes.later = timedelta(minutes=11)
    assert await passes.go() == ("True", "Loaded")
    assert gallery.titles() == {("", "first"), ("", "second")}


async def test_a_dashboard_of_others_is_left_and_what_grafana_refuses_is_named(
    world: World, gallery: Gallery
) -> None:
    prove(world)
    passes = Passes(world)
    gallery.put({"uid": "same", "title": "Theirs"})
    world.apply(
        stack(
            gallery,
            inline("good", uid="good"),
            inline("clash", uid="same"),
            inline("odd", uid="odd", refresh="never"),
        )
    )
    hold(world, "bad", "Team", broken='{"title": "x",')
    assert await passes.go() == ("False", "DashboardLeftOut")
    assert gallery.titles() == {("", "Theirs"), ("", "good")}
    left_out = await passes.left_out()
    assert "no JSON" in left_out["key broken.json of ConfigMap bad"]
    assert "not this stack's" in left_out["dashboard same (clash)"]
    assert left_out["dashboard odd (odd)"] == "Grafana refuses it: refresh: no interval"
    del gallery.dashboards["same"]
    await passes.go()
    assert ("", "clash") in gallery.titles()
    assert (await world.get(MONITORING_STACK, "main"))["status"]["visualization"]["dashboards"] == 2


async def test_a_token_that_is_missing_or_refused_is_said(world: World, gallery: Gallery) -> None:
    passes = Passes(world)
    world.apply(stack(gallery, inline("first")))
    assert await passes.go() == ("Unknown", "NoAnswer")
    assert (await world.conditions())["SecretsPresent"] == ("False", "SecretMissing")
    prove(world, "glsa_viewer")
    assert await passes.go() == ("False", "CredentialsRefused")
    live = json.dumps((await world.get(MONITORING_STACK, "main"))["status"])
    assert "glsa_viewer" not in live
    assert "service account with the role Editor" in live
    prove(world)
    assert await passes.go() == ("True", "Loaded")


async def test_exported_dashboards_are_answered_with_its_data_sources(
    world: World, gallery: Gallery
) -> None:
    prove(world)
    question = {"name": "DS", "type": "datasource", "pluginId": "prometheus"}
    panel = {"type": "timeseries", "datasource": {"type": "prometheus", "uid": "${DS}"}}
    exported = inline("exported", uid="one", __inputs=[question], panels=[panel])
    uids = {"prometheus": "metrics"}
    world.apply(stack(gallery, exported, dataSourceUids=uids) | {"packs": {}})
    assert await Passes(world).go() == ("True", "Loaded")
    _, _, content = gallery.dashboards["one"]
    assert content["panels"][0]["datasource"]["uid"] == "metrics"
    _, _, ours = gallery.dashboards["firewatch-overview"]
    (variable,) = (v for v in ours["templating"]["list"] if v["type"] == "datasource")
    assert variable["current"]["value"] == "metrics"
    assert gallery.folders

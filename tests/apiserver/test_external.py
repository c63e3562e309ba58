"""A stack with a Prometheus that others run: a real one, fed by what stands for its sidecar."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.cluster.http import basic_authorization
from firewatch.cluster.kinds import ALERT_POLICY, CONFIG_MAP, MONITORING_STACK
from firewatch.cluster.prometheus import Prometheus
from tests.apiserver.node import Node, loopback, put_rules, running_prometheus
from tests.apiserver.scene import Scene, alert, eventually, operating
from tests.apiserver.world import World

pytestmark = pytest.mark.usefixtures("crds", "role")

LABELS = {"prometheus_rule": "1"}
# Of the password "test", from Prometheus' guide to basic authentication.
USERS = """basic_auth_users:
  admin: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay
"""
LOGIN = {"Authorization": basic_authorization("admin", "test")}


@dataclass
class Elsewhere:
    """A Prometheus of others, and its sidecar, which brings the files of labelled ConfigMaps."""

    scene: Scene
    folder: Path
    url: str
    foreign: str = ""
    """A rule file of somebody else's."""

    def stack(self, name: str = "main", **external: object) -> None:
        server = {
            "url": self.url,
            "basicAuth": {
                "username": {"name": "login", "key": "user"},
                "password": {"name": "login", "key": "password"},
            },
            "ruleLabels": LABELS,
            **external,
        }
        self.scene.stack(name, external={"prometheus": server})

    def login(self, password: str) -> None:
        metadata = {"name": "login", "namespace": self.scene.world.namespace}
        data = {"user": "admin", "password": password}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        self.scene.world.kubectl("apply", "-f", "-", text=json.dumps(body))

    async def bring(self) -> None:
        """Bring the files, as a sidecar does that watches ConfigMaps with a label."""
        before: dict[str, str] | None = None
        while True:
            found = {"foreign.yml": self.foreign} if self.foreign else {}
            for live in await self.scene.world.recorder.list(
                CONFIG_MAP, self.scene.world.namespace
            ):
                if live["metadata"]["labels"].items() >= LABELS.items():
                    found |= live.get("data", {})
            if found != before:
                put_rules(self.folder, found)
                before = found
            await asyncio.sleep(0.05)

    async def alerts(self) -> set[str]:
        async with aiohttp.ClientSession(headers=LOGIN) as session:
            rules = await Prometheus(session, self.url).rules()
        return {rule.name for rule in rules} - {"FirewatchMarker"}


@pytest_asyncio.fixture
async def elsewhere(
    world: World, tmp_path: Path, numbers: Iterator[int]
) -> AsyncIterator[Elsewhere]:
    address = loopback(26, next(numbers))
    put_rules(tmp_path, {})
    (tmp_path / "web.yml").write_text(USERS)
    config = f"rule_files: ['{tmp_path}/rules/*.yml']\n"
    flag = f"--web.config.file={tmp_path / 'web.yml'}"
    async with (
        running_prometheus(tmp_path, address, flag, config=config, headers=LOGIN),
        operating(world) as (loop, task),
    ):
        scene = Scene(world, Node(world, tmp_path, address), loop, task)
        url = f"http://{address}:{names.PROMETHEUS_PORT}"
        found = Elsewhere(scene, tmp_path, url)
        found.login("test")
        sidecar = asyncio.create_task(found.bring())
        yield found
        sidecar.cancel()


async def row(world: World) -> Object:
    live = await world.get(MONITORING_STACK, "main")
    (found,) = live["status"]["components"]
    return dict(found)


async def test_rules_are_mounted_by_their_labels_and_read_back(elsewhere: Elsewhere) -> None:
    scene, world = elsewhere.scene, elsewhere.scene.world
    elsewhere.stack()
    scene.apply(
        scene.policy("a", alert("Good"), alert("Bad", "up == )")), scene.policy("b", alert("B"))
    )
    found = await scene.until("a", "Loaded", "Loaded")
    assert found["Accepted"] == ("False", "RulesRejected")
    await scene.until("b", "Ready", "Ready")
    assert await elsewhere.alerts() == {"Good", "B"}
    await eventually(
        lambda found: found.get("Ready") == ("True", "Ready"), world.conditions, seconds=20
    )
    shown = await row(world)
    assert (shown["name"], shown["ready"], shown["pods"]) == ("prometheus", "True", "external")
    assert shown["endpoint"] == elsewhere.url
    assert shown["version"]
    status = (await world.get(MONITORING_STACK, "main"))["status"]
    assert status["rules"] == {"policies": 2, "loaded": 2}
    assert status["prometheusUrl"] == elsewhere.url

    scene.apply(scene.policy("a", alert("New")))
    await scene.until("a", "Ready", "Ready")
    scene.delete("b")
    await eventually(lambda found: found == {"New"}, elsewhere.alerts, seconds=15)

    world.kubectl("-n", world.namespace, "delete", "mstack/main", "--wait=false")


async def test_two_stacks_have_the_same_server_and_tell_their_files_apart(
    elsewhere: Elsewhere,
) -> None:
    scene = elsewhere.scene
    elsewhere.stack()
    elsewhere.stack("other")
    for name in ("main", "other"):
        scene.apply(scene.policy(f"of-{name}", alert(f"Of{name}"), stackRef={"name": name}))
    for name in ("main", "other"):
        await scene.until(f"of-{name}", "Loaded", "Loaded")
    assert await elsewhere.alerts() == {"Ofmain", "Ofother"}


async def test_a_password_that_is_not_taken_is_said_and_the_right_one_helps(
    elsewhere: Elsewhere,
) -> None:
    scene, world = elsewhere.scene, elsewhere.scene.world
    elsewhere.login("wrong-word")
    elsewhere.stack()
    scene.apply(scene.policy("a", alert("A")))
    await scene.until("a", "Accepted", "NoServer")
    await eventually(
        lambda found: found.get("Available") == ("False", "ServerNotAvailable"),
        world.conditions,
        seconds=15,
    )
    shown = await row(world)
    assert "401" in shown["message"]
    assert "wrong-word" not in json.dumps(await world.get(MONITORING_STACK, "main"))
    policy = await world.get(ALERT_POLICY, "a")
    assert elsewhere.url in policy["status"]["conditions"][0]["message"]

    elsewhere.login("test")
    await scene.until("a", "Loaded", "Loaded", seconds=30)


async def test_a_file_of_others_that_is_refused_takes_nothing_of_ours_back(
    elsewhere: Elsewhere,
) -> None:
    scene = elsewhere.scene
    elsewhere.stack()
    scene.apply(scene.policy("a", alert("A")))
    await scene.until("a", "Loaded", "Loaded")
    elsewhere.foreign = "groups: no list\n"
    scene.apply(scene.policy("b", alert("B")))
    found = await scene.until("b", "Loaded", "ReloadFailed", seconds=30)
    assert found["Loaded"] == ("False", "ReloadFailed")
    assert len(await scene.slots()) == 2
    elsewhere.foreign = ""
    await scene.until("b", "Loaded", "Loaded", seconds=30)
    assert await elsewhere.alerts() == {"A", "B"}

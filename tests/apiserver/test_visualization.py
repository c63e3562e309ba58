"""Grafana of a stack: a real API server, and a stand-in for Grafana itself."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from firewatch.api.resource import Object
from firewatch.cluster.kinds import MONITORING_STACK, SECRET, STATEFUL_SET
from tests.apiserver.node import loopback
from tests.apiserver.pictures import PicturesNode, running_pictures
from tests.apiserver.scene import eventually
from tests.apiserver.world import World
from tests.golden.building import STACK_CASES

pytestmark = pytest.mark.usefixtures("crds", "role")

STACK: Object = {"metrics": {}, "visualization": {}}
KEYS, SOURCES, WORKLOAD = "main-grafana-keys", "main-grafana-sources", "main-grafana"
LOKI: Object = {
    "name": "Logs",
    "type": "loki",
    "url": "http://loki:3100",
    "basicAuth": {"username": "reader", "password": {"name": "loki", "key": "password"}},
}
PASSWORD = "pa$$word ${HOME} $__file{/etc/passwd}"


@pytest_asyncio.fixture
async def node(world: World, tmp_path: Path, numbers: Iterator[int]) -> AsyncIterator[PicturesNode]:
    async with running_pictures(world, tmp_path, loopback(24, next(numbers))) as found:
        yield found


def hold(world: World, name: str, **texts: str) -> None:
    """Have a Secret of the user's hold these texts."""
    metadata = {"name": name, "namespace": world.namespace}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts}
    world.kubectl("apply", "-f", "-", text=json.dumps(body))


async def until_loaded(world: World) -> None:
    async def look() -> tuple[str, str] | None:
        await world.go()
        return (await world.conditions()).get("GrafanaLoaded")

    await eventually(lambda found: found == ("True", "Loaded"), look, seconds=30)


async def told(world: World) -> str:
    """Return what the status says of Grafana."""
    live = await world.get(MONITORING_STACK, "main")
    messages = {each["type"]: each["message"] for each in live["status"]["conditions"]}
    return str(messages["GrafanaLoaded"])


async def rollout(world: World) -> Object:
    """Return what a change of renews the pods."""
    template: Object = (await world.get(STATEFUL_SET, WORKLOAD))["spec"]["template"]
    return template


async def test_everything_that_can_be_set_is_admitted_and_a_second_pass_writes_nothing(
    world: World,
) -> None:
    world.apply(yaml.safe_load(STACK_CASES["grafana"].read_text())["spec"])
    await world.go()
    conditions = await world.conditions()
    assert conditions["Applied"] == ("True", "Applied")
    assert conditions["SecretsPresent"] == ("False", "SecretMissing")
    assert conditions["Accepted"] == ("False", "SecretMissing"), "data sources, and the certificate"
    live = await world.get(MONITORING_STACK, "main")
    assert "grafana" in [row["name"] for row in live["status"]["components"]]
    assert live["status"]["visualization"] == {
        "url": f"http://main-grafana.{world.namespace}.svc:3000",
        "user": "root",
        "password": "key password of Secret admin",
        "dataSources": 0,
        "dashboards": 0,
        "leftOut": [],
    }
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == []


async def test_password_and_key_are_made_up_once_and_outlive_the_stack(world: World) -> None:
    world.apply(STACK)
    await world.go()
    made = await world.get(SECRET, KEYS)
    assert made["data"].keys() == {"admin-password", "secret-key"}
    assert len({*made["data"].values()}) == 2
    assert "ownerReferences" not in made["metadata"], "a volume is of no use without its key"
    world.apply({"metrics": {}})
    await world.go()
    assert not await world.is_there(STATEFUL_SET, WORKLOAD)
    assert not await world.is_there(SECRET, SOURCES)
    world.apply(STACK)
    await world.go()
    assert (await world.get(SECRET, KEYS))["data"] == made["data"]


async def test_nothing_is_made_up_while_the_stack_is_paused(world: World) -> None:
    world.apply({**STACK, "paused": True})
    await world.go()
    assert not await world.is_there(SECRET, KEYS)
    assert (await world.conditions())["Applied"] == ("False", "Paused")


async def test_data_sources_come_and_change_without_a_restart(
    world: World, node: PicturesNode
) -> None:
    world.apply(STACK)
    await world.go()
    assert (await world.conditions())["GrafanaLoaded"] == ("Unknown", "NoServer")
    await node.create_pod()
    await until_loaded(world)
    assert [each["name"] for each in node.sources] == ["Prometheus"]
    before = await rollout(world)

    world.apply({**STACK, "visualization": {"dataSources": [LOKI]}})
    await world.go()
    assert "key password of Secret loki is missing" in await world.message()
    assert [each["name"] for each in node.sources] == ["Prometheus"]

    hold(world, "loki", password=PASSWORD)
    await until_loaded(world)
    _, loki = node.sources
    assert loki["secureJsonData"] == {"basicAuthPassword": PASSWORD}
    hold(world, "loki", password="another")
    await until_loaded(world)
    assert node.sources[1]["secureJsonData"] == {"basicAuthPassword": "another"}

    world.apply({**STACK, "visualization": {}})
    await until_loaded(world)
    assert [each["name"] for each in node.sources] == ["Prometheus"]
    assert await rollout(world) == before

    reloads = node.reloads
    world.recorder.written()
    await world.go()
    assert (world.recorder.written(), node.reloads) == ([], reloads)
    live = await world.get(MONITORING_STACK, "main")
    assert live["status"]["visualization"]["dataSources"] == 1
    (row,) = (r for r in live["status"]["components"] if r["name"] == "grafana")
    assert row["version"] == "13.1.3"


async def test_a_changed_password_renews_the_pods(world: World, node: PicturesNode) -> None:
    hold(world, "admin", password="first")
    named: Object = {"admin": {"password": {"name": "admin", "key": "password"}}}
    world.apply({**STACK, "visualization": named})
    await world.go()
    await node.create_pod()
    node.password = "first"
    await until_loaded(world)
    before = await rollout(world)

    hold(world, "admin", password="second")
    await world.go()
    assert (await world.conditions())["GrafanaLoaded"] == ("Unknown", "Renewing")
    assert await rollout(world) != before
    await node.renew()
    await world.go()
    assert (await world.conditions())["GrafanaLoaded"] == ("False", "CredentialsRefused")
    assert "key password of Secret admin" in await told(world)
    node.password = "second"
    await until_loaded(world)
    live = json.dumps(await world.get(MONITORING_STACK, "main"))
    assert "first" not in live
    assert "second" not in live


async def test_what_grafana_refuses_is_told_in_its_words(world: World, node: PicturesNode) -> None:
    node.refusal = "data source not found"
    world.apply(STACK)
    await world.go()
    await node.create_pod()
    await world.go()
    assert (await world.conditions())["GrafanaLoaded"] == ("False", "DataSourcesRefused")
    assert "data source not found" in await told(world)


@pytest.mark.parametrize(
    ("visualization", "said"),
    [
        ({"replicas": 2}, "replicas above 1 need database"),
        ({"login": {"disableLoginForm": True}}, "nobody could log in"),
        ({"dataSources": [{**LOKI, "name": "Prometheus"}]}, "choose another name and uid"),
        ({"dataSources": [{**LOKI, "uid": "alertmanager"}]}, "choose another name and uid"),
        (
            {"dataSources": [{**LOKI, "uid": "a"}, {**LOKI, "name": "b", "uid": "a"}]},
            "two data sources have the same uid",
        ),
        (
            {
                "dataSources": [
                    {**LOKI, "isDefault": True},
                    {"name": "b", "type": "x", "isDefault": True},
                ]
            },
            "only one data source can be the default",
        ),
        ({"domain": "a$(B)"}, "spec.visualization.domain"),
        ({"rootUrl": "https://a/${B}"}, "spec.visualization.rootUrl"),
        (
            {
                "smtp": {
                    "smarthost": "a:1",
                    "from": "a@b",
                    "authPassword": LOKI["basicAuth"]["password"],
                }
            },
            "authPassword needs authUsername",
        ),
        ({"extraEnv": [{"name": "GF_SECURITY_ADMIN_USER__FILE", "value": "/x"}]}, ""),
    ],
)
async def test_what_cannot_work_is_refused_at_once(
    world: World, visualization: Object, said: str
) -> None:
    if not said:  # the API server does not look into what is free-form; the operator does
        world.apply({"metrics": {}, "visualization": visualization})
        await world.go()
        assert "belongs to Firewatch" in await world.message()
        return
    with pytest.raises(Exception, match=said):
        world.apply({"metrics": {}, "visualization": visualization})

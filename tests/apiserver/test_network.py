"""Names from outside and NetworkPolicies, with a real API server: what is made, and goes again."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio
import yaml

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import HTTP_ROUTE, INGRESS, NETWORK_POLICY, STATEFUL_SET
from tests.apiserver.conftest import Kubectl
from tests.apiserver.modules import GATEWAY_API, install_crd
from tests.apiserver.world import Recorder, World, make_world
from tests.golden.building import STACK_CASES

pytestmark = pytest.mark.usefixtures("crds", "role")

OPEN: Object = {"host": "prometheus.example", "allowUnauthenticated": True}
BY_GATEWAY: Object = {**OPEN, "gateway": {"name": "public", "namespace": "gateways"}}


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


@pytest.fixture
def world(
    cluster: KubernetesCluster, session: aiohttp.ClientSession, namespace: str, kubectl: Kubectl
) -> World:
    return make_world(Recorder(cluster), session, namespace=namespace, kubectl=kubectl)


@pytest.fixture
def gateways(kubectl: Kubectl) -> Iterator[None]:
    install_crd(kubectl, GATEWAY_API)
    yield
    kubectl("delete", "crd", f"{HTTP_ROUTE.plural}.{HTTP_ROUTE.group}")


async def test_an_ingress_comes_with_its_field_and_goes_with_it(world: World) -> None:
    world.apply({"metrics": {"ingress": {**OPEN, "tlsSecretName": "tls"}}})
    await world.go()
    found = await world.get(INGRESS, "main-prometheus")
    assert found["spec"]["tls"] == [{"hosts": ["prometheus.example"], "secretName": "tls"}]
    assert (await world.conditions())["Applied"] == ("True", "Applied")
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == []
    world.apply({"metrics": {}})
    await world.go()
    assert not await world.is_there(INGRESS, "main-prometheus")


async def test_network_policies_come_and_go(world: World) -> None:
    spec = yaml.safe_load(STACK_CASES["closed"].read_text())["spec"]
    world.apply(spec)
    await world.go()
    live = await world.recorder.list(NETWORK_POLICY, world.namespace)
    assert {each["metadata"]["name"] for each in live} >= {"main-closed", "main-prometheus"}
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == [], "as the API server has them, they are as they should be"
    del spec["networkPolicies"]
    world.apply(spec)
    await world.go()
    assert await world.recorder.list(NETWORK_POLICY, world.namespace) == []


async def test_a_policy_that_somebody_opens_is_closed_again(
    world: World, kubectl: Kubectl, namespace: str
) -> None:
    world.apply({"metrics": {}, "networkPolicies": {}})
    await world.go()
    patch = '{"spec": {"ingress": [{}]}}'
    policy = ("networkpolicy", "main-prometheus", "-n", namespace)
    kubectl("patch", *policy, "--type=merge", "-p", patch)
    await world.go()
    (rule,) = (await world.get(NETWORK_POLICY, "main-prometheus"))["spec"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 9090}]


async def test_without_the_gateway_api_the_rest_of_the_stack_is_made(world: World) -> None:
    world.apply({"metrics": {"ingress": BY_GATEWAY}})
    await world.go()
    assert (await world.conditions())["Applied"] == ("False", "KindMissing")
    assert "knows no gateway.networking.k8s.io; install its CRDs" in await world.message()
    assert await world.is_there(STATEFUL_SET, "main-prometheus")


@pytest.mark.usefixtures("gateways")
async def test_with_the_gateway_api_a_route_comes_and_goes(world: World) -> None:
    world.apply({"metrics": {"ingress": BY_GATEWAY}})
    await world.go()
    assert (await world.conditions())["Applied"] == ("True", "Applied")
    found = await world.get(HTTP_ROUTE, "main-prometheus")
    assert found["spec"]["hostnames"] == ["prometheus.example"]
    (parent,) = found["spec"]["parentRefs"]
    assert (parent["name"], parent["namespace"]) == ("public", "gateways")
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == []
    world.apply({"metrics": {"ingress": OPEN}})
    await world.go()
    assert not await world.is_there(HTTP_ROUTE, "main-prometheus")
    assert await world.is_there(INGRESS, "main-prometheus")

"""Circuit breakers of Istio and Linkerd, as far as an API server with their kinds shows it; no proxy runs.

Linkerd's own CustomResourceDefinition is in no module that can be had: its kind is served here by one that
takes any content.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.kinds import DESTINATION_RULE, POD, SERVICE, SERVICE_PROFILE, Kind
from firewatch.respond.circuit.mesh import ACCRUAL
from tests.apiserver.breaker_kills import kill_at_writes
from tests.apiserver.deployed import wait_served
from tests.apiserver.kubectl import Kubectl
from tests.apiserver.modules import ISTIO, install_crd
from tests.apiserver.town import Town, breaker, is_bad, nobody, open_one, town_of

pytestmark = pytest.mark.usefixtures("crds")
MARKS = {"Istio": "sidecar.istio.io/status", "Linkerd": "linkerd.io/proxy-version"}


@pytest.fixture(scope="module", autouse=True)
def meshes(kubectl: Kubectl, crds: str) -> Iterator[None]:
    """Have the kinds of both meshes served."""
    rules = "destinationrules.networking.istio.io"
    install_crd(kubectl, ISTIO, rules)
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha2", "served": True, "storage": True}
    names = {"kind": "ServiceProfile", "plural": "serviceprofiles", "singular": "serviceprofile"}
    profiles = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "serviceprofiles.linkerd.io"},
        "spec": {
            "group": "linkerd.io",
            "names": names,
            "scope": "Namespaced",
            "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    kubectl("apply", "-f", "-", text=json.dumps(profiles))
    wait_served(kubectl, "serviceprofiles.linkerd.io")
    yield
    kubectl("delete", "crd", rules, "serviceprofiles.linkerd.io")


async def in_mesh(cluster: KubernetesCluster, namespace: str, mesh: str) -> Town:
    """Return an application whose pods have the proxy of a mesh."""
    town = await town_of(cluster, namespace)
    change = {"metadata": {"annotations": {MARKS[mesh]: "there"}}}
    for number in range(town.pods):
        await cluster.write(Write(Verb.MERGE, POD, namespace, f"api-{number}", change))
    return town


async def told(cluster: KubernetesCluster, namespace: str) -> tuple[list[Object], str | None]:
    """Return what Istio and Linkerd are told."""
    rules = [each["spec"] for each in await cluster.list(DESTINATION_RULE, namespace)]
    service = await cluster.get(SERVICE, namespace, "api")
    return rules, (service["metadata"].get("annotations") or {}).get(ACCRUAL)


@pytest.mark.parametrize("mesh", MARKS)
async def test_the_mesh_is_told_so_while_it_is_open(
    cluster: KubernetesCluster, namespace: str, mesh: str
) -> None:
    town = await in_mesh(cluster, namespace, mesh)
    before = await town.state()
    await open_one(town, "mesh")
    rules, accrual = await told(cluster, namespace)
    if mesh == "Istio":
        ((rule,), nothing) = (rules, accrual)
        assert (rule["host"], nothing) == ("api", None)
        assert rule["trafficPolicy"]["outlierDetection"]["maxEjectionPercent"] == 50
    else:
        assert (rules, accrual) == ([], "consecutive")
    await town.until_closed()
    assert await told(cluster, namespace) == ([], None)
    assert await town.state() == before
    assert (await town.episodes.events("break"))[-1] == "BreakerClosed"


@pytest.mark.parametrize(
    ("mesh", "kind", "name", "spec"),
    [
        ("Istio", DESTINATION_RULE, "theirs", {"host": "api.{}.svc.cluster.local"}),
        ("Linkerd", SERVICE_PROFILE, "api.{}.svc.cluster.local", {"routes": []}),
    ],
)
async def test_what_somebody_else_has_told_it_stays(
    cluster: KubernetesCluster, namespace: str, *, mesh: str, kind: Kind, name: str, spec: Object
) -> None:
    town = await in_mesh(cluster, namespace, mesh)
    here = json.loads(json.dumps(spec).replace("{}", namespace))
    await town.episodes.create(kind, name.format(namespace), spec=here)
    town.fails = is_bad("mesh")
    await town.serve(30)
    await town.episodes.response("break", actions=breaker("mesh"))
    await town.live(1)
    status = await town.episodes.status("break")
    assert (status["state"], await town.open_breakers()) == ("Refused", {})
    assert f"says already how {mesh} treats Service api" in status["message"]


@pytest.mark.parametrize("mesh", MARKS)
async def test_killed_before_and_after_a_write_it_ends_as_without(
    cluster: KubernetesCluster, namespaces: Callable[[], str], mesh: str
) -> None:
    await kill_at_writes(cluster, lambda: in_mesh(cluster, namespaces(), mesh), "mesh")


async def test_without_a_proxy_in_the_pods_nothing_is_pretended(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await town_of(cluster, namespace)
    town.fails = is_bad("mesh")
    await town.serve(30)
    await town.episodes.response("break", actions=breaker("mesh"))
    await town.live(1)
    assert "neither Istio's nor Linkerd's proxy" in (await town.episodes.status("break"))["message"]


async def test_of_auto_it_comes_before_pods_are_taken_out(
    cluster: KubernetesCluster, namespace: str
) -> None:
    town = await in_mesh(cluster, namespace, "Istio")
    town.fails = is_bad("isolate")
    await town.serve(30)
    await town.episodes.response("break", actions=breaker())
    await town.live(1)
    assert (await town.open_breakers())["break"]["mechanism"] == "mesh"
    town.fails = nobody
    await town.until_closed()

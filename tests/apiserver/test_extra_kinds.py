"""Targets of kinds that only the chart names: read, raised and put back by their scale alone."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.programs import program
from e2e.cluster.progress import ConsoleProgress
from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster, Verb, Write, connect
from firewatch.cluster.errors import ForbiddenError
from firewatch.cluster.kinds import AUTO_RESPONSE
from firewatch.metrics import Metrics
from tests.apiserver.conftest import Kubectl, KubectlError
from tests.apiserver.episodes import Episodes
from tests.apiserver.farms import FARM, POOL, ROCK, SETTINGS, Scalable, install
from tests.apiserver.installed import installed, policies
from tests.apiserver.killing import Mortal, live
from tests.apiserver.test_response_authors import SCALERS, author, response
from tests.golden.rendering import Helm, of_kind, parse

pytestmark = pytest.mark.usefixtures("crds", "farms")
BOTH = pytest.mark.parametrize("scalable", [FARM, POOL], ids=lambda each: each.kind.kind)
OPERATOR = "system:serviceaccount:firewatch:firewatch"


@pytest.fixture(scope="module")
def farms(kubectl: Kubectl) -> None:
    install(kubectl)


@pytest.fixture
def writes(cluster: KubernetesCluster) -> Mortal:
    return Mortal(cluster)


async def begin(episodes: Episodes, scalable: Scalable) -> Episodes:
    """Create a target of a kind, and an AutoResponse on it."""
    body = scalable.manifest(episodes.namespace)
    await episodes.create(scalable.kind, "api", metadata=body["metadata"], spec=body["spec"])
    await episodes.response(kind=scalable.kind)
    return episodes


@pytest_asyncio.fixture
async def episodes(cluster: KubernetesCluster, writes: Mortal, namespace: str) -> Episodes:
    found = Episodes(cluster, namespace, settings=SETTINGS)
    await found.stack()
    return replace(found, cluster=writes)


async def target(episodes: Episodes, scalable: Scalable) -> Object:
    return await episodes.cluster.get(scalable.kind, episodes.namespace, "api")


@BOTH
async def test_it_is_raised_and_put_back_and_nothing_else_of_it_changes(
    episodes: Episodes, writes: Mortal, scalable: Scalable
) -> None:
    await begin(episodes, scalable)
    before = (await target(episodes, scalable))["spec"]
    writes.writes.clear()
    episodes.alert(firing=True)
    await episodes.step()
    assert scalable.count(await target(episodes, scalable)) == 4
    await episodes.until_over()
    assert (await target(episodes, scalable))["spec"] == before
    kind = scalable.kind.kind
    assert writes.seen(scalable.kind) == [f"jsonPatch {kind} scale"] * 2
    assert await episodes.events() == ["ScaledUp", "Restored"]


@BOTH
async def test_killed_at_any_write_it_ends_as_it_began(
    cluster: KubernetesCluster, namespace: str, scalable: Scalable
) -> None:
    """One target after the other, as many as an episode has writes."""
    calm = Episodes(cluster, namespace, settings=SETTINGS)
    await calm.stack()
    number, reached = 0.0, True
    while reached:
        writes = Mortal(cluster)
        found = replace(calm, cluster=writes, responses=[], targets=set())
        found.restart()
        await begin(found, scalable)
        writes.writes.clear()
        writes.die_at = number
        await live(found, writes)
        # One that it has not lived to see is as good as none.
        reached = writes.die_at is None
        assert scalable.count(await target(found, scalable)) == 2, number
        history = await found.events()
        assert (history.count("ScaledUp"), history.count("Restored")) == (1, 1), number
        for kind, name in ((AUTO_RESPONSE, "scale"), (scalable.kind, "api")):
            await cluster.write(Write(Verb.DELETE, kind, namespace, name, None))
        number += 0.5
    assert number > 5, "it was killed before and after every write"


@BOTH
async def test_somebody_else_is_respected(episodes: Episodes, scalable: Scalable) -> None:
    await begin(episodes, scalable)
    episodes.alert(firing=True)
    await episodes.step()
    await episodes.patch(scalable.kind, {"spec": scalable.spec(7)})
    await episodes.step()
    assert (await episodes.status())["state"] == "Released"
    await episodes.until_over()
    assert scalable.count(await target(episodes, scalable)) == 7


async def test_an_escalation_waits_for_what_the_scale_says(episodes: Episodes) -> None:
    action = {"by": 1, "maxReplicas": 9, "escalation": {"every": "1s", "by": 1, "maxSteps": 3}}
    await episodes.create(FARM.kind, "api", **_parts(FARM.manifest(episodes.namespace)))
    await episodes.response(kind=FARM.kind, actions=[{"scaleUp": action}])
    for _ in range(3):
        episodes.alert(firing=True)
        await episodes.step()
        episodes.now += timedelta(seconds=5)
    assert FARM.count(await target(episodes, FARM)) == 3, "the new one does not run yet"
    running = {"status": {"workers": {"running": 3}}}
    where = (FARM.kind, episodes.namespace, "api", running, "status")
    await episodes.cluster.write(Write(Verb.MERGE, *where))
    episodes.alert(firing=True)
    await episodes.step()
    assert FARM.count(await target(episodes, FARM)) == 4


def _parts(manifest: Object) -> Object:
    return {key: manifest[key] for key in ("metadata", "spec")}


async def test_a_kind_that_is_not_granted_is_named_with_the_remedy(
    cluster: KubernetesCluster, namespace: str
) -> None:
    found = Episodes(cluster, namespace)
    await found.stack()
    await begin(found, FARM)
    found.alert(firing=True)
    await found.step()
    accepted = condition(await found.status(), "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "KindNotGranted")
    assert "targets.extraKinds" in accepted["message"]
    assert FARM.count(await target(found, FARM)) == 2


def condition(status: Object, kind: str) -> Object:
    (found,) = (each for each in status["conditions"] if each["type"] == kind)
    return dict(found)


async def test_a_kind_that_is_taken_off_in_an_episode_keeps_its_record(episodes: Episodes) -> None:
    await begin(episodes, FARM)
    episodes.alert(firing=True)
    await episodes.step()
    without = replace(episodes, settings={})
    without.restart()
    await without.step()
    status = await without.status()
    assert status["ledger"]["baseline"] == 2
    assert condition(status, "Accepted")["reason"] == "KindNotGranted"
    assert FARM.count(await target(episodes, FARM)) == 4
    episodes.restart()
    await episodes.until_over()
    assert FARM.count(await target(episodes, FARM)) == 2


async def test_what_has_no_scale_is_refused_by_name(episodes: Episodes) -> None:
    await begin(episodes, ROCK)
    episodes.alert(firing=True)
    await episodes.step()
    ready = condition(await episodes.status(), "TargetReady")
    assert (ready["status"], ready["reason"]) == ("False", "NotScalable")


# By the chart: the rights, and the tables of the admission policies.


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what the chart is rendered to, with these kinds."""
    folder: Path = tmp_path_factory.mktemp("helm")
    values = folder / "values.json"
    kinds = [FARM.entry, POOL.entry]
    values.write_text(json.dumps({"targets": {"namespaces": ["*"], "extraKinds": kinds}}))
    helm = Helm(program("helm", ConsoleProgress()), folder)
    return helm.template("--values", values, "--set", "crds.install=false")


@pytest.fixture
def granted(kubectl: Kubectl, chart: str) -> Iterator[None]:
    """Provide the operator's account with the rights that the chart gives it on targets."""
    roles = [each for each in parse(chart) if each["metadata"]["name"] == "firewatch-targets"]
    items = of_kind(roles, "ClusterRole", "ClusterRoleBinding")
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("apply", "-f", "-", text=text)
    yield
    kubectl("delete", "-f", "-", text=text)


@pytest_asyncio.fixture
async def operator(control_plane: ControlPlane, granted: None) -> AsyncIterator[KubernetesCluster]:
    """Return a client with the operator's rights on targets."""
    user = control_plane.user_kubeconfig(OPERATOR)
    async with connect(str(user), Metrics()) as connected:
        yield connected


@BOTH
async def test_the_charts_rights_are_enough_and_no_more(
    operator: KubernetesCluster, kubectl: Kubectl, namespace: str, scalable: Scalable
) -> None:
    kubectl("apply", "-f", "-", text=json.dumps(scalable.manifest(namespace)))
    found = await operator.get(scalable.kind, namespace, "api")
    scale = await operator.get(scalable.kind, namespace, "api/scale")
    assert scale["spec"]["replicas"] == scalable.count(found) == 2
    where = (scalable.kind, namespace, "api")
    patch = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
    await operator.write(Write(Verb.JSON_PATCH, *where, patch, "scale"))
    assert scalable.count(await operator.get(*where)) == 3
    with pytest.raises(ForbiddenError):
        await operator.write(Write(Verb.MERGE, *where, {"spec": {"crop": "rye"}}))
    with pytest.raises(ForbiddenError):
        await operator.list(scalable.kind, namespace)


@pytest.fixture
def authors(kubectl: Kubectl, chart: str) -> Iterator[None]:
    """Have the policy on who may write AutoResponses in force."""
    verbs = "--verb=get,list,create,update,patch,delete"
    kubectl("create", "clusterrole", "responses", verbs, "--resource=autoresponses")
    kubectl("create", "clusterrolebinding", "probe", "--clusterrole=responses", "--user=probe")

    def refused() -> str:
        text = response("default")
        return kubectl("create", "--dry-run=server", "--as=probe", "-f", "-", text=text)

    with installed(kubectl, policies(chart, "firewatch-response-authors"), refused):
        yield
    kubectl("delete", "clusterrole/responses", "clusterrolebinding/probe")


def apply(kubectl: Kubectl, namespace: str, kind: str, *rights: tuple[str, ...]) -> str:
    somebody = author(kubectl, namespace, *rights)
    return kubectl("apply", somebody, "-f", "-", text=response(namespace, kind=kind))


@pytest.mark.usefixtures("authors")
def test_who_may_scale_such_a_kind_may_have_it_done(kubectl: Kubectl, namespace: str) -> None:
    farms = ("--verb=patch", f"--resource=farms.{FARM.kind.group}/scale")
    apply(kubectl, namespace, "Farm", farms, SCALERS)


@pytest.mark.usefixtures("authors")
def test_who_may_scale_another_kind_may_not(kubectl: Kubectl, namespace: str) -> None:
    pools = ("--verb=patch", f"--resource=pools.{POOL.kind.group}/scale")
    with pytest.raises(KubectlError, match="may not patch farms/scale of api"):
        apply(kubectl, namespace, "Farm", pools, SCALERS)


@pytest.mark.usefixtures("authors")
def test_a_kind_that_may_be_granted_later_takes_the_right_to_scale_everything(
    kubectl: Kubectl, namespace: str
) -> None:
    deployments = ("--verb=patch", "--resource=deployments.apps/scale")
    with pytest.raises(KubectlError, match="Firewatch may not change a Rock"):
        apply(kubectl, namespace, "Rock", deployments, SCALERS)
    kubectl("apply", "-f", "-", text=response(namespace, kind="Rock"))

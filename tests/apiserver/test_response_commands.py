"""`firewatch response …`: what people do by hand, and what the operator then does, for real."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from e2e.cluster.controlplane import ControlPlane
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import DEPLOYMENT
from firewatch.runbook.cli import APP
from tests.apiserver.conftest import Kubectl
from tests.apiserver.episodes import Episodes

pytestmark = pytest.mark.usefixtures("crds")


class Hand:
    """Somebody who calls the program."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._kubeconfig, self._namespace = kubeconfig, namespace

    async def __call__(self, *arguments: str, status: int = 0) -> str:
        found = await asyncio.to_thread(self._invoke, *arguments)
        assert found.exit_code == status, found.output
        return found.output

    def _invoke(self, command: str, *arguments: str) -> Result:
        group = [] if command == "preflight" else ["response"]
        call = [*group, command, *arguments, "-n", self._namespace]
        return CliRunner().invoke(APP, call, env={"KUBECONFIG": str(self._kubeconfig)})


@pytest.fixture
def hand(control_plane: ControlPlane, namespace: str) -> Hand:
    return Hand(control_plane.kubeconfig, namespace)


async def begin(cluster: KubernetesCluster, namespace: str, mode: str) -> Episodes:
    episodes = Episodes(cluster, namespace)
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    await episodes.response(mode=mode)
    return episodes


async def test_what_is_asked_for_is_listed_and_done_once_it_is_approved(
    cluster: KubernetesCluster, namespace: str, hand: Hand
) -> None:
    episodes = await begin(cluster, namespace, "approve")
    assert "asks for nothing" in await hand("approve", "scale", status=2)
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2
    (line,) = json.loads(await hand("list", "-o", "json"))
    assert (line["state"], line["target"], line["replicas"]) == (
        "WaitingForApproval",
        "Deployment/api",
        "",
    )
    request = (await episodes.status())["request"]["id"]
    assert f"request {request}" in line["message"]
    assert f"{request} is" in await hand("approve", "scale", "--request", "old", status=2)
    assert "would scale api 2 → 4" in await hand("approve", "scale", "--request", request)
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    await episodes.until_over()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2
    steps = [each["event"] for each in json.loads(await hand("show", "scale", "-o", "json"))]
    assert steps == ["Requested", "ScaledUp", "Restored", "Idle"]


async def test_what_is_rejected_is_not_done(
    cluster: KubernetesCluster, namespace: str, hand: Hand
) -> None:
    episodes = await begin(cluster, namespace, "approve")
    episodes.alert(firing=True)
    await episodes.step()
    await hand("reject", "scale")
    episodes.now += timedelta(hours=2)
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.status())["state"] == "Rejected"
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2


async def test_keda_6062_a_pause_holds_and_ends(
    cluster: KubernetesCluster, namespace: str, hand: Hand
) -> None:
    episodes = await begin(cluster, namespace, "enforce")
    assert "is not paused" in await hand("resume", "scale", status=2)
    await hand("pause", "scale")
    episodes.alert(firing=True)
    await episodes.step()
    assert (await episodes.status())["state"] == "Paused"
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2
    await hand("resume", "scale")
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    assert "is not a duration" in await hand("pause", "scale", "--for", "soon", status=2)
    await hand("pause", "scale", "--for", "2h")
    episodes.alert(firing=False)
    episodes.now += timedelta(minutes=5)
    episodes.restart()
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 4
    episodes.now += timedelta(days=400)
    await episodes.until_over()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2


async def test_undo_puts_back_at_once(
    cluster: KubernetesCluster, namespace: str, hand: Hand
) -> None:
    episodes = await begin(cluster, namespace, "enforce")
    assert "has changed nothing" in await hand("undo", "scale", status=2)
    episodes.alert(firing=True)
    await episodes.step()
    assert "api goes back to 2" in await hand("undo", "scale")
    await episodes.step()
    assert (await episodes.spec(DEPLOYMENT))["replicas"] == 2
    assert (await episodes.status())["state"] == "Cooldown"


async def test_who_may_not_is_told_so(
    cluster: KubernetesCluster,
    control_plane: ControlPlane,
    kubectl: Kubectl,
    namespace: str,
) -> None:
    await begin(cluster, namespace, "enforce")
    stranger = Hand(control_plane.user_kubeconfig("stranger"), namespace)
    assert "forbidden" in await stranger("pause", "scale", status=4)
    assert "not found" in await Hand(control_plane.kubeconfig, namespace)("show", "x", status=2)
    nobody = Hand(Path("/nonexistent"), namespace)
    assert "no cluster is known" in await nobody("list", status=3)


async def test_preflight_says_what_it_would_meet(
    cluster: KubernetesCluster, namespace: str, hand: Hand
) -> None:
    episodes = await begin(cluster, namespace, "enforce")
    found = await hand("preflight", "scale", status=1)
    assert "has not looked at this AutoResponse yet" in found
    episodes.alert(firing=False)
    await episodes.step()
    rows = json.loads(await hand("preflight", "scale", "-o", "json"))
    said = {row["about"]: row["message"] for row in rows}
    assert said["replicas"].startswith("2 → 4, last written by")
    assert said["autoscaler"] == "none; its own replicas are changed"
    annotations = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x/api"}
    await episodes.patch(DEPLOYMENT, {"metadata": {"annotations": annotations}})
    assert "RespectIgnoreDifferences=true" in await hand("preflight", "scale")
    await episodes.patch(DEPLOYMENT, {"spec": {"replicas": 0}})
    assert "somebody parked it" in await hand("preflight", "scale", status=1)

"""Nudging pods: at once, a few times more if kubelet lags behind, and then no more."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firewatch.api.resource import Object
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.objects import Stack
from firewatch.cluster.client import Write
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import Kind
from firewatch.cluster.prometheus import Prometheus
from firewatch.reconcile.servers import Nudges, Server, gather_servers

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SESSION: Any = None
STACK = Stack("shop", "main", "u", MonitoringStackSpec.model_validate({"metrics": {}}))
TLS = {
    "cert": {"secret": {"name": "web", "key": "tls.crt"}},
    "keySecret": {"name": "web", "key": "tls.key"},
}
Objects = list[Object]


@dataclass
class Pods:
    """A cluster of pods, kept in memory."""

    pods: Objects = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    gone: bool = False

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        raise NotFoundError(name)

    async def list(self, *arguments: Any, **options: Any) -> Objects:
        return self.pods

    async def write(self, write: Write) -> Object:
        self.writes.append(write)
        if self.gone:
            raise NotFoundError(write.name)
        return {}


def pod(name: str = "p", *, ready: bool = True, ip: str = "10.0.0.1", **metadata: Any) -> Object:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", **metadata},
        "status": {"podIP": ip, "conditions": conditions, "containerStatuses": [{"ready": ready}]},
    }


def server(**metadata: Any) -> Server:
    return Server(pod(**metadata), Prometheus(SESSION, "http://10.0.0.1:9090"))


async def nudge(nudges: Nudges, cluster: Pods, after: float, revision: str = "r") -> list[str]:
    """Nudge once and return the values that were written."""
    cluster.writes.clear()
    moment = NOW + timedelta(seconds=after)
    await nudges.nudge(cluster, [server()], annotation="a", revision=revision, now=moment)
    return [write.body["metadata"]["annotations"]["a"] for write in cluster.writes]


async def test_a_pod_is_nudged_at_once_and_again_after_1_2_and_4_seconds() -> None:
    nudges, cluster = Nudges(), Pods()
    sent = {at / 10: await nudge(nudges, cluster, at / 10) for at in range(0, 100, 5)}
    assert {at: values for at, values in sent.items() if values} == {
        0.0: ["r"],
        1.0: ["r.1"],
        2.0: ["r.2"],
        4.0: ["r.3"],
    }


async def test_a_new_revision_begins_anew() -> None:
    nudges, cluster = Nudges(), Pods()
    assert await nudge(nudges, cluster, 0) == ["r"]
    assert await nudge(nudges, cluster, 0.3, "s") == ["s"]
    nudges.settle([server()], "a")
    assert await nudge(nudges, cluster, 0.5, "s") == ["s"]


async def test_a_pod_that_carries_the_value_already_is_not_written() -> None:
    nudges, cluster = Nudges(), Pods()
    carries = [server(annotations={"a": "r"})]
    await nudges.nudge(cluster, carries, annotation="a", revision="r", now=NOW)
    assert cluster.writes == []


async def test_a_pod_that_is_gone_is_no_error() -> None:
    assert await nudge(Nudges(), Pods(gone=True), 0) == ["r"]


async def test_patience_ends() -> None:
    nudges, cluster = Nudges(), Pods()
    await nudge(nudges, cluster, 0)
    assert not nudges.patience_over(server(), "a", NOW + timedelta(seconds=7))
    assert nudges.patience_over(server(), "a", NOW + timedelta(seconds=8))
    assert not nudges.patience_over(server(), "other", NOW + timedelta(seconds=8))


async def test_only_ready_pods_are_servers() -> None:
    pods = [
        pod("ready"),
        pod("starting", ready=False),
        pod("unplaced", ip=""),
        pod("ending", deletionTimestamp="2026-01-01T00:00:00Z"),
        pod("six", ip="fd00::1"),
    ]
    found = await gather_servers(Pods(pods), SESSION, STACK)
    assert [each.api.url for each in found.ready] == [
        "http://10.0.0.1:9090",
        "http://[fd00::1]:9090",
    ]
    assert len(found.pods) == 4


@pytest.mark.parametrize(
    ("ready", "restarts", "crashing"), [(False, 1, True), (False, 0, False), (True, 1, False)]
)
async def test_a_pod_that_died_and_is_not_ready_is_crashing(
    ready: bool, restarts: int, crashing: bool
) -> None:
    found = pod(ready=ready)
    found["status"]["containerStatuses"][0]["restartCount"] = restarts
    servers = await gather_servers(Pods([found]), SESSION, STACK)
    assert servers.crashing is crashing


async def test_while_pods_are_renewed_each_is_asked_in_the_way_in_which_it_serves() -> None:
    old, new = pod("old"), pod("new")
    argument = "--web.config.file=/etc/prometheus/config/web.yml"
    new["spec"] = {"containers": [{"name": "prometheus", "args": [argument]}]}
    spec = MonitoringStackSpec.model_validate({"metrics": {"web": {"tlsConfig": TLS}}})
    found = await gather_servers(Pods([old, new]), SESSION, Stack("shop", "main", "u", spec))
    first, second = found.ready
    assert (first.api.url, first.api.trust) == ("http://10.0.0.1:9090", None)
    assert second.api.url == "https://10.0.0.1:9090"
    assert second.api.trust is not None
    assert second.api.trust.problem == "key tls.crt of Secret web is missing; create it"

"""Exporters, with a real API server: what is made, what is left out, and what may be read."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
import yaml

from firewatch.api.exporters import Collector
from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import (
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    MONITORING_STACK,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
)
from tests.apiserver.conftest import Kubectl
from tests.apiserver.world import Recorder, World, make_world
from tests.golden.building import STACK_CASES

pytestmark = pytest.mark.usefixtures("crds", "role")

CLUSTER: Object = {
    "metrics": {},
    "exporters": {"blackbox": {}, "kubelet": {}, "kubeStateMetrics": {}},
}


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


@pytest.fixture
def fenced(
    cluster: KubernetesCluster, session: aiohttp.ClientSession, namespace: str, kubectl: Kubectl
) -> World:
    """Return a namespace whose stacks may not read the cluster."""
    return make_world(Recorder(cluster), session, namespace=namespace, kubectl=kubectl)


@pytest.fixture
def reading(
    cluster: KubernetesCluster, session: aiohttp.ClientSession, namespace: str, kubectl: Kubectl
) -> World:
    """Return a namespace whose stacks may read the cluster."""
    return make_world(
        Recorder(cluster),
        session,
        namespace=namespace,
        kubectl=kubectl,
        reading_cluster=f"other,{namespace}",
    )


async def jobs(world: World) -> list[str]:
    config = await world.get(CONFIG_MAP, "main-prometheus-config")
    found = yaml.safe_load(config["data"]["prometheus.yml"])
    return [job["job_name"] for job in found["scrape_configs"]]


async def test_every_exporter_is_admitted_and_a_second_pass_writes_nothing(
    reading: World,
) -> None:
    reading.apply(yaml.safe_load(STACK_CASES["exporters"].read_text())["spec"])
    await reading.go()
    assert (await reading.conditions())["Applied"] == ("True", "Applied")
    live = await reading.get(MONITORING_STACK, "main")
    assert [row["name"] for row in live["status"]["components"]] == [
        *("prometheus", "node-exporter", "blackbox-exporter", "kube-state-metrics"),
        *("pushgateway", "postgres-exporter-shop", "postgres-exporter-far"),
        *("exporter-redis", "exporter-tls"),
    ]
    reading.recorder.written()
    for _ in range(2):
        await reading.go()
        assert reading.recorder.written() == []


async def test_what_cannot_be_probed_is_named_and_the_rest_runs(reading: World) -> None:
    probes = [
        {"name": "web", "targets": ["https://example.org"]},
        {"name": "odd", "module": "nosuch", "targets": ["a"]},
    ]
    reading.apply({**CLUSTER, "synthetic": {"probes": probes}})
    await reading.go()
    assert (await reading.conditions())["Accepted"] == ("False", "ProbeLeftOut")
    assert "has no module nosuch; its modules are http_2xx" in await reading.message()
    found = await jobs(reading)
    assert "blackbox/web" in found
    assert "blackbox/odd" not in found


async def test_where_the_cluster_may_not_be_read_the_rest_of_the_stack_runs(fenced: World) -> None:
    fenced.apply(CLUSTER)
    await fenced.go()
    conditions = await fenced.conditions()
    assert conditions["Accepted"] == ("False", "ClusterScopeNotGranted")
    assert conditions["Ready"] == ("False", "ClusterScopeNotGranted")
    assert conditions["Applied"] == ("True", "Applied")
    assert f"add {fenced.namespace} to clusterStacks.namespaces" in await fenced.message()
    assert await jobs(fenced) == ["prometheus"]
    assert not await fenced.is_there(DEPLOYMENT, "main-kube-state-metrics")
    assert await fenced.is_there(DEPLOYMENT, "main-blackbox-exporter")
    assert await fenced.is_there(STATEFUL_SET, "main-prometheus")


async def test_a_namespace_that_loses_the_right_loses_what_needs_it(
    reading: World, fenced: World
) -> None:
    """An upgrade of the chart takes the namespace off the list and starts the operator anew."""
    assert reading.namespace == fenced.namespace
    reading.apply(CLUSTER)
    await reading.go()
    assert await jobs(reading) == ["prometheus", "kube-state-metrics", "kubelet", "cadvisor"]
    assert await reading.is_there(DEPLOYMENT, "main-kube-state-metrics")
    await fenced.go()
    assert await jobs(fenced) == ["prometheus"]
    assert not await fenced.is_there(DEPLOYMENT, "main-kube-state-metrics")


async def test_an_exporter_that_is_not_wanted_any_more_goes(reading: World) -> None:
    custom = {"name": "redis", "image": "redis-exporter:v1", "port": 9121}
    reading.apply({"metrics": {}, "exporters": {"custom": [custom], "pushgateway": {}}})
    await reading.go()
    (made,) = await reading.recorder.list(DEPLOYMENT, reading.namespace)
    assert made["metadata"]["name"].startswith("main-redis-")
    reading.apply({"metrics": {}})
    await reading.go()
    assert await reading.recorder.list(DEPLOYMENT, reading.namespace) == []
    assert not await reading.is_there(STATEFUL_SET, "main-pushgateway")


async def test_packs_run_where_there_is_what_they_speak_of(reading: World) -> None:
    reading.apply({**CLUSTER, "packs": {"watchdog": {"enabled": False}}})
    await reading.go()
    live = await reading.get(MONITORING_STACK, "main")
    rows = {row["name"]: row for row in live["status"]["packs"]}
    assert {name for name, row in rows.items() if row["running"]} == {"kubernetes", "prometheus"}
    assert rows["kubernetes"]["message"] == ""
    assert rows["watchdog"]["message"] == "it is turned off"
    assert rows["node"]["message"] == "it needs exporters.node"
    assert "freeagentics_requests_total has not been seen yet" in rows["api"]["message"]
    config = await reading.get(CONFIG_MAP, "main-prometheus-config")
    groups = yaml.safe_load(config["data"]["packs.rules.yml"])["groups"]
    assert [group["name"] for group in groups] == [
        "firewatch:pack:kubernetes",
        "firewatch:pack:prometheus",
    ]
    reading.recorder.written()
    await reading.go()
    assert reading.recorder.written() == []


async def test_an_exporter_starts_anew_when_its_password_changes(reading: World) -> None:
    login = {"name": "login", "key": "password"}
    database = {"name": "shop", "host": "db", "username": login, "password": login}
    reading.apply({"metrics": {}, "exporters": {"postgres": [database]}})
    await reading.go()
    assert (await reading.conditions())["SecretsPresent"] == ("False", "SecretMissing")

    async def revision() -> str:
        (made,) = await reading.recorder.list(DEPLOYMENT, reading.namespace)
        assert "hunter" not in json.dumps(made)
        annotations = made["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["monitoring.freeagentics.io/config-revision"])

    seen = [await revision()]
    for password in ("hunter2", "hunter3"):
        metadata = {"name": "login", "namespace": reading.namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        text = json.dumps({**secret, "stringData": {"password": password}})
        reading.kubectl("apply", "-f", "-", text=text)
        await reading.go()
        seen.append(await revision())
        await reading.go()
        assert await revision() == seen[-1]
    assert len({*seen}) == 3
    assert (await reading.conditions())["SecretsPresent"] == ("True", "SecretsPresent")


async def test_a_database_is_left_out_while_its_exporter_would_log_the_password(
    reading: World,
) -> None:
    login = {"name": "spaced", "key": "password"}
    shop, far = (
        {"name": name, "host": name, "username": {"name": "role", "key": "name"}, "password": key}
        for name, key in (("shop", login), ("far", {"name": "role", "key": "password"}))
    )
    create = ("-n", reading.namespace, "create", "secret", "generic")
    reading.kubectl(*create, "role", "--from-literal=name=r\n", "--from-literal=password=p-w\n")
    reading.kubectl(*create, "spaced", "--from-literal=password=three hidden words")
    reading.apply({"metrics": {}, "exporters": {"postgres": [shop, far]}})
    await reading.go()
    assert (await reading.conditions())["Accepted"] == ("False", "CredentialsRefused")
    said = "exporters.postgres: shop is left out: key password of Secret spaced: with blanks"
    assert (await reading.message()).startswith(said)
    (made,) = await reading.recorder.list(DEPLOYMENT, reading.namespace)
    assert made["metadata"]["labels"]["app.kubernetes.io/name"] == "postgres-exporter-far"
    assert "shop:5432" not in json.dumps(await jobs(reading))

    reading.kubectl("-n", reading.namespace, "delete", "secret", "spaced")
    reading.kubectl(*create, "spaced", "--from-literal=password=one-word")
    await reading.go()
    assert (await reading.conditions())["Accepted"] == ("True", "Accepted")
    assert len(await reading.recorder.list(DEPLOYMENT, reading.namespace)) == 2
    stack = await reading.get(MONITORING_STACK, "main")
    assert "hidden" not in json.dumps(stack)


async def test_stacks_share_the_account_of_kube_state_metrics(reading: World) -> None:
    for name in ("one", "two"):
        reading.apply(CLUSTER, name)
    for name in ("one", "two", "one", "two"):
        await reading.go(name)
    reading.recorder.written()
    for name in ("one", "two"):
        await reading.go(name)
    assert reading.recorder.written() == []
    account = await reading.get(SERVICE_ACCOUNT, "firewatch-kube-state-metrics")
    owners = account["metadata"]["ownerReferences"]
    assert {owner["name"] for owner in owners} == {"one", "two"}


async def test_all_pods_but_the_node_exporters_meet_the_strictest_pod_security(
    reading: World,
) -> None:
    reading.apply(yaml.safe_load(STACK_CASES["exporters"].read_text())["spec"])
    await reading.go()
    # The account that every pod has which names none; a controller makes it elsewhere.
    reading.kubectl("-n", reading.namespace, "create", "serviceaccount", "default")
    label = "pod-security.kubernetes.io/enforce=restricted"
    reading.kubectl("label", "namespace", reading.namespace, label)
    workloads = [
        *await reading.recorder.list(DEPLOYMENT, reading.namespace),
        *await reading.recorder.list(STATEFUL_SET, reading.namespace),
    ]
    assert len(workloads) == 8
    for workload in workloads:
        template = workload["spec"]["template"]
        # A claim's volume is added by the controller; the level says nothing about claims.
        mounts = template["spec"]["containers"][0].get("volumeMounts", [])
        volumes = {volume["name"] for volume in template["spec"].get("volumes", ())}
        mounts[:] = [mount for mount in mounts if mount["name"] in volumes]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "trial", "labels": template["metadata"]["labels"]},
            "spec": template["spec"],
        }
        arguments = ("-n", reading.namespace, "create", "--dry-run=server", "-f", "-")
        reading.kubectl(*arguments, text=json.dumps(pod))


def test_every_collector_is_a_kind_that_the_api_server_lists(kubectl: Kubectl) -> None:
    listed = kubectl("api-resources", "--verbs=list", "-o", "name").split()
    assert {collector.value for collector in Collector} <= {
        name.partition(".")[0] for name in listed
    }


def node_exporter_policy(live: Object) -> str:
    return str(live["spec"]["template"]["spec"]["containers"][0]["terminationMessagePolicy"])


async def test_a_node_exporter_from_before_is_not_restarted_unless_it_fails(
    reading: World,
) -> None:
    """It was made without being asked for its last words, and asking restarts it."""
    reading.apply({"metrics": {}, "exporters": {"node": {}}})
    await reading.go()
    name = "main-node-exporter"
    assert node_exporter_policy(await reading.get(DAEMON_SET, name)) == "FallbackToLogsOnError"
    old = [{"op": "remove", "path": POLICY_PATH}]
    reading.kubectl(
        *("-n", reading.namespace, "patch", f"daemonset/{name}", "--type=json"),
        *("-p", json.dumps(old), "--field-manager=firewatch"),
    )
    live = await reading.get(DAEMON_SET, name)
    assert node_exporter_policy(live) == "File"
    set_status(reading, live, ready=1)
    await reading.go()
    live = await reading.get(DAEMON_SET, name)
    assert node_exporter_policy(live) == "File"
    set_status(reading, live, ready=0)
    await reading.go()
    assert node_exporter_policy(await reading.get(DAEMON_SET, name)) == "FallbackToLogsOnError"


POLICY_PATH = "/spec/template/spec/containers/0/terminationMessagePolicy"


def set_status(world: World, live: Object, *, ready: int) -> None:
    """Say what the DaemonSet controller would."""
    status = {
        "observedGeneration": live["metadata"]["generation"],
        "desiredNumberScheduled": 1,
        "currentNumberScheduled": 1,
        "updatedNumberScheduled": 1,
        "numberMisscheduled": 0,
        "numberReady": ready,
    }
    world.kubectl(
        *("-n", world.namespace, "patch", f"daemonset/{live['metadata']['name']}"),
        *("--subresource=status", "--type=merge", "-p", json.dumps({"status": status})),
    )

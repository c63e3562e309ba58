"""Passes over stacks, with a real API server and no controllers."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.certificates import self_signed
from firewatch.api.resource import Key, Object
from firewatch.cluster.kinds import (
    CONFIG_MAP,
    DAEMON_SET,
    MONITORING_STACK,
    POD_DISRUPTION_BUDGET,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
)
from tests.apiserver.conftest import ROOT
from tests.apiserver.world import World, make_world

pytestmark = pytest.mark.usefixtures("crds", "role")


WHOLE: Object = {"metrics": {}, "exporters": {"node": {}}}


async def test_a_stack_is_made_and_a_second_pass_writes_nothing(world: World) -> None:
    world.apply(WHOLE)
    await world.go()
    assert world.recorder.written() == [
        "apply ServiceAccount/firewatch-prometheus",
        "apply RoleBinding/firewatch-prometheus",
        "apply ConfigMap/main-prometheus-config",
        "apply Service/main-prometheus-pods",
        "apply Service/main-prometheus",
        "apply StatefulSet/main-prometheus",
        "apply DaemonSet/main-node-exporter",
        "jsonPatch MonitoringStack/main/status",
    ]
    assert await world.conditions() == {
        "Ready": ("False", "PodsNotReady"),
        "Accepted": ("True", "Accepted"),
        "Applied": ("True", "Applied"),
        "Available": ("False", "PodsNotReady"),
        "Loaded": ("Unknown", "NoServer"),
    }
    live = await world.get(MONITORING_STACK, "main")
    assert live["status"]["prometheusUrl"] == (f"http://main-prometheus.{world.namespace}.svc:9090")
    assert [c["name"] for c in live["status"]["components"]] == ["prometheus", "node-exporter"]
    assert Key("Rules", world.namespace, "") in world.woken
    for _ in range(2):
        await world.go()
        assert world.recorder.written() == []


async def test_drift_is_corrected(world: World) -> None:
    world.apply(WHOLE)
    await world.go()
    world.kubectl("-n", world.namespace, "scale", "statefulset/main-prometheus", "--replicas=3")
    patch = json.dumps({"data": {"prometheus.yml": "global: {}"}})
    world.kubectl(
        "-n",
        world.namespace,
        "patch",
        "configmap/main-prometheus-config",
        "--type=merge",
        "-p",
        patch,
    )
    world.kubectl("-n", world.namespace, "delete", "service/main-prometheus")
    world.recorder.written()
    await world.go()
    written = world.recorder.written()
    assert "apply StatefulSet/main-prometheus" in written
    assert "apply ConfigMap/main-prometheus-config" in written
    assert "apply Service/main-prometheus" in written
    live = await world.get(STATEFUL_SET, "main-prometheus")
    assert live["spec"]["replicas"] == 1
    config = await world.get(CONFIG_MAP, "main-prometheus-config")
    assert "scrape_configs" in config["data"]["prometheus.yml"]


async def test_what_is_not_wanted_any_more_goes(world: World) -> None:
    world.apply(WHOLE)
    await world.go()
    world.apply({"metrics": {}})
    await world.go()
    assert not await world.is_there(DAEMON_SET, "main-node-exporter")
    assert await world.is_there(STATEFUL_SET, "main-prometheus")
    world.apply({})
    await world.go()
    for kind, name in (
        (STATEFUL_SET, "main-prometheus"),
        (SERVICE, "main-prometheus"),
        (CONFIG_MAP, "main-prometheus-config"),
    ):
        assert not await world.is_there(kind, name)
    assert (await world.conditions())["Ready"] == ("True", "Ready")


async def test_somebody_elses_object_is_reported_and_left_alone(world: World) -> None:
    world.kubectl(
        *("-n", world.namespace, "create", "configmap", "main-prometheus-config"),
        "--from-literal=prometheus.yml=mine",
    )
    world.apply({"metrics": {}})
    await world.go()
    assert (await world.conditions())["Applied"] == ("False", "Conflict")
    assert "ConfigMap main-prometheus-config is there and somebody else's" in await world.message()
    config = await world.get(CONFIG_MAP, "main-prometheus-config")
    assert config["data"] == {"prometheus.yml": "mine"}
    assert await world.is_there(STATEFUL_SET, "main-prometheus"), "the others are made all the same"


async def test_two_stacks_share_one_account_without_a_quarrel(world: World) -> None:
    for name in ("one", "two"):
        world.apply({"metrics": {}}, name)
    for name in ("one", "two", "one", "two"):
        await world.go(name)
    world.recorder.written()
    for name in ("one", "two"):
        await world.go(name)
    assert world.recorder.written() == []
    for kind in (SERVICE_ACCOUNT, ROLE_BINDING):
        owners = (await world.get(kind, "firewatch-prometheus"))["metadata"]["ownerReferences"]
        assert {owner["name"] for owner in owners} == {"one", "two"}
        assert not any(owner.get("controller") for owner in owners)


async def test_a_value_that_the_api_server_refuses_is_passed_on(world: World) -> None:
    world.apply({"metrics": {"tolerations": [{"key": "a", "operator": "Nonsense"}]}})
    await world.go()
    assert (await world.conditions())["Applied"] == ("False", "Invalid")
    assert "Nonsense" in await world.message()


async def test_a_spec_that_cannot_be_understood_changes_nothing(world: World) -> None:
    world.apply(WHOLE)
    await world.go()
    world.recorder.written()
    job = {"name": "a", "targets": ["b:1"], "interval": "5s", "timeout": "10s"}
    world.apply({**WHOLE, "metrics": {"scrapeJobs": [job]}})
    await world.go()
    assert world.recorder.written() == ["jsonPatch MonitoringStack/main/status"]
    assert (await world.conditions())["Accepted"] == ("False", "InvalidSpec")
    assert "timeout 10s is longer than the interval 5s" in await world.message()


async def test_a_namespace_that_is_not_granted_is_left_alone(world: World) -> None:
    world.apply(WHOLE)
    other = make_world(
        world.recorder,
        world.context.session,
        namespace=world.namespace,
        kubectl=world.kubectl,
        granted="elsewhere",
    )
    await other.go()
    assert world.recorder.written() == ["jsonPatch MonitoringStack/main/status"]
    assert (await world.conditions())["Accepted"] == ("False", "NamespaceNotGranted")
    assert "stacks.namespaces" in await world.message()


async def test_pods_that_pod_security_refuses_are_explained(world: World) -> None:
    """The DaemonSet controller says it in an Event; here the test says it in its place."""
    world.apply(WHOLE)
    await world.go()
    live = await world.get(DAEMON_SET, "main-node-exporter")
    status = {
        "observedGeneration": live["metadata"]["generation"],
        "desiredNumberScheduled": 1,
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    }
    world.kubectl(
        *("-n", world.namespace, "patch", "daemonset/main-node-exporter", "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": status})),
    )
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "refused", "namespace": world.namespace},
        "involvedObject": {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "name": "main-node-exporter",
            "namespace": world.namespace,
            "uid": live["metadata"]["uid"],
        },
        "reason": "FailedCreate",
        "type": "Warning",
        "message": 'Error creating: pods "main-node-exporter-" is forbidden: violates PodSecurity'
        ' "restricted:latest": host namespaces (hostNetwork=true, hostPID=true)',
    }
    world.kubectl("create", "-f", "-", text=json.dumps(event))
    await world.go()
    found = await world.get(MONITORING_STACK, "main")
    rows = {row["name"]: row for row in found["status"]["components"]}
    assert rows["node-exporter"]["pods"] == "0/1"
    assert "violates PodSecurity" in rows["node-exporter"]["message"]
    assert "pod-security.kubernetes.io/enforce=privileged" in rows["node-exporter"]["message"]


async def test_a_stack_that_is_gone_or_going_is_left_alone(world: World) -> None:
    assert await world.go("nosuch") == float("inf")
    world.apply(WHOLE)
    body = json.dumps({"metadata": {"finalizers": ["example.org/wait"]}})
    names = ("-n", world.namespace, "mstack/main")
    world.kubectl("patch", *names, "--type=merge", "-p", body)
    world.kubectl("delete", *names, "--wait=false")
    assert await world.go() is None
    assert world.recorder.written() == []
    world.kubectl("patch", *names, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


async def test_a_namespace_that_ends_is_no_error(world: World) -> None:
    """Nothing can be made there any more, and nothing needs to be said."""
    world.apply(WHOLE)
    world.kubectl("delete", "namespace", world.namespace, "--wait=false")
    assert await world.go() is None


CASES = {
    path.stem: yaml.safe_load(path.read_text())["spec"]
    for path in sorted((ROOT / "tests/golden/stack").glob("*.yaml"))
}


@pytest.mark.parametrize("case", CASES)
async def test_every_golden_stack_is_admitted_and_then_quiet(world: World, case: str) -> None:
    """Builders write what the API server stores, so that a second pass finds nothing to do."""
    world.apply(CASES[case])
    await world.go()
    assert (await world.conditions())["Applied"] == ("True", "Applied")
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == []


async def test_a_second_server_brings_a_budget_and_takes_it_along(world: World) -> None:
    world.apply({"metrics": {"replicas": 2}})
    await world.go()
    budget = await world.get(POD_DISRUPTION_BUDGET, "main-prometheus")
    live = await world.get(STATEFUL_SET, "main-prometheus")
    assert live["spec"]["replicas"] == 2
    assert budget["spec"]["selector"] == live["spec"]["selector"]
    world.apply({"metrics": {}})
    await world.go()
    assert not await world.is_there(POD_DISRUPTION_BUDGET, "main-prometheus")


def guarded_by(secret: str, **more: Any) -> Object:
    credentials = {"name": secret, "key": "token"}
    return {"authorization": {"credentials": credentials}, "targets": ["a:1"], **more}


async def test_a_missing_secret_is_named_and_holds_up_only_what_cannot_do_without(
    world: World,
) -> None:
    ca = {"ca": {"secret": {"name": "login", "key": "ca.crt"}}}
    jobs = [
        guarded_by("login", name="token"),
        guarded_by("login", name="tls", tlsConfig=ca),
        {"name": "plain", "targets": ["b:1"]},
    ]
    world.apply({"metrics": {"scrapeJobs": jobs}})
    assert await world.go() == 10.0
    found = await world.conditions()
    assert found["SecretsPresent"] == ("False", "SecretMissing")
    assert found["Accepted"] == ("False", "SecretMissing")
    assert "job tls is left out: key ca.crt of Secret login is missing" in await world.message()
    config = await world.get(CONFIG_MAP, "main-prometheus-config")
    text = config["data"]["prometheus.yml"]
    assert "job_name: token" in text
    assert "job_name: plain" in text
    assert "job_name: tls" not in text
    world.kubectl(
        *("-n", world.namespace, "create", "secret", "generic", "login"),
        *("--from-literal=token=hidden-value", "--from-literal=ca.crt=hidden-value"),
    )
    await world.go()
    found = await world.conditions()
    assert found["SecretsPresent"] == ("True", "SecretsPresent")
    assert found["Accepted"] == ("True", "Accepted")
    config = await world.get(CONFIG_MAP, "main-prometheus-config")
    assert "job_name: tls" in config["data"]["prometheus.yml"]
    stack = await world.get(MONITORING_STACK, "main")
    assert "hidden-value" not in json.dumps([config, stack])


async def test_a_server_without_its_certificate_says_so_and_never_falls_back_to_http(
    world: World, tmp_path: Path
) -> None:
    cert = {"secret": {"name": "web", "key": "tls.crt"}}
    key = {"name": "web", "key": "tls.key"}
    world.apply({"metrics": {"web": {"tlsConfig": {"cert": cert, "keySecret": key}}}})
    await world.go()
    found = await world.conditions()
    assert found["Accepted"] == ("False", "SecretMissing")
    assert "metrics.web.tlsConfig.cert: key tls.crt of Secret web is missing" in (
        await world.message()
    )
    config = (await world.get(CONFIG_MAP, "main-prometheus-config"))["data"]
    assert "ca_file" not in config["prometheus.yml"]
    assert "tls_server_config" in config["web.yml"]
    live = await world.get(STATEFUL_SET, "main-prometheus")
    (container,) = live["spec"]["template"]["spec"]["containers"]
    assert "--web.config.file=/etc/prometheus/config/web.yml" in container["args"]
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    stack = await world.get(MONITORING_STACK, "main")
    host = f"main-prometheus.{world.namespace}.svc"
    assert stack["status"]["prometheusUrl"] == f"https://{host}:9090"

    create = ("-n", world.namespace, "create", "secret", "generic", "web")
    world.kubectl(*create, "--from-literal=tls.crt=hidden-value", "--from-literal=tls.key=x")
    await world.go()
    assert (await world.conditions())["Accepted"] == ("False", "InvalidCertificate")
    assert "key tls.crt of Secret web holds no certificate" in await world.message()

    pair = self_signed(tmp_path, "web", names=[host])
    world.kubectl("-n", world.namespace, "delete", "secret", "web")
    world.kubectl(*create, f"--from-file=tls.crt={pair.certificate}", "--from-literal=tls.key=x")
    await world.go()
    assert (await world.conditions())["Accepted"] == ("True", "Accepted")
    config = (await world.get(CONFIG_MAP, "main-prometheus-config"))["data"]
    assert "ca_file: /etc/prometheus/files/secret/web/tls.crt" in config["prometheus.yml"]
    stack = await world.get(MONITORING_STACK, "main")
    assert "hidden-value" not in json.dumps([config, stack])

    world.apply({"metrics": {}})
    await world.go()
    live = await world.get(STATEFUL_SET, "main-prometheus")
    (container,) = live["spec"]["template"]["spec"]["containers"]
    assert [port["name"] for port in container["ports"]] == ["http"]
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTP"
    service = await world.get(SERVICE, "main-prometheus")
    assert [port["name"] for port in service["spec"]["ports"]] == ["http"]


async def test_a_job_in_other_namespaces_waits_for_the_grant(world: World) -> None:
    job = {"name": "all", "podSelector": {}, "port": "http", "namespaces": ["*"]}
    world.apply({"metrics": {"scrapeJobs": [job, {"name": "plain", "targets": ["b:1"]}]}})
    await world.go()
    assert (await world.conditions())["Accepted"] == ("False", "ClusterScopeNotGranted")
    assert "clusterStacks.namespaces" in await world.message()
    config = await world.get(CONFIG_MAP, "main-prometheus-config")
    assert "job_name: all" not in config["data"]["prometheus.yml"]
    assert "job_name: plain" in config["data"]["prometheus.yml"]


async def test_a_paused_stack_is_observed_and_nothing_is_written(world: World) -> None:
    world.apply(WHOLE)
    await world.go()
    world.recorder.written()
    world.apply({"paused": True, "metrics": {"replicas": 2, "scrapeInterval": "7s"}})
    await world.go()
    assert world.recorder.written() == ["jsonPatch MonitoringStack/main/status"]
    found = await world.conditions()
    assert found["Ready"] == ("False", "Paused")
    assert found["Applied"] == ("False", "Paused")
    assert await world.is_there(DAEMON_SET, "main-node-exporter"), "nothing is deleted either"
    status = (await world.get(MONITORING_STACK, "main"))["status"]
    assert [row["name"] for row in status["components"]] == ["prometheus"]
    await world.go()
    assert world.recorder.written() == []
    world.apply({"metrics": {"replicas": 2, "scrapeInterval": "7s"}})
    await world.go()
    assert (await world.get(STATEFUL_SET, "main-prometheus"))["spec"]["replicas"] == 2
    assert not await world.is_there(DAEMON_SET, "main-node-exporter")


async def test_overrides_are_admitted_and_then_quiet(world: World) -> None:
    container = {
        "name": "prometheus",
        "resources": {"limits": {"memory": "2048Mi"}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    }
    pod = {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}, "containers": [container]}
    overrides = {"prometheus": {"spec": {"template": {"spec": pod}}}}
    world.apply({"metrics": {}, "overrides": overrides})
    await world.go()
    live = await world.get(STATEFUL_SET, "main-prometheus")
    (main,) = live["spec"]["template"]["spec"]["containers"]
    assert main["resources"]["limits"] == {"memory": "2Gi"}
    assert main["args"]
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == []


async def test_an_override_that_the_api_server_refuses_is_left_out_and_named(world: World) -> None:
    bad = {"spec": {"template": {"spec": {"restartPolicy": "Never"}}}}
    world.apply({**WHOLE, "overrides": {"prometheus": bad}})
    await world.go()
    assert await world.is_there(STATEFUL_SET, "main-prometheus")
    assert await world.is_there(DAEMON_SET, "main-node-exporter")
    assert (await world.conditions())["Accepted"] == ("False", "OverrideRefused")
    assert "overrides: prometheus is left out" in await world.message()
    assert "restartPolicy" in await world.message()
    assert (await world.conditions())["Applied"] == ("True", "Applied")

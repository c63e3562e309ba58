"""Exporters with real pods: what they see arrives as series, and what hinders them is said."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Testbed
from e2e.kubectl import Object, condition, wait_for
from e2e.station import STACK, Station

NAMESPACE = "e2e-exporters"
RUNBOOK = Path(__file__).parents[1] / "docs" / "reference" / "runbook.md"
LOGIN = "exporter-login"
PORT = 19110
"""A port of the node that two programs want."""


def container_families() -> list[str]:
    """Return the families of the runbook's section on container metrics."""
    text = RUNBOOK.read_text(encoding="utf-8")
    section = text[text.index("#### Container Metrics") : text.index("### 2. Application Metrics")]
    return sorted(set(re.findall(r"^(container_\w+)", section, re.MULTILINE)))


def secret(namespace: str) -> Object:
    metadata = {"name": LOGIN, "namespace": namespace}
    data = {"password": "opensesame"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def stack(station: Station) -> Object:
    """Return a stack with every exporter but the node's, and probes of what runs here."""
    progress = ConsoleProgress()
    images = {
        name: station.testbed.image(name, progress)
        for name in ("blackbox-exporter", "kube-state-metrics", "pushgateway")
    }
    wanted = station.stack()
    wanted["spec"]["metrics"]["scrapeJobs"] = []
    reference = {"name": LOGIN, "key": "password"}
    wanted["spec"]["exporters"] = {
        "blackbox": {
            "image": images["blackbox-exporter"],
            "modules": {
                "cluster_dns": {
                    "prober": "dns",
                    "dns": {"queryName": "kubernetes.default.svc.cluster.local"},
                }
            },
        },
        "kubeStateMetrics": {"image": images["kube-state-metrics"]},
        "kubelet": {"interval": "2s"},
        "pushgateway": {"image": images["pushgateway"]},
        "custom": [
            {
                "name": "shop",
                "image": station.testbed.images.example_app,
                "port": 8000,
                "args": ["api"],
                "env": [{"name": "PASSWORD", "secretKeyRef": reference}],
            }
        ],
    }
    dns = station.kubectl.run(
        *("get", "service", "-n", "kube-system", "-l", "k8s-app=kube-dns"),
        *("-o", "jsonpath={.items[0].spec.clusterIP}"),
    )
    pushgateway = f"{STACK}-pushgateway:9091"
    wanted["spec"]["packs"] = {}
    wanted["spec"]["synthetic"] = {
        "probes": [
            {"name": "web", "targets": [f"http://{pushgateway}/-/ready"], "labels": {"team": "a"}},
            {"name": "port", "module": "tcp_connect", "targets": [pushgateway, "pushgateway:1"]},
            {"name": "ping", "module": "icmp", "targets": [dns, "127.0.0.1"]},
            {"name": "dns", "module": "cluster_dns", "targets": [dns]},
        ],
        "healthChecks": [
            {"name": "gateway", "url": f"http://{pushgateway}/-/ready", "interval": "1s"},
            {
                "name": "body",
                "url": f"http://{pushgateway}/-/ready",
                "interval": "1s",
                "downFor": "2s",
                "http": {"failIfBodyNotMatchesRegexp": ["something else"]},
            },
        ],
    }
    return wanted


@pytest.fixture(scope="module")
def station(testbed: Testbed) -> Iterator[Station]:
    """Return a namespace whose stack waits for a Secret first, and then runs."""
    found = Station(testbed, NAMESPACE)
    found.kubectl.apply(stack(found))
    yield found
    found.kubectl.delete("mstack", STACK, NAMESPACE)


def message(station: Station, component: str, name: str = STACK) -> str:
    found = station.kubectl.get("mstack", name, station.namespace) or {}
    rows = found.get("status", {}).get("components", [])
    return "".join(row.get("message", "") for row in rows if row["name"] == component)


def test_an_exporter_waits_for_its_secret_and_the_status_names_it(station: Station) -> None:
    wait_for(
        "the missing Secret to be named",
        lambda: f'secret "{LOGIN}" not found' in message(station, "exporter-shop"),
        seconds=90,
    )
    found = station.kubectl.get("mstack", STACK, NAMESPACE)
    assert condition(found, "Accepted")["status"] == "True"
    station.kubectl.apply(secret(NAMESPACE))
    station.wait_ready("mstack", STACK, seconds=120)


def series(station: Station, expression: str, *, seconds: float = 60) -> None:
    """Wait for an expression to have a result."""
    assert wait_for(expression, lambda: station.query(expression), seconds=seconds)


@pytest.mark.parametrize("family", container_families())
def test_each_container_family_of_the_runbook_arrives_for_a_pod_of_the_stack(
    station: Station, family: str
) -> None:
    pod = f"{STACK}-prometheus-0"
    series(station, f'{family}{{job="cadvisor",namespace="{NAMESPACE}",pod="{pod}",node!=""}}')


def test_the_runbook_names_eight_container_families() -> None:
    assert len(container_families()) == 8


def test_kubelet_is_believed_by_its_certificate(station: Station) -> None:
    """The kubelets of this cluster have certificates of its own authority."""
    series(station, 'up{job="kubelet"} == 1')
    series(station, 'kubelet_running_pods{job="kubelet",node!=""} > 0')
    config = station.prometheus("status/config")["yaml"]
    assert "insecure_skip_verify: true" not in config


def test_what_is_large_and_hardly_used_is_not_stored(station: Station) -> None:
    series(station, 'container_cpu_usage_seconds_total{job="cadvisor"}')
    assert station.query('container_cpu_usage_seconds_total{job="cadvisor",pod=""}') == []
    assert station.query('{__name__=~"container_spec_.+"}') == []


def test_the_state_of_the_clusters_objects_arrives_with_their_own_labels(station: Station) -> None:
    series(
        station,
        'kube_deployment_status_replicas{job="kube-state-metrics",'
        f'namespace="{NAMESPACE}",deployment="{STACK}-kube-state-metrics"}} == 1',
    )
    series(station, f'kube_pod_info{{namespace="{NAMESPACE}",pod="{STACK}-prometheus-0"}}')
    assert station.query('kube_secret_info or kube_configmap_info{namespace!=""}') == []


@pytest.mark.parametrize(
    ("probe", "labels", "succeeds"),
    [
        ("web", ',team="a"', 1),
        ("port", f',instance="{STACK}-pushgateway:9091"', 1),
        ("port", ',instance="pushgateway:1"', 0),
        ("ping", ',instance="127.0.0.1"', 1),
        ("dns", "", 1),
    ],
)
def test_endpoints_are_probed(station: Station, probe: str, labels: str, succeeds: int) -> None:
    series(station, f'probe_success{{job="blackbox",probe="{probe}"{labels}}} == {succeeds}')


def test_what_a_job_leaves_at_the_pushgateway_keeps_its_labels(station: Station) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/services/{STACK}-pushgateway:9091/proxy"
    station.kubectl.run(
        *("replace", "--raw", f"{path}/metrics/job/backup/instance/nightly", "-f", "-"),
        stdin="backup_last_success_seconds 42\n",
    )
    series(station, 'backup_last_success_seconds{job="backup",instance="nightly"} == 42')


def test_an_exporter_of_ones_own_is_a_job_of_its_name(station: Station) -> None:
    series(station, 'up{job="shop"} == 1')
    series(station, '{__name__=~"freeagentics_.+",job="shop"}')


def packs(station: Station) -> dict[str, Object]:
    """Return the rows of the status by name."""
    found = station.kubectl.get("mstack", STACK, NAMESPACE) or {}
    return {row["name"]: row for row in found.get("status", {}).get("packs", [])}


def test_packs_run_where_there_is_what_they_speak_of(station: Station) -> None:
    wait_for("the API to be seen", lambda: packs(station)["api"]["running"], seconds=90)
    rows = packs(station)
    running = {name for name, row in rows.items() if row["running"]}
    assert {"api", "kubernetes", "synthetic", "prometheus", "watchdog"} <= running
    assert rows["node"]["message"] == "it needs exporters.node"

    def evaluated() -> set[str]:
        groups = station.prometheus(
            "rules?type=alert&file[]=/etc/prometheus/config/packs.rules.yml"
        )
        rules = [rule for group in groups["groups"] for rule in group["rules"]]
        assert all(rule["health"] == "ok" for rule in rules), rules
        return {group["name"] for group in groups["groups"]}

    wanted = {f"firewatch:pack:{name}" for name in running}
    wait_for("the rules to be evaluated", lambda: evaluated() == wanted, seconds=90)


def test_a_pack_tells_of_a_target_that_cannot_be_reached(station: Station) -> None:
    failing = 'ALERTS{alertname="ProbeFailing",pack="synthetic",instance="pushgateway:1"}'
    series(station, failing)
    expected = 'ALERTS{alertname=~"ProbeFailing|HealthCheckFailing"}'
    # kube-state-metrics sees the namespaces of other tests and of demos too.
    here = f'ALERTS{{pack!="",namespace=~"|{NAMESPACE}"}}'
    assert station.query(f"{here} unless {expected}") == []


def checks(station: Station) -> dict[str, Object]:
    """Return the rows of the health checks by name."""
    found = station.kubectl.get("mstack", STACK, NAMESPACE) or {}
    return {row["name"]: row for row in found.get("status", {}).get("healthChecks", [])}


def test_a_health_check_tells_of_a_wrong_body_although_the_status_is_right(
    station: Station,
) -> None:
    series(station, 'ALERTS{alertname="HealthCheckFailing",alertstate="firing",probe="body"}')
    assert station.query('ALERTS{alertname="HealthCheckFailing",probe!="body"}') == []
    wait_for("the rows", lambda: checks(station)["body"]["healthy"] == "False", seconds=90)
    rows = checks(station)
    assert rows["body"]["message"] == "the body of the answer is not what http expects"
    assert rows["gateway"] == {
        "name": "gateway",
        "healthy": "True",
        "message": "",
        "availability": {"day": "100.00", "week": "100.00", "month": "100.00"},
    }
    # Rules of the whole window are evaluated every two minutes.
    series(station, 'slo:error_budget_remaining:ratio{slo="gateway"} == 1', seconds=150)
    series(station, 'slo:error_budget_remaining:ratio{slo="body"} < 0', seconds=150)


def squatter(image: str, *, declared: bool) -> Object:
    """Return a pod that has a port of the node; only a declared one is known to the scheduler."""
    container: Object = {
        "name": "squatter",
        "image": image,
        "args": [f"--web.listen-address=:{PORT}"],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
    }
    if declared:
        container["ports"] = [{"containerPort": PORT, "hostPort": PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "squatter", "namespace": NAMESPACE},
        "spec": {
            "hostNetwork": True,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }


def test_an_exporter_that_is_taken_out_goes(station: Station) -> None:
    name = f"{STACK}-kube-state-metrics"

    def there() -> list[bool]:
        kinds = ("deployment", "service")
        return [station.kubectl.get(kind, name, NAMESPACE) is not None for kind in kinds]

    assert all(there())
    patch: Object = {"spec": {"exporters": {"kubeStateMetrics": None}}}
    station.kubectl.patch("mstack", STACK, NAMESPACE, patch)
    wait_for("kube-state-metrics to go", lambda: not any(there()))
    station.wait_ready("mstack", STACK)


@pytest.mark.parametrize("declared", [True, False], ids=["a pod's", "another program's"])
def test_a_port_of_the_node_that_is_taken_is_said_and_the_remedy_works(
    station: Station, *, declared: bool
) -> None:
    image = station.testbed.image("pushgateway", ConsoleProgress())
    station.kubectl.apply(squatter(image, declared=declared))
    station.kubectl.run(
        *("wait", "pod/squatter", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s")
    )
    spec = station.stack()["spec"]
    spec["exporters"] = {"node": {"image": station.testbed.images.node_exporter, "port": PORT}}
    try:
        station.kubectl.apply(station.resource("MonitoringStack", "second", spec))

        def is_said() -> bool:
            said = message(station, "node-exporter", "second")
            return f"port {PORT} is taken on node" in said and "exporters.node.port" in said

        assert wait_for("the taken port to be named", is_said, seconds=120)
        patch = {"spec": {"exporters": {"node": {"port": PORT + 1}}}}
        station.kubectl.patch("mstack", "second", NAMESPACE, patch)
        station.wait_ready("mstack", "second", seconds=120)
    finally:
        station.kubectl.delete("mstack", "second", NAMESPACE)
        station.kubectl.delete("pod", "squatter", NAMESPACE)


def test_elsewhere_what_reads_the_cluster_is_left_out_and_said(stack_station: Station) -> None:
    patch: Object = {"spec": {"exporters": {"kubelet": {}, "kubeStateMetrics": {}}}}
    stack_station.kubectl.patch("mstack", STACK, stack_station.namespace, patch)
    try:
        found = stack_station.wait_reason("mstack", STACK, "Accepted", "ClusterScopeNotGranted")
        assert "clusterStacks.namespaces" in found["message"]
        assert wait_for("the rest", lambda: stack_station.query('up{job="prometheus"} == 1'))
    finally:
        patch = {"spec": {"exporters": {"kubelet": None, "kubeStateMetrics": None}}}
        stack_station.kubectl.patch("mstack", STACK, stack_station.namespace, patch)
        stack_station.wait_ready("mstack", STACK)

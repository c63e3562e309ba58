"""Monitoring itself, broken: each alert of the pack ``watchdog`` fires, on real pods.

A stack is made in which nothing is wrong, and then everything at once: a pod that is scraped is gone, a
job has none any more, an exporter is slow and another tells too much, rules fail and rules take too
long, remote writes go nowhere or are refused, a rule file is broken by hand, something else answers in
Alertmanager's place, and the operator, which would mend it, is away.
Most alerts wait for ten minutes, so this takes a quarter of an hour. Run by ``make campaign-watchdog``.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.cluster.progress import ConsoleProgress
from e2e.installation import NAMESPACE as OPERATOR_NAMESPACE
from e2e.installation import RELEASE, Testbed
from e2e.kubectl import Kubectl, Object, wait_for
from e2e.station import STACK, Station
from firewatch.api.packs import WatchdogPack
from firewatch.build.packs.monitoring import watchdog_alerts

NAMESPACE = "e2e-stack"
LIMITS = {"downFor": "30s", "scrapeSeconds": 1, "remoteWriteLagSeconds": 20}
ALERTS = sorted(alert.name for alert in watchdog_alerts(WatchdogPack()))
SLOW = """
import http.server, time

class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(3)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"slow_metric 1\\n")

http.server.ThreadingHTTPServer(("", 8000), Slow).serve_forever()
"""
DEAF = """
import http.server

class Deaf(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        self.send_error(500)

http.server.ThreadingHTTPServer(("", 9093), Deaf).serve_forever()
"""
_NOBODY = "http://127.0.0.1:9/write"
# The application answers a POST to this with 405, which is for good.
_REFUSED = "http://signal:8000/healthz"


def stack(station: Station, *, broken: bool) -> Object:
    """Return a stack in which nothing is wrong, or one that is told to do what goes wrong."""
    jobs: list[Object] = [
        {"name": "signal", "targets": ["signal:8000"]},
        {"name": "api", "targets": ["api:8000"]},
    ]
    wrong: list[Object] = [
        {"name": "slow", "targets": ["slow:8000"], "interval": "5s", "timeout": "5s"},
        {"name": "much", "targets": ["signal:8000"], "sampleLimit": 1},
    ]
    short: list[Object] = [{"name": "short", "targets": ["signal:8000"]}]
    found = station.stack(scrapeJobs=jobs + (wrong if broken else short))
    spec = found["spec"]
    if broken:
        spec["metrics"]["remoteWrite"] = [
            {"name": "nowhere", "url": _NOBODY},
            {"name": "refused", "url": _REFUSED},
        ]
    spec["alerting"] = {
        "image": station.testbed.image("alertmanager", ConsoleProgress()),
        "receivers": [{"name": "nobody"}],
        "route": {"receiver": "nobody"},
    }
    spec["packs"] = {"watchdog": LIMITS}
    return found


def rules(station: Station) -> Object:
    """Return rules of which one fails whenever it is evaluated, and one takes longer than its second."""
    failing = {"alert": "Failing", "expr": "up * on () up > 0"}
    # Two seconds of work, whatever is stored.
    work = "sum_over_time(quantile_over_time(0.5, vector(1)[4h:1s])[1h:1s])"
    slow = {"record": "slow:rule", "expr": work}
    groups = [
        {"name": "failing", "interval": "5s", "rules": [failing]},
        {"name": "slow", "interval": "1s", "rules": [slow]},
    ]
    return station.resource("AlertPolicy", "bad", {"groups": groups})


@contextmanager
def without_operator(kubectl: Kubectl) -> Iterator[None]:
    """Have nobody repair anything."""
    selector = f"app.kubernetes.io/name={RELEASE}"
    live = kubectl.get("deployment", RELEASE, OPERATOR_NAMESPACE)
    assert live
    scale = ("scale", "deployment", RELEASE, "-n", OPERATOR_NAMESPACE)
    kubectl.run(*scale, "--replicas=0")
    wait_for("the operator to end", lambda: not kubectl.list("pod", OPERATOR_NAMESPACE, selector))
    try:
        yield
    finally:
        kubectl.run(*scale, f"--replicas={live['spec']['replicas']}")


def break_rules(station: Station) -> None:
    """Write what is no rule file into a rule ConfigMap."""
    found = station.kubectl.list("configmaps", NAMESPACE, "app.kubernetes.io/component=rules")
    patch = {"data": {"broken.yml": "groups: none\n"}}
    station.kubectl.patch("configmap", found[0]["metadata"]["name"], NAMESPACE, patch)


def deafen(station: Station) -> None:
    """Have something answer in Alertmanager's place that takes no alerts."""
    container = {
        "name": "alertmanager",
        "image": station.testbed.images.example_app,
        "command": ["/opt/venv/bin/python3", "-c", DEAF],
        "args": [],
    }
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    # By names: a merge would replace the whole container.
    station.kubectl.run(
        *("patch", "statefulset", f"{STACK}-alertmanager", "-n", NAMESPACE),
        *("--type=strategic", "-p", json.dumps(patch)),
    )


@pytest.fixture(scope="module")
def station(testbed: Testbed) -> Iterator[Station]:
    """Return a namespace whose monitoring has been broken in every way that the pack knows."""
    found = Station(testbed, NAMESPACE)
    found.set_up()
    found.kubectl.apply(stack(found, broken=False))
    found.wait_ready("mstack", STACK, seconds=120)
    wait_for("the job that will go", lambda: found.query('up{job="short"} == 1'))
    assert found.query('ALERTS{pack="watchdog"}') == []
    slow = found.workload(
        "slow", container={"command": ["/opt/venv/bin/python3", "-c", SLOW], "args": []}
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "slow", "namespace": NAMESPACE},
        "spec": {"selector": {"app": "slow"}, "ports": [{"port": 8000}]},
    }
    found.kubectl.apply(slow, service, stack(found, broken=True), rules(found))
    wait_for("the slow exporter", lambda: found.query('up{job="slow"} == 1'), seconds=120)
    wait_for("the slow rule", lambda: found.query("slow:rule"), seconds=120)
    with without_operator(found.kubectl):
        break_rules(found)
        deafen(found)
        found.kubectl.run("scale", "deployment/api", "-n", NAMESPACE, "--replicas=0")
        yield found
    found.kubectl.delete("apol", "bad", NAMESPACE)
    found.kubectl.delete("mstack", STACK, NAMESPACE)


@pytest.mark.parametrize("alert", ALERTS)
def test_it_fires(station: Station, alert: str) -> None:
    """Wait for the alert itself, with the time for which it holds back."""
    fires = f'ALERTS{{alertname="{alert}",pack="watchdog",alertstate="firing"}}'
    found = wait_for(f"{alert} to fire", lambda: station.query(fires), seconds=1200, pause=2)
    assert found
    print(f"{alert}: {found[0]['metric']}")

"""AutoResponse without a MonitoringStack: beside a Prometheus and an Alertmanager of somebody's own."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.certificates import Authority
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, wait_for
from e2e.station import ALERT, Station

NAMESPACE = "e2e-own"
HOST = f"own-prometheus.{NAMESPACE}.svc"
WEBHOOK = f"http://firewatch-receiver.firewatch.svc:9095/webhook/{NAMESPACE}"
TOKEN = "a-token-that-nobody-guesses"
PROMETHEUS = {
    "global": {
        "scrape_interval": "1s",
        "evaluation_interval": "1s",
        "external_labels": {"prometheus": "own"},
    },
    "scrape_configs": [{"job_name": "signal", "static_configs": [{"targets": ["signal:8000"]}]}],
    "rule_files": ["/config/rules.yml"],
    "alerting": {
        "alertmanagers": [{"static_configs": [{"targets": ["own-alertmanager:9093"]}]}],
    },
}
RULES = {
    "groups": [{"name": "g", "rules": [{"alert": ALERT, "expr": "freeagentics_demo_load > 5"}]}]
}
WEB = {"tls_server_config": {"cert_file": "/secret/tls.crt", "key_file": "/secret/tls.key"}}
ALERTMANAGER = {
    "route": {"receiver": "firewatch", "group_wait": "0s", "group_interval": "1s"},
    "receivers": [
        {
            "name": "firewatch",
            "webhook_configs": [
                {
                    "url": WEBHOOK,
                    "http_config": {"authorization": {"credentials_file": "/secret/token"}},
                }
            ],
        }
    ],
}
SOURCE = {
    "prometheus": {
        "url": f"https://{HOST}:9090",
        "tlsConfig": {"ca": {"configMap": {"name": "own", "key": "ca.crt"}}},
    },
    "webhookToken": {"name": "own", "key": "token"},
    "externalLabels": ["prometheus"],
}


def files(tmp_path: Path) -> list[Object]:
    """Return what both programs read, and what the operator needs to know of it."""
    authority = Authority(tmp_path, "authority")
    pair = authority.issue("server", "own-prometheus", names=[HOST])
    metadata = {"name": "own", "namespace": NAMESPACE}
    texts = {
        "prometheus.yml": yaml.safe_dump(PROMETHEUS),
        "rules.yml": yaml.safe_dump(RULES),
        "web.yml": yaml.safe_dump(WEB),
        "alertmanager.yml": yaml.safe_dump(ALERTMANAGER),
        "ca.crt": authority.pair.certificate.read_text(),
    }
    secrets = {
        "token": TOKEN,
        "tls.crt": pair.certificate.read_text(),
        "tls.key": pair.key.read_text(),
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": texts},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secrets},
    ]


def server(name: str, image: str, port: int, *arguments: str) -> list[Object]:
    """Return a Deployment of one of the two, and its Service."""
    metadata, labels = {"name": name, "namespace": NAMESPACE}, {"app": name}
    container = {
        "name": "server",
        "image": image,
        "args": [
            "--storage.path=/data" if port == 9093 else "--storage.tsdb.path=/data",
            *arguments,
        ],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "config", "mountPath": "/config"},
            {"name": "secret", "mountPath": "/secret"},
            {"name": "data", "mountPath": "/data"},
        ],
    }
    volumes = [
        {"name": "config", "configMap": {"name": "own"}},
        {"name": "secret", "secret": {"secretName": "own"}},
        {"name": "data", "emptyDir": {}},
    ]
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1},
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": port}]},
        },
    ]


@pytest.fixture(scope="module")
def station(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Station:
    """Return a namespace with a target and a signal, and with servers that are not Firewatch's."""
    found = Station(testbed, NAMESPACE)
    alertmanager = testbed.image("alertmanager", ConsoleProgress())
    testbed.kubectl.apply(
        namespace(NAMESPACE),
        *found.applications(),
        *files(tmp_path_factory.mktemp("own")),
        *server(
            *("own-prometheus", testbed.images.prometheus, 9090),
            *("--config.file=/config/prometheus.yml", "--web.config.file=/config/web.yml"),
        ),
        *server(
            *("own-alertmanager", alertmanager, 9093),
            *("--config.file=/config/alertmanager.yml", "--cluster.listen-address="),
        ),
    )
    for name in ("signal", "own-prometheus", "own-alertmanager"):
        testbed.kubectl.run(
            *("wait", f"deployment/{name}", "-n", NAMESPACE),
            *("--for=condition=Available", "--timeout=120s"),
        )
    return found


def told(station: Station) -> dict[str, float]:
    """Return how many messages the Alertmanager has sent by its webhook, and how many in vain."""
    path = f"/api/v1/namespaces/{NAMESPACE}/services/own-alertmanager:9093/proxy/metrics"
    lines = station.kubectl.run("get", "--raw", path).splitlines()
    found: dict[str, float] = {"sent": 0, "failed": 0}
    for line in lines:
        if 'integration="webhook"' not in line:
            continue
        if line.startswith("alertmanager_notifications_total{"):
            found["sent"] += float(line.rpartition(" ")[2])
        if line.startswith("alertmanager_notifications_failed_total{"):
            found["failed"] += float(line.rpartition(" ")[2])
    return found


def test_a_target_goes_up_by_webhook_and_back_by_what_prometheus_says(station: Station) -> None:
    station.kubectl.apply(station.response(source=SOURCE))
    station.wait_ready("aresp", "scale")
    station.signal(6)
    station.wait_replicas(2)
    status: dict[str, Any] = station.wait_state("scale", "Active")["status"]
    assert wait_for("a message", lambda: told(station)["sent"])
    station.signal(0)
    station.wait_replicas(1)
    station.wait_state("scale", "Idle")
    assert station.history() == ["ScaledUp", "Restored"]
    assert told(station)["failed"] == 0
    assert TOKEN not in json.dumps(status)
    station.kubectl.delete("aresp", "scale", NAMESPACE)


def amtool(station: Station, *arguments: str) -> str:
    """Run Alertmanager's own tool beside it: kubectl cannot say the type of content that it asks for."""
    pod = ("exec", "deploy/own-alertmanager", "-n", NAMESPACE, "--")
    program = ("/bin/amtool", "--alertmanager.url=http://127.0.0.1:9093")
    return station.kubectl.run(*pod, *program, *arguments).strip()


def silence(station: Station) -> str:
    """Silence the alert for an hour; return the silence's id."""
    why = ("--duration=1h", "--author=e2e", "--comment=maintenance")
    return amtool(station, "silence", "add", *why, f"alertname={ALERT}")


def test_a_silence_counts_as_the_end_where_that_is_asked_for(station: Station) -> None:
    source = {**SOURCE, "alertmanager": {"url": f"http://own-alertmanager.{NAMESPACE}.svc:9093"}}
    recovery = {"hold": "1s", "onSilence": "release"}
    station.kubectl.apply(station.response(source=source, recovery=recovery))
    station.wait_ready("aresp", "scale")
    station.signal(6)
    station.wait_replicas(2)
    silenced = silence(station)
    station.wait_replicas(1)
    found = station.wait_state("scale", "Idle")
    assert "is silenced" in found["status"]["message"]
    amtool(station, "silence", "expire", silenced)
    station.wait_replicas(2)
    station.signal(0)
    station.wait_replicas(1)

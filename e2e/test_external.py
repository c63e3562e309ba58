"""A Prometheus that others run, in a pod of its own: it mounts the rules, and is asked for them."""

import time
from collections.abc import Iterator

import pytest

from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, wait_for
from e2e.station import STACK, Station
from firewatch.build import names

NAMESPACE = "e2e-external"
THEIRS = "theirs"
LABELS = {"prometheus_rule": "1"}
CONFIG = """
global: {evaluation_interval: 1s}
rule_files: [/rules/*.yml]
"""


def prometheus(image: str) -> list[Object]:
    """Return a Prometheus that mounts the rule ConfigMaps of the stack, which need not be there."""
    slots = [
        {"configMap": {"name": names.rules_name(STACK, slot), "optional": True}}
        for slot in range(names.SLOTS)
    ]
    container: Object = {
        "name": "prometheus",
        "image": image,
        "args": [
            "--config.file=/config/prometheus.yml",
            "--config.auto-reload",
            "--config.auto-reload-interval=1s",
            "--storage.tsdb.path=/tmp/data",
        ],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "config", "mountPath": "/config"},
            {"name": "rules", "mountPath": "/rules"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    pod: Object = {
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": THEIRS}},
            {"name": "rules", "projected": {"sources": slots}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    metadata, labels = {"name": THEIRS, "namespace": NAMESPACE}, {"app": THEIRS}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"prometheus.yml": CONFIG},
        },
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
            "spec": {"selector": labels, "ports": [{"port": 9090}]},
        },
    ]


@pytest.fixture(scope="module")
def station(testbed: Testbed) -> Iterator[Station]:
    """Return a namespace with a Prometheus that is there before the stack, and a stack that uses it."""
    found = Station(testbed, NAMESPACE)
    server = {"url": f"http://{THEIRS}.{NAMESPACE}.svc:9090", "ruleLabels": LABELS}
    stack = found.resource("MonitoringStack", STACK, {"external": {"prometheus": server}})
    found.kubectl.apply(namespace(NAMESPACE), *prometheus(testbed.images.prometheus), stack)
    found.wait_ready("mstack", STACK, seconds=120)
    yield found
    found.kubectl.delete("mstack", STACK, NAMESPACE)


def test_its_rules_are_those_of_the_policies_and_go_with_the_stack(station: Station) -> None:
    rule = {"alert": "Theirs", "expr": "vector(1)"}
    groups = [{"name": "g", "rules": [rule]}]
    station.kubectl.apply(station.resource("AlertPolicy", "theirs", {"groups": groups}))

    def is_loaded() -> bool:
        # kubelet brings the files of a pod that is touched at once, else within a minute.
        touched = f"touched={time.time()}"
        station.kubectl.run(
            *("annotate", "--overwrite", "pod", "-l", f"app={THEIRS}", "-n", NAMESPACE, touched)
        )
        live = station.kubectl.get("apol", "theirs", NAMESPACE) or {}
        conditions = {each["type"]: each for each in live["status"]["conditions"]}
        return bool(conditions["Loaded"]["status"] == "True")

    wait_for("the rules to be loaded", is_loaded, seconds=120, pause=2)
    (found,) = rule_config_maps(station)
    assert found["metadata"]["labels"].items() >= LABELS.items()
    stack = station.kubectl.get("mstack", STACK, NAMESPACE) or {}
    (row,) = stack["status"]["components"]
    assert (row["name"], row["ready"], row["pods"]) == ("prometheus", "True", "external")

    station.kubectl.run("scale", f"deployment/{THEIRS}", "-n", NAMESPACE, "--replicas=0")
    said = station.wait_reason("mstack", STACK, "Available", "ServerNotAvailable", seconds=90)
    assert said["message"].startswith("prometheus: ")
    station.kubectl.run("scale", f"deployment/{THEIRS}", "-n", NAMESPACE, "--replicas=1")
    station.wait_ready("mstack", STACK, seconds=90)
    station.kubectl.delete("mstack", STACK, NAMESPACE)
    wait_for("the rules to go", lambda: not rule_config_maps(station))


def rule_config_maps(station: Station) -> list[Object]:
    return station.kubectl.list("configmaps", NAMESPACE, "app.kubernetes.io/component=rules")

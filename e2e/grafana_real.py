"""Grafana itself, where its image can be had: what is written for it is what it understands.

Run by ``make test-grafana`` on a cluster whose nodes pull images (kind, or one of your own), or with
FIREWATCH_GRAFANA_IMAGE. Not run by us: no package registry has Grafana.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Testbed, namespace
from e2e.kubectl import Kubectl, Object, wait_for
from e2e.station import STACK, Station

NAMESPACE = "e2e-stack"
SECRET = "grafana-admin"
PANEL = {"type": "timeseries", "title": "P", "targets": [{"expr": "up"}]}
_ASK = """
import base64, json, sys, urllib.request
address, login, path = sys.argv[1:]
header = "Basic " + base64.b64encode(login.encode()).decode()
request = urllib.request.Request(address + path, headers={"Authorization": header})
with urllib.request.urlopen(request, timeout=10) as answer:
    json.dump(json.load(answer), sys.stdout)
"""


@dataclass(frozen=True)
class Grafana:
    """The HTTP API of the stack's Grafana, asked from a pod of the application."""

    kubectl: Kubectl
    password: str

    def ask(self, path: str) -> Any:
        """Return what it answers the administrator."""
        pod = ("exec", "-i", "deploy/signal", "-n", NAMESPACE, "--", "/opt/venv/bin/python3", "-")
        address = f"http://{STACK}-grafana.{NAMESPACE}.svc:3000"
        return json.loads(
            self.kubectl.run(*pod, address, f"admin:{self.password}", path, stdin=_ASK)
        )


def admin(password: str) -> Object:
    """Return the Secret with the administrator's password."""
    metadata = {"name": SECRET, "namespace": NAMESPACE}
    data = {"password": base64.b64encode(password.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def stack(station: Station) -> Object:
    """Return a stack with Grafana, and a dashboard of the user's own."""
    wanted = station.stack()
    dashboard = json.dumps({"uid": "mine", "title": "Mine", "panels": [PANEL]})
    wanted["spec"]["packs"] = {}
    wanted["spec"]["visualization"] = {
        "image": station.testbed.image("grafana", ConsoleProgress()),
        "admin": {"password": {"name": SECRET, "key": "password"}},
        "dashboards": [{"name": "mine", "folder": "Team", "json": dashboard}],
    }
    return wanted


@pytest.fixture(scope="module")
def station(testbed: Testbed) -> Iterator[Station]:
    """Return a namespace whose stack is ready."""
    found = Station(testbed, NAMESPACE)
    found.kubectl.apply(
        namespace(NAMESPACE), *found.applications(), admin("first-word"), stack(found)
    )
    found.wait_ready("mstack", STACK, seconds=600)
    yield found
    found.kubectl.delete("mstack", STACK, NAMESPACE)


@pytest.fixture
def grafana(station: Station) -> Grafana:
    """Return its Grafana, before the password changes."""
    return Grafana(station.kubectl, "first-word")


def test_the_stacks_prometheus_is_the_default_data_source_and_answers(grafana: Grafana) -> None:
    """The data source that is provisioned is used."""
    (source,) = (each for each in grafana.ask("/api/datasources") if each["uid"] == "prometheus")
    assert source["isDefault"]
    assert source["readOnly"]
    assert grafana.ask("/api/datasources/uid/prometheus/health")["status"] == "OK"


def test_dashboards_are_in_their_folders_and_cannot_be_changed(grafana: Grafana) -> None:
    """Both the user's and Firewatch's own."""
    found = {each["uid"]: each for each in grafana.ask("/api/search?type=dash-db")}
    assert found["mine"]["folderTitle"] == "Team"
    assert found["firewatch-overview"]["folderTitle"] == "Firewatch"
    assert grafana.ask("/api/dashboards/uid/mine")["meta"]["provisioned"]


def test_a_changed_password_is_the_one_that_is_taken(station: Station) -> None:
    """Grafana itself reads it at its first start only."""
    station.kubectl.apply(admin("second-word"))
    after = Grafana(station.kubectl, "second-word")
    wait_for("the new password", lambda: after.ask("/api/org")["id"] == 1, seconds=300, pause=3)
    station.wait_ready("mstack", STACK, seconds=300)

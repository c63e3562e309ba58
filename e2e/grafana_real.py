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
address, login, path, body = sys.argv[1:]
header = "Basic " + base64.b64encode(login.encode()).decode()
headers = {"Authorization": header, "Content-Type": "application/json"}
request = urllib.request.Request(address + path, body.encode() or None, headers)
with urllib.request.urlopen(request, timeout=10) as answer:
    json.dump(json.load(answer), sys.stdout)
"""


@dataclass(frozen=True)
class Grafana:
    """The HTTP API of the stack's Grafana, asked from a pod of the application."""

    kubectl: Kubectl
    password: str

    @property
    def address(self) -> str:
        """Return where pods find it."""
        return f"http://{STACK}-grafana.{NAMESPACE}.svc:3000"

    def ask(self, path: str, **body: str) -> Any:
        """Return what it answers the administrator, who posts something if there is anything to post."""
        pod = ("exec", "-i", "deploy/signal", "-n", NAMESPACE, "--", "/opt/venv/bin/python3", "-")
        posted = json.dumps(body) if body else ""
        return json.loads(
            self.kubectl.run(*pod, self.address, f"admin:{self.password}", path, posted, stdin=_ASK)
        )


def secret(name: str, **texts: str) -> Object:
    """Return a Secret."""
    metadata = {"name": name, "namespace": NAMESPACE}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def admin(password: str) -> Object:
    """Return the Secret with the administrator's password."""
    return secret(SECRET, password=password)


def stack(station: Station) -> Object:
    """Return a stack with Grafana, and a dashboard of the user's own."""
    wanted = station.stack()
    dashboard = json.dumps({"uid": "mine", "title": "Mine", "panels": [PANEL]})
    wanted["spec"]["packs"] = {}
    wanted["spec"]["visualization"] = {
        "image": station.testbed.image("grafana", ConsoleProgress()),
        "admin": {"password": {"name": SECRET, "key": "password"}},
        "dashboards": [{"name": "mine", "folder": "Team", "json": dashboard}],
        "folders": [{"title": "Team", "viewers": "none"}],
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


def test_a_folder_is_for_those_whom_it_is_for(grafana: Grafana) -> None:
    """Whom roles let in is set by the HTTP API."""
    (team,) = (each for each in grafana.ask("/api/folders") if each["title"] == "Team")

    def permitted() -> dict[str, int]:
        shown = grafana.ask(f"/api/folders/{team['uid']}/permissions")
        return {each["role"]: each["permission"] for each in shown if each.get("role")}

    wait_for("the permissions", lambda: permitted() == {"Editor": 2}, seconds=120, pause=3)


def test_a_stack_that_has_it_as_anothers_writes_dashboards_by_its_api(
    station: Station, grafana: Grafana
) -> None:
    """A second stack uses the first one's Grafana as if others ran it."""
    account = grafana.ask("/api/serviceaccounts", name="firewatch", role="Editor")
    token = grafana.ask(f"/api/serviceaccounts/{account['id']}/tokens", name="firewatch")["key"]
    dashboard = json.dumps({"uid": "pushed", "title": "Pushed", "panels": [PANEL]})
    server = {
        "url": grafana.address,
        "token": {"name": "token", "key": "token"},
        "dashboards": [{"name": "pushed", "folder": "Pushed", "json": dashboard}],
    }
    second = station.resource("MonitoringStack", "second", {"external": {"grafana": server}})
    station.kubectl.apply(secret("token", token=token), second)
    station.wait_reason("mstack", "second", "DashboardsLoaded", "Loaded", seconds=120)
    found = grafana.ask("/api/dashboards/uid/pushed")
    assert found["meta"]["folderTitle"] == "Pushed"
    assert found["dashboard"]["panels"][0]["title"] == "P"
    server["dashboards"] = []
    station.kubectl.apply(second)

    def has_gone() -> bool:
        shown = grafana.ask("/api/search?type=dash-db")
        return "pushed" not in {each["uid"] for each in shown}

    assert wait_for("the dashboard to go", has_gone, seconds=120, pause=3)


def test_a_changed_password_is_the_one_that_is_taken(station: Station) -> None:
    """Grafana itself reads it at its first start only."""
    station.kubectl.apply(admin("second-word"))
    after = Grafana(station.kubectl, "second-word")
    wait_for("the new password", lambda: after.ask("/api/org")["id"] == 1, seconds=300, pause=3)
    station.wait_ready("mstack", STACK, seconds=300)

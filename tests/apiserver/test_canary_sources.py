"""The word in the credentials of sources, while Prometheus and Alertmanager are really asked by them.

They are asked one way and the other, and answer well, or badly with the word in the answer. That they
were asked is seen at the servers, and what is wrong in the status, which names Secrets and keys only.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from e2e.kubectl import wait_for
from firewatch.api.resource import Object
from tests.apiserver.answering import ALERT, BAD, GOOD, Servers, answering
from tests.apiserver.deployed import install_crds, operator_process
from tests.apiserver.everything import ours
from tests.apiserver.kubectl import kubectl_of
from tests.apiserver.test_canary import CANARY, NAMESPACE, Site, ref

TOKEN, USER, PASSWORD = f"{CANARY}-token", f"{CANARY}-user", f"{CANARY}-password"
VALUES = {"token": TOKEN, "user": USER, "password": PASSWORD}
ACCESS: dict[str, Object] = {
    "bearer": {"authorization": {"credentials": ref("token")}},
    "basic": {"basicAuth": {"username": ref("user"), "password": ref("password")}},
}
SENT = {
    "bearer": f"Bearer {TOKEN}",
    "basic": "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
}
WRONG = {"prometheus": "SourceUnreachable", "alertmanager": "SilencesUnknown"}
"""Reason of the condition AlertSourceHealthy when one of the two answers badly."""


@dataclass(frozen=True)
class Case:
    """An AutoResponse whose Prometheus or Alertmanager answers in some way."""

    server: str
    way: str
    access: str

    @property
    def name(self) -> str:
        return f"{self.server}-{self.way}-{self.access}"

    @property
    def reason(self) -> str:
        """Return what the condition AlertSourceHealthy is to say."""
        return "Polled" if self.way == GOOD else WRONG[self.server]

    def response(self, servers: Servers) -> Object:
        source = {
            "prometheus": {"url": servers.url(GOOD)},
            "alertmanager": {"url": servers.url(GOOD)},
        }
        source[self.server] = {"url": servers.url(self.way, self.name), **ACCESS[self.access]}
        spec = {
            "trigger": {"alert": ALERT},
            # One of its own: what is said about a target is said to all on it.
            "target": {"name": self.name},
            "actions": [{"scaleUp": {"by": 1, "maxReplicas": 2}}],
            "source": source,
            "recovery": {"onSilence": "release"},
        }
        return ours("AutoResponse", self.name, NAMESPACE, spec)


CASES = [Case(server, way, access) for server in WRONG for way in (GOOD, *BAD) for access in ACCESS]


@dataclass(frozen=True)
class Asking(Site):
    """The site, with servers that are asked."""

    servers: Servers

    def reasons(self) -> dict[str, str]:
        """Return the reason of the condition AlertSourceHealthy of each AutoResponse."""
        items = json.loads(self.kubectl("-n", NAMESPACE, "get", "aresp", "-o", "json"))["items"]
        return {
            each["metadata"]["name"]: condition["reason"]
            for each in items
            for condition in each["status"]["conditions"]
            if condition["type"] == "AlertSourceHealthy"
        }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Asking]:
    with answering() as servers, ControlPlane.prepare(tmp_path, ConsoleProgress()) as control_plane:
        kubectl = kubectl_of(control_plane.kubeconfig, tmp_path)
        install_crds(kubectl)
        kubectl("create", "namespace", NAMESPACE)
        literals = [f"--from-literal={key}={text}" for key, text in VALUES.items()]
        kubectl("-n", NAMESPACE, "create", "secret", "generic", "own", *literals)
        with operator_process(control_plane.kubeconfig, tmp_path) as operator:
            found = [case.response(servers) for case in CASES]
            kubectl("apply", "-f", "-", text=yaml.safe_dump_all(found))
            yield Asking(kubectl, operator, TOKEN, servers)


def test_what_a_source_is_asked_by_is_said_nowhere_whatever_it_answers(site: Asking) -> None:
    expected = {case.name: case.reason for case in CASES}

    def are_asked() -> bool:
        found = site.reasons()
        assert found == expected, {
            name: found.get(name) for name in expected if found.get(name) != expected[name]
        }
        return True

    wait_for("every server to have been asked", are_asked, seconds=60)
    for case in CASES:
        assert site.servers.credentials(case.way, case.name) == {SENT[case.access]}, case
    assert site.servers.credentials(GOOD) == {""}, "whoever has none is not sent those of another"
    assert not site.servers.has_trapped, "no redirect is followed with credentials"
    assert site.leaks() == []

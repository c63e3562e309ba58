"""The operator's process beside definitions that are not its own.

An API server of its own, since definitions come and go.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import Object
from firewatch.generate import build_crd
from tests.apiserver.deployed import operator_process, wait_served
from tests.apiserver.kubectl import Kubectl, kubectl_of

REMEDY = "`kubectl apply -f crds/`, or `helm upgrade` with its chart"


@dataclass(frozen=True)
class Site:
    """An API server with the definitions that a test gives it."""

    control_plane: ControlPlane
    kubectl: Kubectl

    def define(self, *crds: Object) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": crds}
        self.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(items))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("startup")
    with ControlPlane.prepare(folder, ConsoleProgress()) as control_plane:
        yield Site(control_plane, kubectl_of(control_plane.kubeconfig, folder))


@pytest.fixture
def definitions() -> dict[str, Object]:
    return {custom.kind: deepcopy(build_crd(custom)) for custom in CUSTOM_KINDS}


def fields(crd: Object, part: str) -> Object:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found: Object = schema["properties"][part]["properties"]
    return found


def test_it_does_not_start_beside_older_or_missing_definitions(
    site: Site, tmp_path: Path, definitions: dict[str, Object]
) -> None:
    del fields(definitions["MonitoringStack"], "spec")["paused"]
    del fields(definitions["AutoResponse"], "status")["ledger"]
    del definitions["RetentionPolicy"]
    site.define(*definitions.values())
    with operator_process(site.control_plane.kubeconfig, tmp_path) as operator:
        assert operator.wait_ended() == 1
    said = operator.said()
    for words in (
        "monitoringstacks.monitoring.freeagentics.io is older than this operator: it lacks spec.paused",
        "autoresponses.monitoring.freeagentics.io is older than this operator: it lacks status.ledger",
        "retentionpolicies.monitoring.freeagentics.io is not installed",
        REMEDY,
    ):
        assert words in said
    assert "alertpolicies" not in said


def test_it_starts_beside_newer_definitions_and_says_what_it_does_not_know(
    site: Site, tmp_path: Path, definitions: dict[str, Object]
) -> None:
    fields(definitions["MonitoringStack"], "spec")["added"] = {"type": "string"}
    site.define(*definitions.values())
    wait_served(site.kubectl)
    with operator_process(site.control_plane.kubeconfig, tmp_path) as operator:
        operator.wait_working()
    assert (
        "monitoringstacks.monitoring.freeagentics.io is newer than this operator, which does not"
        " know spec.added"
    ) in operator.said()

"""Every example applied again: no difference, so that a GitOps sync is quiet.

An API server of their own, since the examples have names of their own, and one of them is a whole
installation.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from e2e.kubectl import wait_for
from tests.apiserver.deployed import operator_process, wait_served
from tests.apiserver.everything import statuses
from tests.apiserver.examples import EXAMPLES, ROOT, namespaces_of, objects_of
from tests.apiserver.kubectl import Kubectl, KubectlError, kubectl_of

DEMO = "examples/demo-quick"
INSTALLATION = "examples/kustomize"


@dataclass(frozen=True)
class Site:
    """An API server to which everything is applied in one way."""

    control_plane: ControlPlane
    kubectl: Kubectl
    way: tuple[str, ...]

    def apply(self, text: str) -> None:
        objects = objects_of(text)
        brought = {found["metadata"]["name"] for found in objects if found["kind"] == "Namespace"}
        for name in {*namespaces_of(objects)} - brought:
            made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.kubectl("apply", *self.way, "-f", "-", text=json.dumps(made))
        self.kubectl("apply", *self.way, "-f", "-", text=text)

    def differences(self, text: str) -> str:
        """Return what ``kubectl diff`` prints, which ends with 1 if there is anything."""
        try:
            return self.kubectl("diff", *self.way, "-f", "-", text=text)
        except KubectlError as error:
            return str(error)

    def rendered(self, folder: str) -> str:
        options = ("--load-restrictor", "LoadRestrictionsNone")
        return self.kubectl("kustomize", *options, str(ROOT / folder))

    def wait_reported(self) -> None:
        """Wait until the operator has reported on each resource as it is now."""
        wait_for("a report on each resource", lambda: statuses(self.kubectl))


@pytest.fixture(scope="module", params=[(), ("--server-side",)], ids=["client-side", "server-side"])
def site(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("examples")
    with ControlPlane.prepare(folder, ConsoleProgress()) as control_plane:
        yield Site(control_plane, kubectl_of(control_plane.kubeconfig, folder), request.param)


def test_a_second_apply_shows_no_difference(site: Site, tmp_path: Path) -> None:
    installation = site.rendered(INSTALLATION)
    site.apply(installation)
    wait_served(site.kubectl)
    files = "---\n".join(path.read_text() for path in EXAMPLES)
    with operator_process(site.control_plane.kubeconfig, tmp_path) as operator:
        operator.wait_working()
        for text in (files, site.rendered(DEMO)):
            site.apply(text)
            site.wait_reported()
            assert site.differences(text) == ""
    assert site.differences(installation) == ""
    # And it would show, if there were any.
    changed = site.rendered(DEMO).replace("scrapeInterval: 1s", "scrapeInterval: 2s")
    assert "+    scrapeInterval: 2s" in site.differences(changed)


def test_the_grant_to_read_the_cluster_is_refused_until_it_names_a_namespace(site: Site) -> None:
    grant = str(ROOT / "config" / "grants" / "cluster-stacks")
    with pytest.raises(KubectlError, match=r"subjects\[0\].namespace: Required value"):
        site.kubectl("apply", *site.way, "--dry-run=server", "-k", grant)

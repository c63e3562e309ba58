"""An upgrade from the chart of part 1, in the middle of an episode: nothing of a stack restarts.

Part 1 knows no Lease, so it is ended first, as docs/operations.md says.
"""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e import operators
from e2e.cluster.progress import ConsoleProgress
from e2e.conftest import VALUES
from e2e.images import PROJECT, operator_image
from e2e.installation import NAMESPACE as OPERATOR_NAMESPACE
from e2e.installation import RELEASE, Testbed, Values, install, uninstall
from e2e.kubectl import wait_for
from e2e.station import ALERT, NAMESPACES, Station

NAMESPACE = "e2e-upgrade"
PART_1 = "ea49939107320e9802c43f57e8e7f15624cd71f0"
"""The last commit of part 1; the test needs the repository's history."""


@pytest.fixture
def part_1(tmp_path: Path) -> Path:
    """Return the tree of part 1."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", PART_1], cwd=PROJECT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tree:
        tree.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def old(testbed: Testbed, part_1: Path) -> Iterator[Station]:
    """Install part 1 in place of the present chart, and have a stack, a policy and a response."""
    progress = ConsoleProgress()
    image = operator_image(progress, by_docker=testbed.cluster.pulls, project=part_1)
    testbed.backend.load_image(image.archive)
    before = replace(testbed, images=replace(testbed.images, operator=image.name))
    uninstall(testbed)
    values = Values([NAMESPACE], [NAMESPACE])
    install(before, values, progress, chart=part_1 / "charts" / "firewatch")
    station = Station(testbed, NAMESPACE)
    station.set_up()
    # What part 1 knew.
    station.kubectl.apply(station.response(recovery={"hold": "1h"}, rails={"cooldown": "0s"}))
    station.wait_ready("aresp", "scale")
    yield station
    station.kubectl.delete("namespace", NAMESPACE)
    install(testbed, VALUES, progress)


def pods(station: Station) -> dict[str, tuple[str, int]]:
    """Return uid and number of restarts of each pod of the stack."""
    found = station.kubectl.list("pod", NAMESPACE, "app.kubernetes.io/managed-by=firewatch")
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            sum(c["restartCount"] for c in pod["status"]["containerStatuses"]),
        )
        for pod in found
    }


def active_since(station: Station) -> list[str]:
    """Return since when the alert is active, which a rule that was lost would begin anew."""
    groups = station.prometheus("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"] if rule["name"] == ALERT]
    return [alert["activeAt"] for rule in rules for alert in rule["alerts"]]


def end_operator(testbed: Testbed) -> None:
    """End the operator that is installed, and wait until it is gone."""
    kubectl, selector = testbed.kubectl, f"app.kubernetes.io/name={RELEASE}"
    kubectl.run("scale", "deployment", RELEASE, "-n", OPERATOR_NAMESPACE, "--replicas=0")
    wait_for("the operator to end", lambda: not kubectl.list("pod", OPERATOR_NAMESPACE, selector))


def wait_looked_at(testbed: Testbed) -> None:
    """Wait until one of two replicas acts and has looked at the stack."""
    operators.wait_ready(testbed)
    assert len(operators.names(testbed)) == 2
    leader, name = operators.leader(testbed), "firewatch_passes_total"
    passes = f'{name}{{kind="MonitoringStack",result="ok"}}'
    wait_for("a pass over the stack", lambda: operators.figure(testbed, leader, passes) >= 1)


def test_nothing_restarts_no_rule_is_lost_and_the_episode_goes_on(
    testbed: Testbed, old: Station
) -> None:
    """Upgrade while replicas are scaled up."""
    old.signal(6)
    old.wait_replicas(2)
    old.wait_state("scale", "Active")
    running, since = pods(old), active_since(old)
    assert running
    assert len(since) == 1

    granted = (*NAMESPACES, NAMESPACE)
    end_operator(testbed)
    install(testbed, replace(VALUES, stacks=granted, targets=granted), ConsoleProgress())
    wait_looked_at(testbed)
    old.wait_ready("mstack", "main")
    old.wait_ready("apol", "load")
    old.wait_state("scale", "Active")
    assert pods(old) == running
    assert active_since(old) == since
    assert old.history() == ["ScaledUp"]
    old.kubectl.delete("aresp", "scale", NAMESPACE)
    assert old.kubectl.replicas("api", NAMESPACE) == 1

"""The operator itself: quiet when nothing happens, small in its rights, safe to kill."""

import time

import pytest

from bench.quiet import restart, settle, writes
from e2e.audit import AuditLog
from e2e.cluster.local import LocalBackend
from e2e.cluster.progress import ConsoleProgress
from e2e.conftest import VALUES
from e2e.host_operator import HostOperator
from e2e.installation import NAMESPACE, RELEASE, Testbed, helm, install
from e2e.kill_campaign import prepare
from e2e.killing import record, sweep
from e2e.kubectl import wait_for
from e2e.station import NAMESPACES, STACK, Station

SAMPLE = ("after:1", "before:2", "after:2", "before:3", "after:3", "after:4")
"""Kill points around the first writes of an episode: ledger, finalizer, target, ledger."""


def test_a_quiet_cluster_and_a_restart_see_no_write(
    testbed: Testbed, stack_station: Station
) -> None:
    stack_station.wait_ready("mstack", "main")
    settle(testbed)
    audit = AuditLog(testbed.cluster)
    time.sleep(20)
    restart(testbed)
    time.sleep(20)
    assert writes(audit.calls()) == []


def test_the_charts_own_test_passes(testbed: Testbed) -> None:
    assert "Succeeded" in helm(testbed, "test", RELEASE, "--namespace", NAMESPACE)


def generations(testbed: Testbed) -> dict[str, int]:
    """Return how often the spec of each object of the chart has changed, where that is counted."""
    kinds = "deployments,customresourcedefinitions,validatingadmissionpolicies"
    found = testbed.kubectl.list(kinds, selector=f"app.kubernetes.io/instance={RELEASE}")
    return {
        f"{each['kind']} {each['metadata']['name']}": each["metadata"]["generation"]
        for each in found
    }


def test_helm_4_upgrades_what_helm_3_has_installed_and_changes_nothing(
    testbed: Testbed, by_helm_4: Testbed
) -> None:
    """Upgrade from the same chart with the same values; test_uninstall.py has the rest."""
    before = generations(testbed)
    assert f"Deployment {RELEASE}" in before
    install(by_helm_4, VALUES, ConsoleProgress())
    assert generations(testbed) == before
    assert "Succeeded" in helm(by_helm_4, "test", RELEASE, "--namespace", NAMESPACE)


def test_the_generated_rights_suffice(session_audit: AuditLog) -> None:
    # In a namespace that is deleted the operator's rights end before its objects do, and in one that
    # an installation before this one had granted, like the demo's, they have ended.
    granted = {"", NAMESPACE, *NAMESPACES} - {"e2e-gone"}
    refused = {
        (call.verb, call.resource, call.namespace)
        for call in session_audit.calls()
        if call.code == 403 and call.namespace in granted
    }
    assert refused == set()


@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("list", "monitoringstacks.monitoring.freeagentics.io", True),
        ("get", "secrets", False),
        ("list", "pods", False),
        ("patch", "deployments.apps", False),
        ("create", "clusterroles.rbac.authorization.k8s.io", False),
        ("update", "monitoringstacks.monitoring.freeagentics.io", False),
    ],
)
def test_cluster_wide_the_operator_may_do_what_the_design_says_and_no_more(
    testbed: Testbed, verb: str, resource: str, *, allowed: bool
) -> None:
    user = "--as=system:serviceaccount:firewatch:firewatch"
    answer = testbed.kubectl.run("auth", "can-i", verb, resource, "-A", user, check=False)
    assert answer.strip() == ("yes" if allowed else "no")


def test_a_kill_at_any_write_changes_nothing_in_the_end(
    kill_station: Station, host_operator: HostOperator
) -> None:
    with host_operator.instead():
        campaign = prepare(kill_station, host_operator)
        written = record(host_operator, campaign.play)
        outcomes = list(sweep(campaign.play, written, SAMPLE))
    found = [(o.point, o.is_reached, o.violations) for o in outcomes]
    assert found == [(point, True, []) for point in SAMPLE]


def test_a_rollout_ends_well_although_the_api_server_is_restarted_in_its_middle(
    testbed: Testbed, stack_station: Station
) -> None:
    # Last of these: right after its start the API server refuses what it has not read the rights for.
    station = stack_station
    backend = testbed.backend
    assert isinstance(backend, LocalBackend), "only the local backend can restart its API server"
    operator = _starts(testbed)
    server = ("statefulset", f"{STACK}-prometheus", station.namespace)
    patch = {"spec": {"metrics": {"podLabels": {"turn": "second"}}}}
    station.kubectl.patch("mstack", STACK, station.namespace, patch)

    def is_rolling() -> bool:
        status = (station.kubectl.get(*server) or {})["status"]
        return bool(status["updateRevision"] != status["currentRevision"])

    wait_for("the rollout to begin", is_rolling)
    backend.restart_api_server()
    station.wait_ready("mstack", STACK, seconds=120)
    station.wait_ready("apol", "load")
    assert not is_rolling()
    pod = station.kubectl.get("pod", f"{STACK}-prometheus-0", station.namespace) or {}
    assert pod["metadata"]["labels"]["turn"] == "second"
    before = ("logs", f"deployment/{RELEASE}", "-n", NAMESPACE, "--previous")
    assert _starts(testbed) == operator, testbed.kubectl.run(*before, check=False)


def _starts(testbed: Testbed) -> dict[str, int]:
    """Return how often each pod of the operator has been started again, by uid."""
    return {
        pod["metadata"]["uid"]: sum(c["restartCount"] for c in pod["status"]["containerStatuses"])
        for pod in testbed.kubectl.list("pods", NAMESPACE)
    }

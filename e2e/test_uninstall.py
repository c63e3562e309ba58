"""`helm uninstall`: what is owed is given back first, and what cannot be stops it.

Helm 4 uninstalls what Helm 3 has installed, installs anew, and Helm 3 uninstalls that.
"""

import json
from collections.abc import Iterator

import pytest

from e2e.cluster.progress import ConsoleProgress
from e2e.conftest import VALUES
from e2e.installation import NAMESPACE, RELEASE, Testbed, helm, install, uninstall
from e2e.kubectl import condition, wait_for
from e2e.station import Station

HOOK = f"{RELEASE}-release"


@pytest.fixture
def episode(response_station: Station, by_helm_4: Testbed) -> Iterator[Station]:
    """Return a namespace in the middle of an episode; have Helm 4 install the operator after."""
    station = response_station
    station.kubectl.apply(station.response(recovery={"hold": "1h"}))
    station.wait_ready("aresp", "scale")
    station.signal(6)
    station.wait_replicas(2)
    station.wait_state("scale", "Active")
    yield station
    station.signal(0)
    install(by_helm_4, VALUES, ConsoleProgress())
    station.kubectl.delete("aresp", "scale", station.namespace)
    station.kubectl.run("scale", "deployment/api", "-n", station.namespace, "--replicas=1")


def test_an_uninstall_in_the_middle_of_an_episode_gives_back_first(
    episode: Station, by_helm_4: Testbed
) -> None:
    kubectl = episode.kubectl
    uninstall(by_helm_4)
    assert kubectl.replicas("api", episode.namespace) == 1
    found = kubectl.get("aresp", "scale", episode.namespace)
    assert found is not None
    assert "finalizers" not in found["metadata"]
    assert "ledger" not in found["status"]
    assert condition(found, "Accepted")["reason"] == "Released"
    assert episode.history() == ["ScaledUp", "Restored"]
    for kind, name in (
        ("deployment", RELEASE),
        ("job", HOOK),
        ("serviceaccount", HOOK),
        ("role", HOOK),
    ):
        assert kubectl.get(kind, name, NAMESPACE) is None, kind
    assert kubectl.get("clusterrole", HOOK) is None
    assert kubectl.get("statefulset", "main-prometheus", episode.namespace), "the stack runs on"


def test_an_uninstall_stops_at_what_cannot_be_given_back(
    episode: Station, by_helm_4: Testbed
) -> None:
    kubectl = episode.kubectl

    def write_schema(schema: int) -> None:
        patch = f'{{"status":{{"ledger":{{"schema":{schema}}}}}}}'
        kubectl.run(
            *("patch", "aresp", "scale", "-n", episode.namespace, "--subresource=status"),
            *("--type=merge", "-p", patch),
        )

    write_schema(99)
    with pytest.raises(RuntimeError, match="helm uninstall failed"):
        uninstall(by_helm_4)
    assert kubectl.replicas(RELEASE, NAMESPACE) == 0
    assert kubectl.replicas("api", episode.namespace) == 2
    said = kubectl.run("logs", f"job/{HOOK}", "-n", NAMESPACE)
    assert f"left: AutoResponse {episode.namespace}/scale: Deployment api is left at 2" in said
    events = kubectl.list("event", episode.namespace)
    assert "RestoreOwed" in {event["reason"] for event in events}

    kubectl.run("scale", f"deployment/{RELEASE}", "-n", NAMESPACE, "--replicas=2")
    where = ("--namespace", NAMESPACE)
    revision = str(json.loads(helm(by_helm_4, "status", RELEASE, *where, "-o", "json"))["version"])
    helm(by_helm_4, "rollback", RELEASE, revision, *where, "--wait", "--timeout=120s")
    assert "STATUS: deployed" in helm(by_helm_4, "status", RELEASE, *where)

    write_schema(1)
    uninstall(episode.testbed)
    assert kubectl.replicas("api", episode.namespace) == 1
    wait_for(
        "the operator to be gone", lambda: kubectl.get("deployment", RELEASE, NAMESPACE) is None
    )

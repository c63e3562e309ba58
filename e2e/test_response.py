"""Responses: raised once, put back exactly, left alone when somebody else steps in."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e import operators
from e2e.kubectl import wait_for
from e2e.station import ALERT, Station

SEND = """
import json, socket, sys, urllib.error, urllib.request
arguments = json.load(sys.stdin)
headers = {"Content-Type": "application/json", **arguments["headers"]}
body = json.dumps(arguments["alerts"]).encode()
found = socket.getaddrinfo(arguments["host"], 9095, socket.AF_INET, socket.SOCK_STREAM)
statuses = []
for address in sorted({each[4][0] for each in found}):
    request = urllib.request.Request(f"http://{address}:9095/api/v2/alerts", body, headers)
    try:
        statuses.append(urllib.request.urlopen(request).status)
    except urllib.error.HTTPError as error:
        statuses.append(error.code)
print(json.dumps(statuses))
"""
RECEIVER = "firewatch-receiver.firewatch.svc"


@pytest.fixture
def station(response_station: Station) -> Iterator[Station]:
    """Give each test a target at one replica, no response and no alert, and clean up after it."""
    yield response_station
    response_station.signal(0)
    kubectl, namespace = response_station.kubectl, response_station.namespace
    for found in kubectl.list("aresp", namespace):
        kubectl.delete("aresp", found["metadata"]["name"], namespace)
    kubectl.run("scale", "deployment/api", "-n", namespace, "--replicas=1")
    wait_for(
        "the alert to resolve", lambda: not response_station.query(f'ALERTS{{alertname="{ALERT}"}}')
    )


def send(station: Station, token: str | None, alerts: list[object]) -> int:
    """Post alerts to every replica, as a Prometheus does; return the HTTP status of all of them."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    arguments = {"host": RECEIVER, "headers": headers, "alerts": alerts}
    pod = ("exec", "-i", "deploy/signal", "-n", station.namespace, "--")
    text = station.kubectl.run(
        *pod, "/opt/venv/bin/python3", "-c", SEND, stdin=json.dumps(arguments)
    )
    statuses: list[int] = json.loads(text)
    assert len({*statuses}) == 1, statuses
    return statuses[0]


def start(station: Station, **overrides: Any) -> None:
    station.kubectl.apply(station.response(**overrides))
    station.wait_ready("aresp", "scale")


def test_an_alert_raises_the_target_and_its_end_puts_it_back(station: Station) -> None:
    start(station)
    station.signal(6)
    station.wait_replicas(2)
    found = station.wait_state("scale", "Active")
    assert found["metadata"]["finalizers"]
    assert found["status"]["ledger"]["baseline"] == 1
    station.signal(0)
    station.wait_replicas(1)
    found = station.wait_state("scale", "Idle")
    assert station.history() == ["ScaledUp", "Restored"]
    assert "ledger" not in found["status"]
    wait_for(
        "the finalizer to go",
        lambda: (
            not (station.kubectl.get("aresp", "scale", station.namespace) or {})["metadata"].get(
                "finalizers"
            )
        ),
    )
    events = station.kubectl.list("event", station.namespace)
    reasons = {(e["involvedObject"]["kind"], e["reason"]) for e in events}
    assert {("AutoResponse", "ScaledUp"), ("Deployment", "Restored")} <= reasons


def test_a_ramp_goes_down_in_steps(station: Station) -> None:
    start(
        station,
        actions=[{"scaleUp": {"by": 3, "maxReplicas": 4}}],
        recovery={"hold": "1s", "rampDown": {"step": "40%", "every": "1s"}},
    )
    station.signal(6)
    station.wait_replicas(4)
    station.signal(0)
    station.wait_replicas(1)
    station.wait_state("scale", "Idle")
    assert station.history() == ["ScaledUp", "RampedDown", "Restored"]


def test_another_alert_of_the_kind_makes_no_ladder(station: Station) -> None:
    other = station.policy("other", alert="OtherLoad", above=7)
    station.kubectl.apply(other)
    station.wait_ready("apol", "other")
    start(station)
    # Twice the replicas would carry the load that is left, which is not what this is about.
    recovery = {"hold": "2s", "loadAware": False}
    second = station.response("second", trigger={"alert": "OtherLoad"}, recovery=recovery)
    station.kubectl.apply(second)
    station.wait_ready("aresp", "second")
    station.signal(6)
    station.wait_replicas(2)
    station.signal(8)
    station.wait_state("second", "Active")
    assert station.kubectl.replicas("api", station.namespace) == 2
    station.signal(6)
    station.wait_state("second", "Idle", "Holding", "Restoring")
    assert station.kubectl.replicas("api", station.namespace) == 2
    station.signal(0)
    station.wait_replicas(1)
    station.kubectl.delete("apol", "other", station.namespace)


@pytest.mark.parametrize(
    ("foreign", "who"),
    # What is scaled to 0 leaves no trace in managedFields of who did it.
    [(3, "kubectl"), (0, "somebody else")],
)
def test_a_target_scaled_by_hand_is_left_alone_and_the_status_says_who_did_it(
    station: Station, foreign: int, who: str
) -> None:
    start(station)
    station.signal(6)
    station.wait_replicas(2)
    station.wait_state("scale", "Active")
    scale = ("scale", "deployment/api", "-n", station.namespace, f"--replicas={foreign}")
    station.kubectl.run(*scale)
    found = station.wait_state("scale", "Released")
    assert who in found["status"]["message"]
    station.signal(0)
    station.wait_state("scale", "Idle", "Refused")
    assert station.kubectl.replicas("api", station.namespace) == foreign
    assert station.history() == ["ScaledUp", "Released", "RestoreSkipped"]


def test_a_deleted_response_puts_the_target_back_first(station: Station) -> None:
    start(station, recovery={"hold": "1h"})
    station.signal(6)
    station.wait_replicas(2)
    station.wait_state("scale", "Active")
    station.kubectl.delete("aresp", "scale", station.namespace)
    assert station.kubectl.replicas("api", station.namespace) == 1


@pytest.mark.parametrize(("mode", "event"), [("observe", "Observed"), ("dryRun", "DryRun")])
def test_other_modes_change_nothing(station: Station, mode: str, event: str) -> None:
    start(station, mode=mode)
    station.signal(6)
    found = station.wait_state("scale", "WouldAct")
    assert "would scale api 1 → 2" in found["status"]["message"]
    # On a slow machine a scrape may fail, and the alert then fires anew.
    assert set(station.history()) == {event}
    assert station.kubectl.replicas("api", station.namespace) == 1


def test_only_the_stacks_own_prometheus_may_push(station: Station) -> None:
    start(station)
    alert = {"labels": {"alertname": ALERT}}
    other = station.kubectl.run(
        "create", "token", "default", "-n", station.namespace, "--audience=firewatch-receiver"
    ).strip()
    unbound = station.kubectl.run(
        *("create", "token", "firewatch-prometheus", "-n", station.namespace),
        "--audience=firewatch-receiver",
    ).strip()
    wrong_audience = station.kubectl.run(
        "create", "token", "firewatch-prometheus", "-n", station.namespace
    ).strip()
    for token in (None, "nonsense", other, unbound, wrong_audience):
        assert send(station, token, [alert]) == 401
    assert station.kubectl.replicas("api", station.namespace) == 1
    assert station.history() == []
    name = 'firewatch_receiver_requests_total{result="unauthenticated"}'
    for pod in operators.names(station.testbed):
        assert operators.figure(station.testbed, pod, name) >= 5


def test_a_hundred_copies_are_one_action_and_a_mixed_message_is_read_alert_by_alert(
    station: Station,
) -> None:
    # The real Prometheus cannot be made to stutter, so its own pod's token is borrowed.
    start(station)
    token = pod_token(station)
    firing = {"labels": {"alertname": ALERT, "instance": "x"}}
    resolved = {**firing, "endsAt": "2020-01-01T00:00:00Z"}
    resolved["labels"] = {"alertname": ALERT, "instance": "y"}
    station.signal(6)
    station.wait_replicas(2)
    assert send(station, token, [firing] * 100 + [resolved] + ["nonsense"]) == 200
    station.wait_state("scale", "Active")
    assert station.kubectl.replicas("api", station.namespace) == 2
    assert station.history() == ["ScaledUp"]


def pod_token(station: Station) -> str:
    """Return a token like the one that the stack's Prometheus pod has."""
    (pod,) = station.kubectl.list("pod", station.namespace, "app.kubernetes.io/name=prometheus")
    metadata = pod["metadata"]
    return station.kubectl.run(
        *("create", "token", "firewatch-prometheus", "-n", station.namespace),
        *("--audience=firewatch-receiver", "--bound-object-kind=Pod"),
        *(f"--bound-object-name={metadata['name']}", f"--bound-object-uid={metadata['uid']}"),
    ).strip()


def test_an_alert_that_prometheus_does_not_confirm_is_undone(station: Station) -> None:
    start(station)
    assert send(station, pod_token(station), [{"labels": {"alertname": ALERT}}]) == 200
    station.wait_replicas(2)
    station.wait_replicas(1)
    assert station.history() == ["ScaledUp", "Restored"]

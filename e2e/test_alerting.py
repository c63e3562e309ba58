"""Alertmanager in real pods: people are told, once, and by the Secrets as they are now."""

import pytest

from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, condition, wait_for
from e2e.messages import EMAIL, PAGERDUTY, SLACK, WEBHOOK, Message, Recorder, record
from e2e.station import STACK, Station
from firewatch.api.resource import parse_duration


@pytest.fixture(scope="module")
def station(testbed: Testbed, recorder: Recorder) -> Station:
    """Return a namespace with Prometheus, a mesh of two Alertmanagers and four receivers."""
    found = Station(testbed, "e2e-alerting")
    stack = found.stack()
    image = testbed.image("alertmanager", ConsoleProgress())
    stack["spec"]["alerting"] = {"image": image, "replicas": 2, **settings(recorder)}
    found.kubectl.apply(
        namespace(found.namespace),
        *found.applications(),
        secret(found, recorder.slack_url),
        stack,
    )
    found.wait_ready("mstack", STACK, seconds=120)
    return found


def secret(station: Station, slack_url: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys", "namespace": station.namespace},
        "stringData": {"pager": "routing-key-1", "chat": slack_url},
    }


def settings(recorder: Recorder) -> Object:
    pager = {"routingKey": {"name": "keys", "key": "pager"}, "url": recorder.pagerduty_url}
    chat = {"apiUrl": {"name": "keys", "key": "chat"}, "title": "{{ .CommonLabels.alertname }}"}
    return {
        "smtp": {"smarthost": recorder.smarthost, "from": "alerts@a.example", "requireTls": False},
        "receivers": [
            {"name": "hook", "webhook": [{"url": recorder.webhook_url}]},
            {"name": "pager", "pagerduty": [pager]},
            {"name": "chat", "slack": [chat], "email": [{"to": "you@a.example"}]},
        ],
        "route": {
            "receiver": "hook",
            "groupBy": ["alertname"],
            "groupWait": "1s",
            "groupInterval": "1s",
            "repeatInterval": "1h",
            "routes": [
                {"matchers": ["severity=critical"], "receiver": "pager"},
                {"matchers": ["severity=warning"], "receiver": "chat"},
            ],
        },
    }


def fire(station: Station, name: str, severity: str = "info", **spec: object) -> None:
    rule = {"alert": name, "expr": "vector(1)", "labels": {"severity": severity}}
    groups = [{"name": "g", "interval": "1s", "rules": [rule]}]
    policy = station.resource("AlertPolicy", name.lower(), {"groups": groups, **spec})
    station.kubectl.apply(policy)


def arrived(recorder: Recorder, channel: str, word: str) -> Message:
    found = wait_for(f"{word} by {channel}", lambda: recorder.messages(channel, word), seconds=120)
    assert found
    return found[0]


def test_each_alert_is_told_once_to_whom_it_should_be(station: Station, recorder: Recorder) -> None:
    fire(station, "Critical", "critical")
    fire(station, "Warning", "warning")
    fire(station, "Other")
    page = arrived(recorder, PAGERDUTY, "Critical")
    assert page.content["routing_key"] == "routing-key-1"
    arrived(recorder, SLACK, "Warning")
    arrived(recorder, EMAIL, "Warning")
    arrived(recorder, WEBHOOK, "Other")
    # Later alerts have come through both pods by the time that they arrive.
    fire(station, "Later")
    arrived(recorder, WEBHOOK, "Later")
    for channel, word in (
        (PAGERDUTY, "Critical"),
        (SLACK, "Warning"),
        (EMAIL, "Warning"),
        (WEBHOOK, '"Other"'),
    ):
        assert len(recorder.messages(channel, word)) == 1


def test_a_route_of_a_policy_tells_somebody_besides(station: Station, recorder: Recorder) -> None:
    routes = [{"matchers": ["alertname=Routed"], "receiver": "pager"}]
    fire(station, "Routed", routes=routes)
    station.wait_ready("apol", "routed")
    assert condition(station.kubectl.get("apol", "routed", station.namespace), "Routed")
    arrived(recorder, PAGERDUTY, "Routed")
    arrived(recorder, WEBHOOK, "Routed")


def test_people_are_told_within_the_time_that_the_status_says(
    station: Station, recorder: Recorder
) -> None:
    """From the first sample over the limit, by Prometheus' clock, to the message that was taken."""
    rule = {"alert": "Detected", "expr": "freeagentics_demo_load > 5", "for": "5s"}
    groups = [{"name": "g", "interval": "1s", "rules": [rule]}]
    station.kubectl.apply(station.resource("AlertPolicy", "detected", {"groups": groups}))
    station.wait_ready("apol", "detected")
    wait_for("the signal", lambda: station.query("freeagentics_demo_load"))
    station.signal(9)
    message = arrived(recorder, WEBHOOK, "Detected")
    times = "timestamp(freeagentics_demo_load > 5)"
    (first,) = station.query(f"min_over_time(({times})[5m:1s])")
    took = message.received.timestamp() - float(first["value"][1])
    live = station.kubectl.get("apol", "detected", station.namespace)
    assert live
    (within,) = (each["within"] for each in live["status"]["detection"])
    assert within == "8s"  # a scrape and an evaluation of 1s, for 5s, groupWait 1s
    print(f"told {took:.1f} s after the first sample; the status says {within}")
    assert 5 <= took <= parse_duration(within) + 5  # for a machine that is busy


def test_a_rotated_secret_is_used_within_a_minute_and_no_pod_restarts(
    station: Station, recorder: Recorder
) -> None:
    def pods() -> set[str]:
        return {each["metadata"]["uid"] for each in station.kubectl.list("pods", station.namespace)}

    before = pods()
    assert station.testbed.cluster.host_address
    with record(station.testbed.cluster.host_address) as other:
        secret_before = alertmanager_secret(station)
        station.kubectl.apply(secret(station, other.slack_url))
        wait_for(
            "the copy", lambda: alertmanager_secret(station) != secret_before or None, seconds=60
        )
        station.wait_ready("mstack", STACK)
        fire(station, "Rotated", "warning")
        arrived(other, SLACK, "Rotated")
    assert recorder.messages(SLACK, "Rotated") == []
    assert pods() == before


def test_without_alerting_the_secret_and_the_pods_go(station: Station) -> None:
    station.kubectl.apply(station.stack())

    def gone() -> bool:
        parts = (("secret", f"{STACK}-alertmanager-config"), ("sts", f"{STACK}-alertmanager"))
        return not any(station.kubectl.get(*part, station.namespace) for part in parts)

    assert wait_for("Alertmanager and its Secret to go", gone)


def alertmanager_secret(station: Station) -> Object:
    found = station.kubectl.get("secret", f"{STACK}-alertmanager-config", station.namespace)
    assert found
    data: Object = found["data"]
    return data

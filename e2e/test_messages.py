"""A message about one alert arrives by every channel, with the right content and in time.

With the settings, the reading and the limits of `make demo`, but without its load.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from e2e import operators
from e2e.cluster.progress import ConsoleProgress
from e2e.demo.messages import CHANNELS, build_alerting, build_secret, read_deliveries
from e2e.demo.names import ALERT
from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, wait_for
from e2e.messages import Recorder
from e2e.station import STACK, Station

NAMESPACE = "e2e-messages"


def policy(station: Station) -> Object:
    rule = {
        "alert": ALERT,
        "expr": "vector(1)",
        "labels": {"severity": "warning"},
        "annotations": {"description": "CPU usage is above 80% for more than 5 minutes"},
    }
    groups = [{"name": "runbook", "interval": "1s", "rules": [rule]}]
    return station.resource("AlertPolicy", "runbook", {"groups": groups})


def fired(station: Station) -> datetime:
    def probe() -> str:
        alerts: list[Object] = station.prometheus("alerts")["alerts"]
        found = [each for each in alerts if each["labels"]["alertname"] == ALERT]
        assert found
        assert found[0]["state"] == "firing"
        return str(found[0]["activeAt"])

    return datetime.fromisoformat(wait_for("the alert to fire", probe))


def test_one_alert_is_told_by_every_channel_within_group_wait(
    testbed: Testbed, recorder: Recorder
) -> None:
    image = testbed.image("alertmanager", ConsoleProgress())
    station = Station(testbed, NAMESPACE)
    stack = station.stack()
    stack["spec"]["metrics"].pop("scrapeJobs")
    stack["spec"]["alerting"] = build_alerting(recorder, image)
    station.kubectl.apply(namespace(NAMESPACE), build_secret(recorder, NAMESPACE), stack)
    station.wait_ready("mstack", STACK, seconds=180)
    station.kubectl.apply(policy(station))
    began = fired(station)
    for channel in CHANNELS:
        wait_for(f"a message by {channel}", partial(recorder.messages, channel, ALERT))
    deliveries = read_deliveries(recorder, began)
    assert [delivery.channel for delivery in deliveries] == list(CHANNELS)
    for delivery in deliveries:
        print(f"{delivery.channel} after {delivery.after_firing_s} s: {delivery.told}")


def texts(station: Station) -> Iterator[tuple[str, str]]:
    """Yield all that pods and the API server say to people who may read everything but Secrets."""
    kubectl = station.kubectl
    for pod in kubectl.list("pods", NAMESPACE):
        name = pod["metadata"]["name"]
        yield f"log of {name}", kubectl.run("logs", name, "-n", NAMESPACE, "--all-containers")
    yield "the operator's log", operators.log(station.testbed, since="24h")
    kinds = "configmaps,events,pods,statefulsets,services,mstack,apol"
    yield "objects", kubectl.run("get", kinds, "-n", NAMESPACE, "-o", "json")
    yield "Prometheus' configuration", station.prometheus("status/config")["yaml"]


def test_what_it_is_sent_with_stands_in_secrets_only(testbed: Testbed, recorder: Recorder) -> None:
    station = Station(testbed, NAMESPACE)
    values = build_secret(recorder, NAMESPACE)["stringData"].values()
    found = dict(texts(station))
    assert all(found.values()), "everything has something to say"
    assert [where for where, text in found.items() if any(v in text for v in values)] == []

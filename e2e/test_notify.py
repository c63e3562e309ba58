"""People are told by the operator itself: the runbook's `alert_created → notify_team`, and an episode."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import operators
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Testbed
from e2e.kubectl import Object, wait_for
from e2e.messages import SLACK, WEBHOOK, Message, Recorder
from e2e.station import ALERT, STACK, Station

NAMESPACE = "e2e-notify"
EXAMPLE = Path(__file__).parents[1] / "examples" / "autoresponse-notify-team.yaml"


@pytest.fixture(scope="module")
def station(testbed: Testbed, recorder: Recorder) -> Station:
    """Return a namespace with a stack that has no Alertmanager, and a Secret with an address."""
    found = Station(testbed, NAMESPACE)
    found.set_up()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "chat", "namespace": NAMESPACE},
        "stringData": {"url": recorder.slack_url},
    }
    found.kubectl.apply(secret)
    return found


def arrived(recorder: Recorder, channel: str, moment: str, *, response: str) -> Message:
    """Return the one message of a response about a moment, once it has arrived."""
    word = f"{moment} by {response}"
    (found,) = wait_for(f"a message: {word}", partial(recorder.messages, channel, word))
    return found


def notify(name: str, url: Object, **more: Any) -> Object:
    return {"notify": {**url, "message": f"{{moment}} by {name}: {{happened}}", **more}}


def test_an_episode_is_told_though_there_is_no_alertmanager_and_one_endpoint_is_dead(
    station: Station, recorder: Recorder
) -> None:
    slack = {"slack": {"apiUrl": {"name": "chat", "key": "url"}}}
    # Nothing answers there: it costs the time until that is noticed, and nobody else any.
    dead = {"webhook": {"url": f"http://api.{NAMESPACE}.svc:9"}}
    scale = {"scaleUp": {"by": "100%", "maxReplicas": 4}}
    actions = [scale, notify("dead", dead), notify("scale", slack)]
    station.kubectl.apply(station.response(actions=actions))
    station.wait_reason("aresp", "scale", "Notifying", "Notifying")
    station.signal(6)
    station.wait_replicas(2)
    arrived(recorder, SLACK, "opened", response="scale")
    acted = arrived(recorder, SLACK, "acted", response="scale")
    assert f"{ALERT}: scaled api 1 → 2 (baseline 1)" in acted.text
    failing = station.wait_reason("aresp", "scale", "Notifying", "DeliveryFailed")
    assert "webhook api.e2e-notify.svc:9: " in failing["message"]
    station.signal(0)
    station.wait_replicas(1)
    arrived(recorder, SLACK, "restored", response="scale")
    station.wait_state("scale", "Idle")
    assert station.history() == ["ScaledUp", "Restored"]
    assert len(recorder.messages(SLACK, "by scale")) == 3
    shown = station.kubectl.run("get", "aresp,events", "-n", NAMESPACE, "-o", "json")
    said = operators.log(station.testbed, since="24h")
    assert recorder.slack_url not in shown + said, "it stands in its Secret only"
    station.kubectl.delete("aresp", "scale", NAMESPACE)


def test_notify_team_is_told_of_an_alert_that_is_created(
    station: Station, recorder: Recorder, testbed: Testbed
) -> None:
    (example,) = yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8"))
    receiver = example["spec"]["actions"][0]["notify"]["receiver"]
    stack = station.stack()
    stack["spec"]["alerting"] = {
        "image": testbed.image("alertmanager", ConsoleProgress()),
        "receivers": [
            {"name": "nobody"},
            {"name": receiver, "webhook": [{"url": recorder.webhook_url}]},
        ],
        "route": {"receiver": "nobody"},
    }
    station.kubectl.apply(stack)
    station.wait_ready("mstack", STACK, seconds=180)
    example["metadata"]["namespace"] = NAMESPACE
    example["spec"]["stackRef"] = {"name": STACK}
    example["spec"]["recovery"] = {"hold": "2s"}
    station.kubectl.apply(example)
    station.wait_ready("aresp", example["metadata"]["name"])
    station.signal(6)
    opened = wait_for("the team to be told", partial(recorder.messages, WEBHOOK, f"{ALERT} opened"))
    assert "severity warning, seen 1 times" in opened[0].text
    assert opened[0].content["firewatch"]["response"] == "notify-team"
    station.signal(0)
    wait_for("the team to be told", partial(recorder.messages, WEBHOOK, f"{ALERT} restored"))
    assert len(recorder.messages(WEBHOOK, f"{ALERT} opened")) == 1
    assert station.kubectl.replicas("api", NAMESPACE) == 1
    station.wait_state("notify-team", "Idle")

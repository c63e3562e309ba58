"""The messages that the demo's alert sends to people, and what is to stand in them.

The services are stand-ins on this machine (`e2e.messages`); Alertmanager sends to them as it would
to the real ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from e2e.demo.names import ALERT, NAMESPACE, STACK, DemoError
from e2e.kubectl import Object
from e2e.messages import EMAIL, PAGERDUTY, SLACK, WEBHOOK, Message, Recorder

GROUP_WAIT = 2.0
"""Seconds, as it is written below."""
_TRANSIT = 3.0
"""Seconds that a message may be on its way, on a node whose cores are all busy."""
CHANNELS = (SLACK, PAGERDUTY, WEBHOOK, EMAIL)
_SECRET = "demo-messages"
_ROUTING_KEY = "demo-routing-key"
_MAILBOX = "oncall@example.com"
_CHANNEL = "#alerts"
_SUMMARY = "CPU usage is above 80%"


@dataclass(frozen=True)
class Delivery:
    """A message that has arrived with the right content, in time."""

    channel: str
    after_firing_s: float
    told: str

    @property
    def row(self) -> Object:
        """Return what the report says of it."""
        return {
            "channel": self.channel,
            "after_firing_s": self.after_firing_s,
            "told": self.told,
        }


def build_secret(recorder: Recorder, namespace: str) -> Object:
    """Return the Secret with what would be the credentials of the services."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _SECRET, "namespace": namespace},
        "stringData": {"slack-url": recorder.slack_url, "pagerduty-key": _ROUTING_KEY},
    }


def build_alerting(recorder: Recorder, image: str) -> Object:
    """Return the stack's block `alerting`: one receiver that is told in every way."""
    text = "{{ range .Alerts }}{{ .Annotations.description }}{{ end }}"
    slack = {
        "apiUrl": {"name": _SECRET, "key": "slack-url"},
        "channel": _CHANNEL,
        "title": "{{ .CommonLabels.alertname }}",
        "text": text,
    }
    pagerduty = {
        "routingKey": {"name": _SECRET, "key": "pagerduty-key"},
        "url": recorder.pagerduty_url,
        "description": "{{ .CommonLabels.alertname }}: " + text,
    }
    return {
        "image": image,
        "smtp": {
            "smarthost": recorder.smarthost,
            "from": "firewatch@example.com",
            "requireTls": False,
        },
        "receivers": [
            {
                "name": "everybody",
                "slack": [slack],
                "pagerduty": [pagerduty],
                "webhook": [{"url": recorder.webhook_url}],
                "email": [{"to": _MAILBOX}],
            }
        ],
        "route": {
            "receiver": "everybody",
            "groupBy": ["alertname"],
            "groupWait": f"{GROUP_WAIT:g}s",
            "groupInterval": "5s",
        },
    }


def describe(message: Message) -> str:
    """Return one line about a message, for the screen."""
    told = _READERS[message.channel](message.content)
    return f"{message.channel}: {told}"


def read_deliveries(recorder: Recorder, fired: datetime) -> list[Delivery]:
    """Return one message of each channel; ``DemoError`` names what is missing, wrong or late."""
    return [_deliver(recorder, channel, fired) for channel in CHANNELS]


def _deliver(recorder: Recorder, channel: str, fired: datetime) -> Delivery:
    hints = (
        f"kubectl describe mstack {STACK} -n {NAMESPACE}",
        f"kubectl logs -n {NAMESPACE} {STACK}-alertmanager-0",
    )
    arrived = [each for each in recorder.messages(channel, ALERT) if each.received >= fired]
    if not arrived:
        raise DemoError(f"No message about {ALERT} has arrived by {channel}.", *hints)
    first = arrived[0]
    for part in _wanted(channel):
        if part not in first.text:
            raise DemoError(
                f"The first message by {channel} does not say {part!r}: {first.text}", *hints
            )
    seconds = round((first.received - fired).total_seconds(), 3)
    if seconds > GROUP_WAIT + _TRANSIT:
        raise DemoError(
            f"The message by {channel} came {seconds} s after the alert had fired, more than "
            f"group_wait ({GROUP_WAIT:g} s) and {_TRANSIT:g} s on the way.",
            *hints,
        )
    return Delivery(channel, seconds, _READERS[channel](first.content))


def _wanted(channel: str) -> Sequence[str]:
    """Return what must stand in a channel's message, besides the alert's name."""
    return {
        SLACK: (_CHANNEL, _SUMMARY),
        PAGERDUTY: (_ROUTING_KEY, '"event_action": "trigger"', _SUMMARY),
        WEBHOOK: ('"status": "firing"', '"severity": "warning"', _SUMMARY),
        EMAIL: (_MAILBOX, _SUMMARY),
    }[channel]


def _slack(content: Mapping[str, Any]) -> str:
    (attachment, *_) = content["attachments"]
    return f"{content['channel']} {attachment['title']}: {attachment['text']}"


def _pagerduty(content: Mapping[str, Any]) -> str:
    summary = content.get("payload", {}).get("summary", "")
    return f"{content['event_action']} {summary}".strip()


def _webhook(content: Mapping[str, Any]) -> str:
    return f"{content['status']} {content['groupLabels'].get('alertname', '')}"


def _email(content: Mapping[str, Any]) -> str:
    return f"to {', '.join(content['to'])}: {content['subject']}"


_READERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    SLACK: _slack,
    PAGERDUTY: _pagerduty,
    WEBHOOK: _webhook,
    EMAIL: _email,
}

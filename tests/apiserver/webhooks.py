"""What an Alertmanager that people run themselves sends, and the AutoResponse's side of it."""

from typing import Any

from tests.apiserver.episodes import ALERT

TOKEN = "a-token-that-nobody-guesses"
SOURCE = {
    "prometheus": {"url": "http://127.0.0.1:9"},
    "webhookToken": {"name": "webhook", "key": "token"},
}
"""A Prometheus that is down, and the Secret with the token of its Alertmanager."""


def message(*statuses: str, **fields: Any) -> dict[str, Any]:
    """Return a message with an alert of each status."""
    alerts = [
        {"status": status, "labels": {"alertname": ALERT, "n": str(number)}}
        for number, status in enumerate(statuses)
    ]
    return {"version": "4", "status": "firing", "alerts": alerts, **fields}

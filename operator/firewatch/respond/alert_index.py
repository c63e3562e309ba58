"""Alerts that came together, found by what triggers ask for (pure).

A storm is thousands of alerts at once, for hundreds of AutoResponses that each ask for a few of them.
"""

from collections.abc import Iterable, Sequence

from firewatch.api.triggers import Trigger
from firewatch.respond.alerts import Alert, matches


class AlertIndex:
    """Alerts by the values of those labels that triggers name."""

    def __init__(self, alerts: Iterable[Alert]) -> None:
        self._alerts = list(alerts)
        self._by_label: dict[str, dict[str, list[Alert]]] = {}

    def matching(self, trigger: Trigger) -> list[Alert]:
        """Return the alerts that start the response, in their order."""
        return [alert for alert in self._likely(trigger) if matches(trigger, alert.labels)]

    def _likely(self, trigger: Trigger) -> Sequence[Alert]:
        """Return those with the one wanted label that the fewest have."""
        wanted = [*trigger.labels.items()]
        if trigger.alert:
            wanted.append(("alertname", trigger.alert))
        found = (self._values(label).get(value, []) for label, value in wanted)
        return min(found, key=len, default=self._alerts)

    def _values(self, label: str) -> dict[str, list[Alert]]:
        values = self._by_label.get(label)
        if values is None:
            values = self._by_label[label] = {}
            for alert in self._alerts:
                if label in alert.labels:
                    values.setdefault(alert.labels[label], []).append(alert)
        return values

"""What is the case in the cluster right now."""

import time
from collections.abc import Iterator
from typing import Any

from e2e.demo.api import Api, Prometheus, Rule
from e2e.demo.names import ALERT, NAMESPACE, RESPONSE, TARGET, DemoError
from e2e.demo.timeline import Sample
from e2e.kubectl import Object

_DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{TARGET}"
_RESPONSE = (
    f"/apis/monitoring.freeagentics.io/v1alpha1/namespaces/{NAMESPACE}/autoresponses/{RESPONSE}"
)
_EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
_SLOW_SECONDS = 0.5
"""How often Prometheus and the Events are asked; replicas and response each time."""


class Watcher:
    """Looks at the cluster again and again."""

    def __init__(self, api: Api) -> None:
        self.prometheus = Prometheus(api)
        self.began = time.monotonic()
        self._api = api
        self._rule = self._require_rule()
        self._cpu: float | None = None
        self._asked = 0.0
        self._known = {event["metadata"]["uid"] for event in self._list_events()}
        self._news: list[Object] = []

    @property
    def elapsed(self) -> float:
        """Return the seconds since this watcher was made."""
        return time.monotonic() - self.began

    @property
    def rule(self) -> Rule:
        """Return the alert's rule, as it was when Prometheus was last asked."""
        return self._rule

    def look(self) -> Sample:
        """Return what is the case now."""
        deployment = self._api.get(_DEPLOYMENT)
        status = self.response().get("status", {})
        if time.monotonic() - self._asked >= _SLOW_SECONDS:
            self._asked = time.monotonic()
            self._ask_slow_ones()
        return Sample(
            at=self.elapsed,
            cpu=self._cpu,
            alert=self._rule.state,
            wanted=deployment["spec"]["replicas"],
            ready=deployment.get("status", {}).get("readyReplicas", 0),
            response=status.get("state", ""),
            message=status.get("message", ""),
        )

    def response(self) -> Any:
        """Return the AutoResponse."""
        return self._api.get(_RESPONSE)

    def news(self) -> Iterator[str]:
        """Return the Events that have come since the last call, each in one line."""
        news, self._news = self._news, []
        for event in news:
            thing = event["involvedObject"]
            yield f"{thing['kind']} {thing['name']}: {event['reason']}: {event['message']}"

    def _ask_slow_ones(self) -> None:
        self._rule = self._require_rule()
        self._cpu = self.prometheus.value(self._rule.value)
        for event in self._list_events():
            uid = event["metadata"]["uid"]
            if uid not in self._known and _is_telling(event):
                self._news.append(event)
            self._known.add(uid)

    def _require_rule(self) -> Rule:
        rule = self.prometheus.rule(ALERT)
        if rule is None:
            raise DemoError(
                f"Prometheus does not run the rule {ALERT}.", f"kubectl get apol -n {NAMESPACE}"
            )
        return rule

    def _list_events(self) -> list[Object]:
        events: list[Object] = self._api.get(_EVENTS)["items"]
        return sorted(events, key=lambda event: event["metadata"]["creationTimestamp"])


def _is_telling(event: Object) -> bool:
    """Tell whether an Event is about the story; Firewatch says on the target what it says twice."""
    thing = event["involvedObject"]
    if thing["kind"] == "AutoResponse":
        return True
    ours = event.get("source", {}).get("component") == "firewatch"
    return thing["kind"] == "Deployment" and thing["name"] == TARGET and not ours

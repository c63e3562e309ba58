"""What is the case in the cluster right now."""

import time
from collections.abc import Iterator
from typing import Any

from e2e.demo.api import Api, Prometheus, Rule
from e2e.demo.messages import describe
from e2e.demo.names import ALERT, NAMESPACE, RESPONSE, TARGET, DemoError
from e2e.demo.timeline import Sample
from e2e.kubectl import Object
from e2e.messages import Recorder

_DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{TARGET}"
_RESPONSE = (
    f"/apis/monitoring.freeagentics.io/v1alpha1/namespaces/{NAMESPACE}/autoresponses/{RESPONSE}"
)
_EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
_EVENT_SECONDS = 0.5
"""How often Events are listed; everything else is asked each time."""


class Watcher:
    """Looks at the cluster again and again."""

    def __init__(self, api: Api, recorder: Recorder) -> None:
        self.recorder = recorder
        self.prometheus = Prometheus(api)
        self.began = time.monotonic()
        self._api = api
        self._rule = self._require_rule()
        self._listed = 0.0
        self._known = {_version(event) for event in self._list_events()}
        self._told = len(recorder.messages())

    @property
    def elapsed(self) -> float:
        """Return the seconds since this watcher was made."""
        return time.monotonic() - self.began

    @property
    def rule(self) -> Rule:
        """Return the alert's rule, as it was when Prometheus was last asked."""
        return self._rule

    def look(self) -> Sample:
        """Return what is the case now.

        Replicas first: when they have changed, the alert that is asked for next is not older.
        """
        deployment = self._api.get(_DEPLOYMENT)
        status = self.response().get("status", {})
        self._rule = self._require_rule()
        return Sample(
            at=self.elapsed,
            cpu=self.prometheus.value(self._rule.value),
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
        """Return the messages and Events that have come since the last call, each in one line."""
        messages = self.recorder.messages()
        yield from (describe(message) for message in messages[self._told :])
        self._told = len(messages)
        if time.monotonic() - self._listed < _EVENT_SECONDS:
            return
        self._listed = time.monotonic()
        for event in self._list_events():
            if _version(event) not in self._known and _is_telling(event):
                kind = event["involvedObject"]["kind"]
                yield f"{kind}: {event['reason']}: {event['message']}"
            self._known.add(_version(event))

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


def _version(event: Object) -> str:
    """Tell Events apart; one that is repeated is the same object with a higher count."""
    return str(event["metadata"]["resourceVersion"])


def _is_telling(event: Object) -> bool:
    """Tell whether an Event is about the story; Firewatch says on the target what it says twice."""
    thing = event["involvedObject"]
    if thing["kind"] == "AutoResponse":
        return True
    ours = event.get("source", {}).get("component") == "firewatch"
    return thing["kind"] == "Deployment" and thing["name"] == TARGET and not ours

"""What is remembered of AutoResponses, when two passes find out about one at the same time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.resource import Object
from firewatch.api.responses import AutoResponseSpec
from firewatch.respond.alerts import Alert, AlertState
from firewatch.respond.registry import Entry, Registry, Sources, source_key
from firewatch.respond.signals import Pushed, Source, SourceState

SPEC = AutoResponseSpec.model_validate(
    {
        "trigger": {"alert": "Hot"},
        "target": {"name": "api"},
        "actions": [{"scaleUp": {"by": "100%", "maxReplicas": 4}}],
    }
)
LOST = bad("Accepted", "NoStack", "create one")
FOUND = good("Accepted", "Accepted", "alerts come from main")
SOURCE = source_key("shop", "main")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALERT = Alert("id", "Hot", {"alertname": "Hot"}, AlertState.FIRING, NOW)


def live(version: int, uid: str = "u") -> Object:
    metadata = {"name": "scale", "namespace": "shop", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": {**metadata, "managedFields": [{}]}, "status": {"seen": version}}


def entry(version: int, accepted: Finding = LOST) -> Entry:
    return Entry(live(version), SPEC, accepted, SOURCE if accepted is FOUND else None)


def known(registry: Registry) -> Entry:
    found = registry.get("shop", "scale")
    assert found
    return found


def test_a_status_written_meanwhile_does_not_undo_what_has_been_found() -> None:
    registry = Registry()
    registry.put(entry(1))
    registry.renew(live(2))
    registry.put(entry(1, FOUND))
    assert known(registry).accepted is FOUND
    assert registry.of_source(SOURCE) == [known(registry)]
    assert known(registry).live["status"] == {"seen": 2}


def test_what_is_written_by_an_older_finding_does_not_bring_that_back() -> None:
    registry = Registry()
    registry.put(entry(1))
    registry.put(entry(1, FOUND))
    registry.renew(live(2))
    assert known(registry).accepted is FOUND
    assert known(registry).live["status"] == {"seen": 2}


def test_an_older_object_is_not_taken_and_one_made_anew_is() -> None:
    registry = Registry()
    registry.put(entry(5))
    registry.renew(live(4))
    assert known(registry).live["status"] == {"seen": 5}
    registry.renew(live(3, uid="another"))
    assert known(registry).live["status"] == {"seen": 3}
    assert "managedFields" not in known(registry).live["metadata"]


def test_what_is_older_is_taken_if_nothing_was_written_while_it_was_read() -> None:
    registry = Registry()
    registry.put(entry(5))
    registry.renew(live(4), known(registry))
    assert known(registry).live["status"] == {"seen": 4}
    registry.put(entry(3, FOUND), known(registry))
    assert known(registry).live["status"] == {"seen": 3}
    before = known(registry)
    registry.renew(live(6))
    registry.put(entry(5, FOUND), before)
    assert known(registry).live["status"] == {"seen": 6}


def test_one_that_is_forgotten_is_not_remembered_by_a_write() -> None:
    registry = Registry()
    registry.put(entry(1))
    registry.drop("shop", "scale")
    registry.renew(live(2))
    assert registry.get("shop", "scale") is None


def test_what_was_found_before_a_response_was_as_it_is_is_not_about_it() -> None:
    sources = Sources()
    sources.polled(SOURCE, SourceState(NOW))
    sources.push(SOURCE, [ALERT], NOW)
    older = replace(entry(1, FOUND), since=NOW)
    newer = replace(entry(1, FOUND), since=NOW + timedelta(seconds=1))
    assert sources.known_to(entry(1, FOUND)) == sources.known_to(older) == sources.get(SOURCE)
    assert sources.known_to(newer) == Source()


@pytest.mark.parametrize(
    "changes",
    [{"actions": [{"circuitBreaker": {}}]}, {"recovery": {"onSilence": "release"}}],
    ids=["since when there are errors is not known", "whether it is muted is not known"],
)
def test_what_a_push_does_not_say_is_asked_first(changes: dict[str, Any]) -> None:
    wanted = SPEC.model_dump(by_alias=True, exclude_none=True) | changes
    asking = replace(entry(1, FOUND), spec=AutoResponseSpec.model_validate(wanted))
    sources = Sources()
    sources.push(SOURCE, [ALERT], NOW)
    assert sources.known_to(asking) == Source()
    assert sources.known_to(entry(1, FOUND)).pushed
    sources.polled(SOURCE, SourceState(NOW - timedelta(seconds=1), error="refused"))
    assert sources.known_to(asking).pushed, "it will not become known"


def remembering() -> Sources:
    """Return what a replica remembers that was pushed an alert, and then comes to lead."""
    sources = Sources()
    sources.push(SOURCE, [ALERT], NOW)
    sources.begin_anew()
    return sources


def test_what_was_pushed_before_a_replica_led_counts_if_the_source_cannot_be_asked() -> None:
    sources = remembering()
    assert sources.get(SOURCE) == Source(), "nobody knows whether it is over"
    failed = SourceState(NOW + timedelta(minutes=4), error="it is down")
    sources.polled(SOURCE, failed)
    assert sources.get(SOURCE) == Source(failed, {"id": Pushed(ALERT, NOW)})


def test_what_was_pushed_before_a_replica_led_is_over_if_the_source_says_so() -> None:
    sources = remembering()
    asked = SourceState(NOW + timedelta(seconds=1))
    sources.polled(SOURCE, asked)
    assert sources.get(SOURCE) == Source(asked)


def test_what_was_pushed_too_long_before_a_replica_led_is_forgotten() -> None:
    sources = remembering()
    sources.begin_anew()  # it lost the Lease before the source had been asked, and got it again
    failed = SourceState(NOW + timedelta(minutes=5), error="it is down")
    sources.polled(SOURCE, failed)
    assert sources.get(SOURCE) == Source(failed)


def test_what_is_pushed_to_a_replica_that_leads_counts_at_once() -> None:
    sources = remembering()
    later = NOW + timedelta(seconds=1)
    sources.push(SOURCE, [ALERT], later)
    assert sources.get(SOURCE).pushed == {"id": Pushed(ALERT, later)}

"""Events wake keys, but not for what the operator itself has written."""

import itertools
from collections.abc import Sized
from typing import Any

from firewatch.api.resource import Key
from firewatch.build.names import COMPONENT_LABEL
from firewatch.cluster.apply import HASH_ANNOTATION
from firewatch.cluster.kinds import (
    ALERT_POLICY,
    AUTO_RESPONSE,
    MONITORING_STACK,
    RETENTION_POLICY,
    Kind,
)
from firewatch.handlers import Backoffs, _child_handler, _own_handler


class Heard:
    """Hears which keys are woken."""

    def __init__(self, kind: Kind) -> None:
        self.keys: list[Key] = []
        self.kinds: list[str] = []
        self._handler = _own_handler(
            kind, self.keys.append, lambda kind, _namespace: self.kinds.append(kind), {}
        )

    async def event(self, type_: str | None, generation: int, **meta: Any) -> None:
        fields: dict[str, Any] = {
            "uid": "u",
            "generation": generation,
            "resourceVersion": "7",
            **meta,
        }
        await self._handler(namespace="ns", name="a", meta=fields, type=type_)


async def test_a_resource_wakes_its_key_once_per_generation() -> None:
    heard = Heard(AUTO_RESPONSE)
    await heard.event(None, 1)
    await heard.event("MODIFIED", 1)
    assert heard.keys == [Key("AutoResponse", "ns", "a")]
    await heard.event("MODIFIED", 2)
    await heard.event("MODIFIED", 2, deletionTimestamp="now")
    await heard.event("DELETED", 2, deletionTimestamp="now")
    assert len(heard.keys) == 4


async def test_a_label_that_changes_wakes_the_key() -> None:
    heard = Heard(ALERT_POLICY)
    await heard.event("ADDED", 1)
    await heard.event("MODIFIED", 1, labels={"team": "a"})
    await heard.event("MODIFIED", 1, labels={"team": "a"})
    assert len(heard.keys) == 2


async def test_a_resource_made_anew_wakes_its_key() -> None:
    heard = Heard(AUTO_RESPONSE)
    await heard.event("ADDED", 1)
    await heard.event("ADDED", 1, uid="another")
    assert len(heard.keys) == 2


async def test_a_resource_that_is_older_than_it_was_wakes_its_key() -> None:
    heard = Heard(AUTO_RESPONSE)
    for version, wakes in (("9", 1), ("11", 1), ("10", 2), ("10", 2), ("12", 2)):
        await heard.event("MODIFIED", 1, resourceVersion=version)
        assert len(heard.keys) == wakes


async def test_a_stack_that_comes_or_goes_wakes_its_neighbours() -> None:
    heard = Heard(MONITORING_STACK)
    await heard.event("ADDED", 1)
    assert heard.kinds == [ALERT_POLICY.kind, AUTO_RESPONSE.kind, RETENTION_POLICY.kind]
    await heard.event("MODIFIED", 2)
    assert len(heard.kinds) == 3
    await heard.event("DELETED", 2)
    assert len(heard.kinds) == 6


async def test_a_stack_that_comes_wakes_its_neighbours_whatever_kopf_tells_of_it() -> None:
    heard = Heard(MONITORING_STACK)
    await heard.event("MODIFIED", 1)
    assert len(heard.kinds) == 3, "added and changed at once"
    await heard.event("MODIFIED", 1, uid="another")
    assert len(heard.kinds) == 6, "deleted and made anew at once"


async def test_a_retention_policy_wakes_the_stacks_and_its_rivals() -> None:
    heard = Heard(RETENTION_POLICY)
    for type_, generation in (("ADDED", 1), ("MODIFIED", 2), ("DELETED", 2)):
        heard.kinds.clear()
        await heard.event(type_, generation)
        assert heard.kinds == [MONITORING_STACK.kind, RETENTION_POLICY.kind]


class HeardOfChildren:
    """Hears which keys the objects of a stack wake."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self._handler = _child_handler(lambda key: self.kinds.append(key.kind))

    async def event(self, type_: str, content: str | None, component: str = "rules") -> list[str]:
        """Return the kinds of the keys that an event wakes."""
        self.kinds.clear()
        labels = {"monitoring.freeagentics.io/stack": "main", COMPONENT_LABEL: component}
        annotations = {} if content is None else {HASH_ANNOTATION: content}
        await self._handler(
            namespace="ns", name="a", labels=labels, annotations=annotations, type=type_
        )
        return [*self.kinds]


async def test_an_object_of_a_stack_wakes_it_whatever_has_changed() -> None:
    heard = HeardOfChildren()
    for type_ in ("ADDED", "MODIFIED", "MODIFIED", "DELETED"):
        assert await heard.event(type_, "1", "metrics") == ["MonitoringStack"]


async def test_rules_that_their_pass_has_written_wake_nothing() -> None:
    heard = HeardOfChildren()
    assert await heard.event("ADDED", "1") == []
    assert await heard.event("MODIFIED", "2") == []


async def test_rules_that_others_touch_wake_their_pass_and_not_the_stack() -> None:
    heard = HeardOfChildren()
    await heard.event("ADDED", "1")
    assert await heard.event("MODIFIED", "1") == ["Rules"], "its hash is as before"
    assert await heard.event("MODIFIED", None) == ["Rules"], "its hash is gone"
    assert await heard.event("DELETED", None) == ["Rules"]


async def test_rules_whose_label_is_taken_wake_both() -> None:
    heard = HeardOfChildren()
    await heard.event("ADDED", "1")
    assert await heard.event("MODIFIED", "1", "other") == ["Rules", "MonitoringStack"]
    assert await heard.event("MODIFIED", "1", "other") == ["MonitoringStack"]


def test_requests_of_the_watches_are_tried_again_without_end() -> None:
    assert list(itertools.islice(Backoffs(), 7)) == [1, 2, 4, 8, 15, 30, 30]
    assert not isinstance(Backoffs(), Sized), "kopf gives up after the last of a sized collection"

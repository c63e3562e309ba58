"""What the annotation of an AutoResponse says about its pause."""

from datetime import UTC, datetime, timedelta

import pytest

from firewatch.api.responses import PAUSED_UNTIL
from firewatch.respond.pausing import find_pause

NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)


def pause(value: str | None) -> object:
    annotations = {} if value is None else {"annotations": {PAUSED_UNTIL: value}}
    return find_pause({"metadata": annotations}, NOW)


@pytest.mark.parametrize(
    "value", [None, "false", "2026-01-31T06:00:00Z", "2026-01-31T06:59:59+01:00"]
)
def test_no_pause(value: str | None) -> None:
    assert pause(value) is None


def test_a_pause_without_end() -> None:
    found = find_pause({"metadata": {"annotations": {PAUSED_UNTIL: "true"}}}, NOW)
    assert found
    assert (found.until, PAUSED_UNTIL in found.message) == (None, True)


def test_a_pause_with_an_end() -> None:
    found = find_pause({"metadata": {"annotations": {PAUSED_UNTIL: "2026-01-31T07:30:00Z"}}}, NOW)
    assert found
    assert found.until == NOW + timedelta(minutes=90)
    assert "2026-01-31T07:30:00Z" in found.message


@pytest.mark.parametrize("value", ["", "soon", "2026-01-31T06:00:00", "yes"])
def test_a_value_that_says_nothing_pauses_and_names_the_remedy(value: str) -> None:
    found = find_pause({"metadata": {"annotations": {PAUSED_UNTIL: value}}}, NOW)
    assert found
    assert found.until is None
    assert "write one like 2026-01-31T06:00:00Z" in found.message

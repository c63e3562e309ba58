"""Why a health check or a journey fails, and the texts that go into its alerts."""

from typing import Any

import pytest
from pydantic import ValidationError

from firewatch.api.synthetic import HealthCheck
from firewatch.journeys.answers import Reason
from firewatch.reconcile.checks import explain_check, explain_journey

QUIET: dict[str, dict[str, float]] = {
    "probe_success": {"api": 0},
    "probe_http_status_code": {"api": 200},
    "probe_failed_due_to_regex": {"api": 0},
    "probe_failed_due_to_cel": {"api": 0},
}


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"probe_failed_due_to_cel": {"api": 1}}, "the body of the answer is not what"),
        ({"probe_failed_due_to_regex": {"api": 1}}, "the body of the answer is not what"),
        ({"probe_http_status_code": {"api": 503}}, "it answers with status 503"),
        ({"probe_http_status_code": {"api": 0}}, "nothing answers in time"),
        ({"probe_http_status_code": {}}, "nothing answers in time"),
    ],
)
def test_why_it_fails(states: dict[str, dict[str, float]], said: str) -> None:
    assert explain_check("api", {**QUIET, **states}).startswith(said)


def test_why_a_journey_fails() -> None:
    said = explain_journey({"journey": "a", "step": "log-in", "reason": "timeout"})
    assert said.startswith("step log-in: the answer does not come within timeLimit; ")
    assert explain_journey({}).startswith("step ?: it fails; ")


def test_there_are_words_for_every_reason() -> None:
    for reason in Reason:
        assert "it fails" not in explain_journey({"step": "a", "reason": reason.value})


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "https://user:secret@api/"},
        {"url": "ftp://api"},
        {"labels": {"team": "{{ $labels.x }}"}},
        {"http": {"failIfBodyJsonNotMatches": [{"path": "a b", "equals": "x"}]}},
        {"http": {"failIfBodyJsonNotMatches": [{"path": 'a"]', "equals": "x"}]}},
    ],
)
def test_what_would_break_a_configuration_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HealthCheck.model_validate({"name": "a", "url": "https://api", **fields})

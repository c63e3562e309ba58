"""What people have said of a request, and that they said it of this very one."""

from datetime import UTC, datetime, timedelta

import pytest

from firewatch.api.responses import APPROVED, REJECTED
from firewatch.respond.approval import Verdict, find_verdict, make_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = make_request("uid", "HighCPUUsage", "id", "would scale", expires="10m", now=NOW)


@pytest.mark.parametrize(
    ("annotations", "minutes", "verdict"),
    [
        ({}, 0, Verdict.NONE),
        ({APPROVED: REQUEST.id}, 9, Verdict.APPROVED),
        ({APPROVED: REQUEST.id}, 10, Verdict.NONE),
        ({APPROVED: "another"}, 0, Verdict.NONE),
        ({APPROVED: "true"}, 0, Verdict.NONE),
        ({REJECTED: REQUEST.id}, 99, Verdict.REJECTED),
        ({APPROVED: REQUEST.id, REJECTED: REQUEST.id}, 0, Verdict.REJECTED),
    ],
)
def test_verdicts(annotations: dict[str, str], minutes: int, verdict: Verdict) -> None:
    live = {"metadata": {"annotations": annotations}}
    assert find_verdict(live, REQUEST, NOW + timedelta(minutes=minutes)) is verdict


def test_without_a_request_nothing_is_approved() -> None:
    live = {"metadata": {"annotations": {APPROVED: "x"}}}
    assert find_verdict(live, None, NOW) is Verdict.NONE


def test_every_request_has_its_own_id() -> None:
    later = make_request("uid", "A", "id", "m", expires="1h", now=NOW + timedelta(seconds=1))
    other = make_request("another", "A", "id", "m", expires="1h", now=NOW)
    assert len({REQUEST.id, later.id, other.id}) == 3

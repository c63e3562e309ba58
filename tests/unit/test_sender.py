"""Whose token it is: only that of a Prometheus pod of ours counts."""

from typing import Any

import pytest

from firewatch.respond.sender import _pod_of

EXTRA = {
    "authentication.kubernetes.io/pod-name": ["main-prometheus-0"],
    "authentication.kubernetes.io/pod-uid": ["u"],
}


def review(**changes: Any) -> dict[str, Any]:
    user = {"username": "system:serviceaccount:shop:firewatch-prometheus", "extra": EXTRA}
    user |= changes.pop("user", {})
    status = {"authenticated": True, "audiences": ["firewatch-receiver"], "user": user}
    return status | changes


def test_a_reviewed_token_leads_to_its_pod() -> None:
    assert _pod_of(review()) == ("shop", "main-prometheus-0", "u")


@pytest.mark.parametrize(
    "status",
    [
        {},
        review(authenticated=False),
        review(audiences=["other"]),
        review(audiences=[]),
        review(user={"username": "system:serviceaccount:shop:default"}),
        review(user={"username": "firewatch-prometheus"}),
        review(user={"username": "system:node:shop:firewatch-prometheus"}),
        review(user={"extra": {}}),
        review(user={"extra": {"authentication.kubernetes.io/pod-name": ["main-prometheus-0"]}}),
    ],
)
def test_any_other_token_is_refused(status: dict[str, Any]) -> None:
    assert _pod_of(status) is None

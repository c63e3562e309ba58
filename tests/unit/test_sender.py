"""Whose token it is: only that of a Prometheus pod of ours counts."""

import asyncio
from functools import partial
from typing import Any

import pytest

from firewatch.respond.sender import Remembered, _pod_of

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


class Asked:
    """Who is asked about tokens, how often, and by how many at a time."""

    def __init__(self) -> None:
        self.count = 0
        self.most = 0
        self._now = 0

    async def find(self, token: str) -> str | None:
        self.count += 1
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        return token if token.startswith("good") else None


async def test_whoever_tries_many_tokens_takes_few_connections_to_the_api_server() -> None:
    known, asked = Remembered[str](), Asked()
    tokens = [f"bad-{number}" for number in range(100)]
    found = await asyncio.gather(*(known.find(each, partial(asked.find, each)) for each in tokens))
    assert not any(found)
    assert (asked.count, asked.most) == (100, 8)


async def test_a_token_that_comes_often_at_once_is_asked_about_by_the_first() -> None:
    known, asked = Remembered[str](), Asked()
    ask = partial(asked.find, "good")
    assert {*await asyncio.gather(*(known.find("good", ask) for _ in range(100)))} == {"good"}
    assert asked.count <= 8
    assert await known.find("good", ask) == "good"
    assert asked.count <= 8

"""Posts that nobody who may send has sent, and nonsense of those who may: nothing may come of them.

``python -m tests.apiserver.forged`` sends a hundred thousand; a test sends some thousand of the same.
All of them are drawn from a seed, which is printed. They go over connections of our own making, since no
HTTP library sends what is not allowed.
"""

import argparse
import asyncio
import base64
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from bench.record import machine
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from e2e.kubectl import wait_for
from tests.apiserver.deployed import ROOT
from tests.apiserver.posting import (
    ALERT,
    NAMESPACE,
    WEBHOOK_TOKEN,
    Site,
    by_webhook,
    hooked,
    posting_site,
    pushed,
    scalings,
)

PUSH = "/api/v2/alerts"
WEBHOOK = f"/webhook/{NAMESPACE}"
TARGETS = 2
"""Of the site: the first's alerts are pushed, the second's come by webhook."""
FOLDER = ROOT / "build" / "campaign"
_AT_A_TIME = 16
_OVERSIZED = 5 * 1024 * 1024
_LARGE_AT_FIRST = 4
_ONE_IN = 1000
"""So many posts have one oversized among them, and the first few are."""
_SAMPLES = 20
_SHOWN = 10
_PATIENCE = 30.0

CLOSED = 0
"""Stands for the status of a post that was hung up on."""
UNAVAILABLE = 503
"""The one answer above 499 that is meant: the API server could not be asked."""
REFUSED = frozenset({401})
MALFORMED = frozenset({400, 404, 405, 413})
USELESS = frozenset({200})
_SIGNS = [*range(32, 127), 0, 10, 0xE9, 0x202E, 0xD800, 0x1F525]
_TIMES = (
    *("yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"),
    *("0001-01-01T00:00:00+23:59", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00.123456789Z"),
)
_SCALARS: tuple[tuple[Any, ...], ...] = (
    (None, True, False),
    (0, -1, 10**18, 10**400, 1e308, 0.1),
    _TIMES,
    ("", "alertname", "{{", "\x00", "a" * 5000),
)


@dataclass(frozen=True)
class Post:
    """One post, and which answers are right."""

    kind: str
    path: str
    body: bytes
    right: frozenset[int]
    token: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"

    @property
    def head(self) -> bytes:
        """Return the request up to its body."""
        fields = {"Host": "receiver", "Content-Length": str(len(self.body)), **self.headers}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        sent = "\r\n".join([*lines, "Connection: close", ""]).encode()
        proof = b"Authorization: Bearer " + self.token + b"\r\n" if self.token else b""
        return sent + proof + b"\r\n"


class Forger:
    """Makes posts out of a seed."""

    def __init__(self, token: str, seed: int) -> None:
        self._token = token.encode()
        self._hook_token = WEBHOOK_TOKEN.encode()
        self._random = Random(seed)
        self._makers: list[Callable[[], Post]] = [
            *(self._without_token, self._bad_token, self._bytes_as_token, self._borrowed_token),
            *(self._other_namespace, self._replayed, self._other_alert, self._no_json),
            *(self._truncated, self._nested, self._mutated, self._nonsense),
            *(self._nonsense_in_alert, self._other_type, self._other_method, self._other_path),
        ]

    def posts(self, count: int) -> Iterator[Post]:
        """Yield so many posts."""
        for number in range(count):
            # Some at once, so that what they take is not taken for growth.
            is_large = number < _LARGE_AT_FIRST or self._random.randrange(_ONE_IN) == 0
            yield self._oversized() if is_large else self._random.choice(self._makers)()

    # Who they are not -----------------------------------------------------------------------------

    def _genuine(self) -> tuple[str, bytes]:
        """Return what would raise a target, were it sent by who may."""
        if self._toss():
            return PUSH, self._push()
        return WEBHOOK, _dump(hooked("target-1"))

    def _without_token(self) -> Post:
        path, body = self._genuine()
        return Post("no token", path, body, REFUSED)

    def _bad_token(self) -> Post:
        path, body = self._genuine()
        good = self._token if path == PUSH else self._hook_token
        spoilt = [
            self._word(40),
            good[: self._random.randrange(1, len(good))],
            good + self._random.choice([b"a", b".", b"="]),
            good[:-9] + b"x" + good[-8:] if good[-9:-8] != b"x" else good[:-9] + b"y" + good[-8:],
            b".".join(self._word(30) for _ in range(3)),
            self._unsigned(),
        ]
        return Post("bad token", path, body, REFUSED, token=self._random.choice(spoilt))

    def _bytes_as_token(self) -> Post:
        path, body = self._genuine()
        token = self._random.randbytes(20).translate(None, delete=b"\r\n\0")
        # What HTTP itself does not allow is answered before anybody is asked.
        return Post("bytes as token", path, body, REFUSED | MALFORMED, token=token)

    def _borrowed_token(self) -> Post:
        """Return a post with a token that is good for the other path."""
        if self._toss():
            return Post("borrowed token", PUSH, self._push(), REFUSED, token=self._hook_token)
        body = _dump(hooked("target-1"))
        return Post("borrowed token", WEBHOOK, body, REFUSED, token=self._token)

    def _other_namespace(self) -> Post:
        name = self._random.choice(["default", "kube-system", "x", "%2e%2e", "*", f"{NAMESPACE}x"])
        body, right = _dump(hooked("target-1")), REFUSED | MALFORMED
        return Post("other namespace", f"/webhook/{name}", body, right, token=self._hook_token)

    # What who may send does not mean --------------------------------------------------------------

    def _replayed(self) -> Post:
        """Return what was right once: an alert whose end has passed, or that has resolved."""
        if self._toss():
            body = _dump([pushed("target-0", endsAt="2026-01-01T00:00:00Z")])
            return self._authentic("replayed", body, USELESS)
        return self._authentic("replayed", _dump(hooked("target-1", "resolved")), USELESS, WEBHOOK)

    def _other_alert(self) -> Post:
        alert = pushed("target-0")
        alert["labels"] |= self._random.choice([{"alertname": f"{ALERT}s"}, {"target": "target"}])
        return self._authentic("other alert", _dump([alert]), USELESS)

    def _no_json(self) -> Post:
        body = self._random.randbytes(self._random.randrange(200))
        return self._authentic("no JSON", b"\xff\x00" + body, MALFORMED)

    def _truncated(self) -> Post:
        body = self._push()
        part = body[: self._random.randrange(len(body) - 1)]
        return self._authentic("truncated", part, MALFORMED)

    def _nested(self) -> Post:
        depth = self._random.choice([100, 900, 980, 990, 1000, 5000, 100_000])
        opening, closing = self._random.choice([(b"[", b"]"), (b'{"labels":', b"}")])
        body = opening * depth + b"1" + closing * depth
        alert = b'[{"labels":{"alertname":"Other"},"startsAt":' + body + b"}]"
        shape = self._random.choice([body, b"[" + body + b"]", alert])
        return self._authentic("nested", shape, MALFORMED | USELESS)

    def _mutated(self) -> Post:
        """Return a push with some bytes changed, about an alert that is far from any trigger."""
        alert = {"labels": {"alertname": "Other", "pod": "a"}, "startsAt": "2026-01-01T00:00:00Z"}
        body = bytearray(_dump([alert]))
        for _ in range(self._random.randrange(1, 8)):
            body[self._random.randrange(len(body))] = self._random.randrange(256)
        return self._authentic("mutated", bytes(body), MALFORMED | USELESS)

    def _nonsense(self) -> Post:
        path = self._random.choice([PUSH, WEBHOOK])
        return self._authentic("nonsense", _dump(self._value(4)), MALFORMED | USELESS, path)

    def _nonsense_in_alert(self) -> Post:
        names = ("labels", "annotations", "startsAt", "endsAt", "status", "generatorURL")
        alert = {name: self._value(3) for name in names if self._toss()}
        if self._toss():
            alert["labels"] = {"alertname": "Other", self._text(5): self._text(20)}
        alerts: Any = [alert] * self._random.choice([1, 2, 50])
        right = MALFORMED | USELESS
        if self._toss():
            return self._authentic("nonsense in alert", _dump(alerts), right)
        message = {"version": "4", "alerts": alerts, "truncatedAlerts": self._value(1)}
        return self._authentic("nonsense in alert", _dump(message), right, WEBHOOK)

    def _other_type(self) -> Post:
        kinds = ["text/plain", "application/xml", "multipart/form-data; boundary=x", ""]
        headers = {"Content-Type": self._random.choice(kinds)}
        body = b"<alert name='" + ALERT.encode() + b"'/>"
        return Post("other type", PUSH, body, MALFORMED, token=self._token, headers=headers)

    def _other_method(self) -> Post:
        method = self._random.choice(["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
        right, token = MALFORMED, self._token
        return Post("other method", PUSH, self._push(), right, token=token, method=method)

    def _other_path(self) -> Post:
        paths = ["/", "/api/v1/alerts", f"{PUSH}/", "/webhook", "/webhook/", "/metrics", "/-/x"]
        path = self._random.choice(paths)
        return Post("other path", path, self._push(), MALFORMED, token=self._token)

    def _oversized(self) -> Post:
        body = b"[" + b" " * _OVERSIZED + b"]"
        if self._toss():
            return Post("oversized", PUSH, body, REFUSED | {CLOSED})
        return self._authentic("oversized", body, MALFORMED | {CLOSED})

    # Parts ----------------------------------------------------------------------------------------

    def _authentic(self, kind: str, body: bytes, right: frozenset[int], path: str = PUSH) -> Post:
        token = self._token if path == PUSH else self._hook_token
        return Post(kind, path, body, right, token=token)

    def _push(self) -> bytes:
        return _dump([pushed("target-0", self._random.randrange(1000))])

    def _toss(self) -> bool:
        return bool(self._random.getrandbits(1))

    def _word(self, length: int) -> bytes:
        signs = b"abcdefghijklmnopqrstuvwxyz012345-_"
        return bytes(self._random.choice(signs) for _ in range(length))

    def _text(self, length: int) -> str:
        return "".join(chr(self._random.choice(_SIGNS)) for _ in range(length))

    def _unsigned(self) -> bytes:
        """Return a token that says all that it should and that nobody has signed."""
        claims = {
            "aud": ["firewatch-receiver"],
            "exp": int(time.time()) + 3600,
            "sub": f"system:serviceaccount:{NAMESPACE}:firewatch-prometheus",
        }
        head = {"alg": self._random.choice(["none", "HS256", "RS256"])}
        parts = [base64.urlsafe_b64encode(_dump(part)).rstrip(b"=") for part in (head, claims)]
        return b".".join([*parts, self._word(12)])

    def _value(self, depth: int) -> Any:
        """Return any JSON."""
        match self._random.randrange(7 if depth else 5):
            case 4:
                return self._text(self._random.randrange(30))
            case 5:
                return [self._value(depth - 1) for _ in range(self._random.randrange(4))]
            case 6:
                size = self._random.randrange(4)
                return {self._text(6): self._value(depth - 1) for _ in range(size)}
            case which:
                return self._random.choice(_SCALARS[which])


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


@dataclass
class Outcome:
    """What has come of posts."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By kind of post and status."""
    wrong: list[str] = field(default_factory=list)
    """Posts that were not answered as they should be, the first few."""
    rss_mib: list[float] = field(default_factory=list)
    """Memory of the operator, from time to time."""

    @property
    def growth_mib(self) -> float:
        """Return by how much memory has grown since the first fifth, when all code has been run."""
        warm = self.rss_mib[len(self.rss_mib) // 5 :]
        return max(warm) - warm[0]

    def note(self, post: Post, status: int) -> None:
        """Count an answer, and keep what is wrong."""
        self.answers[post.kind, status] += 1
        if status not in post.right | {UNAVAILABLE} and len(self.wrong) < _SHOWN:
            self.wrong.append(f"{status} for {post.kind}: {post.path} {post.body[:200]!r}")

    def table(self) -> list[str]:
        """Return the answers, a line for each kind of post and status."""
        answers = sorted(self.answers.items())
        return [f"{count:8} {kind}: {status}" for (kind, status), count in answers]


async def send(port: int, post: Post) -> int:
    """Send one post over a connection of its own; return the status."""
    async with asyncio.timeout(_PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(post.head)
            writer.write(post.body)
            with suppress(ConnectionError):  # the answer may be there already
                await writer.drain()
            line = await reader.readline()
            return int(line.split()[1]) if line else CLOSED
        except ConnectionError:
            return CLOSED
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def bombard(site: Site, count: int, seed: int) -> Outcome:
    """Send so many posts, some at a time."""
    outcome, posts = Outcome(), Forger(site.token, seed).posts(count)
    size = max(1, count // _SAMPLES)
    for _ in range(-(-count // size)):
        batch = islice(posts, size)
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_A_TIME):
                group.create_task(_work(site.operator.receiver, batch, outcome))
        outcome.rss_mib.append(round(site.operator.memory(), 1))
    return outcome


async def _work(port: int, posts: Iterator[Post], outcome: Outcome) -> None:
    for post in posts:
        outcome.note(post, await send(port, post))


@dataclass(frozen=True)
class Slowness:
    """What has come of connections that send a byte now and then."""

    answers: Counter[int]
    longest_other: float
    """Seconds that the slowest post of somebody else took meanwhile."""


async def dawdle(site: Site, connections: int, seconds: float) -> Slowness:
    """Hold many connections open, half of them in the body and half before the end of the head."""
    post = Post("slow", PUSH, _dump([pushed("target-0")]), MALFORMED, token=site.token.encode())
    port = site.operator.receiver
    slow = [
        asyncio.create_task(_trickle(port, post, seconds, is_body=bool(number % 2)))
        for number in range(connections)
    ]
    longest, end = 0.0, time.monotonic() + seconds
    other = Post("other", PUSH, b"[]", USELESS, token=site.token.encode())
    while time.monotonic() < end:
        began = time.monotonic()
        assert await send(port, other) in USELESS
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.1)
    return Slowness(Counter(await asyncio.gather(*slow)), longest)


async def _trickle(port: int, post: Post, seconds: float, *, is_body: bool) -> int:
    """Send a byte a second, never to the end; return the status of an answer, if there is one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    quick, slow = (post.head, post.body) if is_body else (post.head[:20], post.head[20:])
    answer = asyncio.create_task(reader.readline())
    try:
        writer.write(quick)
        for number in range(int(seconds)):
            if answer.done() or number >= len(slow) - 1:
                break
            writer.write(slow[number : number + 1])
            await asyncio.wait([answer], timeout=1)
        line = answer.result() if answer.done() and not answer.exception() else b""
        return int(line.split()[1]) if line else CLOSED
    except ConnectionError:
        return CLOSED
    finally:
        answer.cancel()
        writer.close()
        with suppress(ConnectionError, asyncio.CancelledError):
            await writer.wait_closed()


async def prove_alive(site: Site) -> None:
    """Send what is genuine, and wait until both targets are raised by it."""
    port, token = site.operator.receiver, site.token.encode()
    push = Post("genuine", PUSH, _dump([pushed("target-0")]), USELESS, token=token)
    hook = Post(
        "genuine", WEBHOOK, _dump(hooked("target-1")), USELESS, token=WEBHOOK_TOKEN.encode()
    )
    for post in (push, hook):
        assert await send(port, post) in USELESS, post.path
    await asyncio.to_thread(
        wait_for, "both targets to be raised", lambda: {*site.replicas().values()} == {4}
    )


def main() -> int:
    """Run the campaign and write build/campaign/forged.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--slow", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with (
        tempfile.TemporaryDirectory() as name,
        ControlPlane.prepare(Path(name), ConsoleProgress()) as control_plane,
        posting_site(Path(name), control_plane, targets=TARGETS, rails={}) as site,
    ):
        by_webhook(site, "target-1")
        audit, began = site.audit(), time.monotonic()
        outcome = asyncio.run(bombard(site, options.posts, options.seed))
        slowness = asyncio.run(dawdle(site, options.slow, 10))
        seconds = time.monotonic() - began
        actions = len(scalings(audit))
        asyncio.run(prove_alive(site))
    unavailable = sum(n for (_, status), n in outcome.answers.items() if status == UNAVAILABLE)
    report = {
        "posts": options.posts,
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "actions": actions,
        "wrong": outcome.wrong,
        "unavailable": unavailable,
        "answers": outcome.table(),
        "rss_mib": outcome.rss_mib,
        "rss_growth_mib": round(outcome.growth_mib, 1),
        "slow_connections": options.slow,
        "longest_other_s": round(slowness.longest_other, 3),
        "machine": machine(),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "forged.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    print(*outcome.table(), *outcome.wrong, sep="\n")
    print(
        f"{options.posts} posts, {actions} actions, {len(outcome.wrong)} wrong answers,"
        f" memory grew by {report['rss_growth_mib']} MiB, in {FOLDER / 'forged.json'}"
    )
    return 1 if actions or outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

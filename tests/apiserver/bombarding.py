"""Forged posts on their way, many at a time, and what comes of them; slow ones too.

They go over connections of our own making, since no HTTP library sends what is not allowed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from e2e.kubectl import wait_for
from tests.apiserver.forgeries import (
    CLOSED,
    MALFORMED,
    PUSH,
    UNANSWERED,
    UNAVAILABLE,
    USELESS,
    WEBHOOK,
    Forger,
    Post,
    dump,
)
from tests.apiserver.posting import WEBHOOK_TOKEN, Site, hooked, pushed

TARGETS = 2
"""Of the site: the first's alerts are pushed, the second's come by webhook."""
MOST_GROWTH = 16.0
"""MiB: what the cache of tokens holds, and what the allocator keeps."""
_AT_A_TIME = 16
_SAMPLES = 20
_SHOWN = 10
_PATIENCE = 30.0


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

    @property
    def unavailable(self) -> int:
        """Return how many posts were to be sent again."""
        return sum(n for (_, status), n in self.answers.items() if status == UNAVAILABLE)

    def note(self, post: Post, status: int) -> None:
        """Count an answer, and keep what is wrong."""
        self.answers[post.kind, status] += 1
        if status not in post.right | {UNAVAILABLE} and len(self.wrong) < _SHOWN:
            self.wrong.append(f"{status} for {post.kind}: {post.path!r} {post.body[:200]!r}")

    def table(self) -> list[str]:
        """Return the answers, a line for each kind of post and status."""
        answers = sorted(self.answers.items())
        return [f"{count:8} {kind}: {status}" for (kind, status), count in answers]


async def send(port: int, post: Post) -> int:
    """Send one post over a connection of its own; return the status."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await _send(port, post)
    except TimeoutError:
        return UNANSWERED


async def _send(port: int, post: Post) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        # At once: a head that is refused is answered before a body could follow.
        writer.write(post.head + post.body)
        with suppress(ConnectionError):  # the answer may be there already
            await writer.drain()
        if post.hangs_up:
            with suppress(OSError):  # unless the other was quicker
                writer.write_eof()
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
    post = Post("slow", PUSH, dump([pushed("target-0")]), MALFORMED, token=site.token.encode())
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
    push = Post("genuine", PUSH, dump([pushed("target-0")]), USELESS, token=token)
    hook = Post("genuine", WEBHOOK, dump(hooked("target-1")), USELESS, token=WEBHOOK_TOKEN.encode())
    for post in (push, hook):
        assert await send(port, post) in USELESS, post.path
    await asyncio.to_thread(
        wait_for, "both targets to be raised", lambda: {*site.replicas().values()} == {4}
    )

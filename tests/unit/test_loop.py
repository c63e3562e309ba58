"""The loop: serial per key, deduplicated, backing off, never stopped by a pass."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from firewatch.api.resource import Again, Key
from firewatch.cluster.errors import ForbiddenError, NotFoundError, NotLeadingError
from firewatch.metrics import Metrics
from firewatch.reconcile.loop import Loop, Pass

KEY = Key("Thing", "ns", "a")


@asynccontextmanager
async def running(run: Pass, workers: int = 4) -> AsyncIterator[Loop]:
    loop = Loop({"Thing": run}, Metrics(), workers=workers)
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_waking_a_key_often_runs_one_pass_and_one_more_if_it_was_running() -> None:
    passes: list[Key] = []
    gate = asyncio.Event()

    async def run(key: Key) -> float | None:
        passes.append(key)
        await gate.wait()
        return None

    async with running(run) as loop:
        for _ in range(10):
            loop.wake(KEY)
        await until(lambda: len(passes) == 1)
        for _ in range(10):
            loop.wake(KEY)
        gate.set()
        await until(lambda: len(passes) == 2)
        await asyncio.sleep(0.05)
        assert passes == [KEY, KEY]


async def test_a_key_is_worked_on_by_one_pass_at_a_time_and_keys_side_by_side() -> None:
    working: list[Key] = []
    most = {"same": 0, "all": 0}

    async def run(key: Key) -> float | None:
        working.append(key)
        most["same"] = max(most["same"], working.count(key))
        most["all"] = max(most["all"], len(working))
        await asyncio.sleep(0.002)
        working.remove(key)
        return 0.001

    async with running(run, workers=3) as loop:
        for name in "abcdef":
            loop.wake(Key("Thing", "ns", name))
        await asyncio.sleep(0.1)
    assert most == {"same": 1, "all": 3}


async def test_a_failing_pass_is_tried_again_later_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed: list[float] = []
    good: list[Key] = []
    clock = asyncio.get_running_loop()

    async def run(key: Key) -> float | None:
        if key.name == "bad":
            failed.append(clock.time())
            raise RuntimeError("no")
        good.append(key)
        return None

    async with running(run) as loop:
        loop.wake(Key("Thing", "ns", "bad"))
        loop.wake(KEY)
        await until(lambda: len(failed) == 2 and good == [KEY])
    assert failed[1] - failed[0] >= 0.9
    assert "pass over Thing ns/bad failed" in caplog.text
    assert "Traceback" in caplog.text


async def test_what_the_api_server_refuses_is_told_in_its_own_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run(key: Key) -> float | None:
        raise ForbiddenError("pods is forbidden")

    async with running(run) as loop:
        assert not await loop.pass_over(KEY)
    assert "pass over Thing ns/a failed: pods is forbidden" in caplog.text
    assert "Traceback" not in caplog.text


async def test_of_failures_that_came_together_the_first_is_told_if_the_words_of_all_suffice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused, gone = ForbiddenError("alertpolicies is forbidden"), NotFoundError("it is gone")
    failures: dict[str, list[Exception]] = {
        "a": [refused, gone],
        "b": [ExceptionGroup("inside", [NotLeadingError("not sent")])],
        "c": [refused, RuntimeError("a bug")],
    }

    async def run(key: Key) -> float | None:
        raise ExceptionGroup("unhandled errors in a TaskGroup", failures[key.name])

    async with running(run) as loop:
        for name in ("a", "b"):
            assert not await loop.pass_over(Key("Thing", "ns", name))
        (line,) = caplog.messages
        assert line == "pass over Thing ns/a failed: alertpolicies is forbidden"
        assert not await loop.pass_over(Key("Thing", "ns", "c"))
    assert "a bug" in caplog.text


async def test_a_pass_says_when_the_next_one_is_due_and_when_to_forget_the_key() -> None:
    delays = iter([0.01, 0.01, math.inf])
    passes: list[Key] = []

    async def run(key: Key) -> float | None:
        passes.append(key)
        return next(delays)

    async with running(run) as loop:
        loop.wake(KEY)
        assert loop.keys("Thing", "ns") == [KEY]
        await until(lambda: loop.keys("Thing", "ns") == [])
    assert passes == [KEY] * 3


async def test_a_pass_under_way_ends_with_the_loop_and_whoever_waits_for_it_is_told() -> None:
    ended: list[Key] = []
    begun = asyncio.Event()

    async def run(key: Key) -> float | None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(key)
        return None

    async with running(run) as loop:
        waiting = asyncio.create_task(loop.pass_over(KEY))
        await begun.wait()
        late = asyncio.create_task(loop.pass_over(KEY))
        await asyncio.sleep(0)
    assert ended == [KEY]
    assert not await waiting
    assert not await late
    assert loop.keys("Thing", "ns") == []


async def test_a_pass_of_a_replica_that_does_not_lead_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run(key: Key) -> float | None:
        raise NotLeadingError(f"{key} was not sent")

    async with running(run) as loop:
        assert not await loop.pass_over(KEY), "nor has it done what somebody waits for"
    assert caplog.text == ""


async def test_whoever_waits_for_a_pass_waits_until_it_need_not_be_taken_once_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    passes: list[Key] = []

    async def run(key: Key) -> float | None:
        passes.append(key)
        return Again(0.01) if len(passes) < 3 else None

    async with running(run) as loop:
        assert await loop.pass_over(KEY)
    assert passes == [KEY] * 3
    assert caplog.text == ""


async def test_whoever_waits_is_told_if_the_loop_ends_before_a_pass_is_taken_once_more() -> None:
    ended = asyncio.Event()

    async def run(_: Key) -> float | None:
        ended.set()
        return Again(60.0)

    async with running(run) as loop:
        waiting = asyncio.create_task(loop.pass_over(KEY))
        await ended.wait()
        await until(lambda: loop.keys("Thing") == [KEY] and not waiting.done())
    assert not await waiting


async def test_a_pass_that_does_not_move_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firewatch.reconcile.loop._LONGEST_PASS_SECONDS", 0.01)
    gate = asyncio.Event()

    async def run(_: Key) -> float | None:
        await gate.wait()
        return None

    async with running(run) as loop:
        loop.wake(KEY)
        await until(lambda: loop.stalled() == "the pass over Thing ns/a has not ended for 0 s")
        gate.set()


async def test_a_pass_that_waits_for_its_turn_does_not_stand_still() -> None:
    begun: list[Key] = []
    gate = asyncio.Event()

    async def run(key: Key) -> float | None:
        begun.append(key)
        await gate.wait()
        return None

    async with running(run, workers=1) as loop:
        for name in "ab":
            loop.wake(Key("Thing", "ns", name))
        await until(lambda: len(begun) == 1)
        assert loop.stalled() == ""
        gate.set()


async def test_it_is_crowded_while_keys_wait_for_their_turn() -> None:
    held = asyncio.Event()

    async def run(key: Key) -> float | None:
        await held.wait()
        return math.inf

    async with running(run, workers=2) as loop:
        loop.wake(Key("Thing", "ns", "1"))
        loop.wake(Key("Thing", "ns", "2"))
        await until(lambda: not loop._queue)
        assert not loop.is_crowded()
        loop.wake(Key("Thing", "ns", "3"))
        await until(loop.is_crowded)
        held.set()
        await until(lambda: not loop.is_crowded())

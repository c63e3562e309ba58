"""Taking journeys, each at its interval and never two runs of one at the same time."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from firewatch.api.journeys import RUN, Journey, JourneyStep
from firewatch.api.placeholders import UnknownNameError
from firewatch.api.resource import parse_duration
from firewatch.journeys.answers import StepError, check, extract
from firewatch.journeys.metrics import RunResult, StepResult
from firewatch.journeys.steps import ReadSecret, Trust, send, trust

_log = logging.getLogger(__name__)


async def repeat(journey: Journey, read: ReadSecret, note: Callable[[RunResult], None]) -> None:
    """Take a journey at its interval until cancelled; log when it begins to fail, and when it ends to."""
    interval = parse_duration(journey.interval)
    due, before = time.monotonic(), None
    while True:
        result = await take(journey, read)
        note(result)
        before = _log_change(result, before)
        due = max(due + interval, time.monotonic())
        await asyncio.sleep(due - time.monotonic())


def _log_change(result: RunResult, before: StepResult | None) -> StepResult | None:
    """Log a run that is not as the one before it; return how it fails, if it does."""
    now = result.failure
    if now and (before is None or (now.step, now.failure) != (before.step, before.failure)):
        _log.warning("journey %s fails at step %s: %s", result.journey, now.step, now.detail)
    elif before and not now:
        _log.info("journey %s succeeds again", result.journey)
    return now


async def take(journey: Journey, read: ReadSecret) -> RunResult:
    """Take the steps of a journey one after the other, as somebody who comes for the first time."""
    started = time.perf_counter()
    try:
        values, context = _variables(journey, read), trust(journey.tls_config, read)
    except StepError as error:
        steps = [_failed(journey.steps[0], started, error)]
    else:
        # Servers inside a cluster are often named by an address, for which cookies are not kept.
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            steps = await _Run(session, journey, context, values).take_all()
    return RunResult(journey.name, time.time(), time.perf_counter() - started, steps)


@dataclass(frozen=True)
class _Run:
    """One run of a journey."""

    session: aiohttp.ClientSession
    journey: Journey
    context: Trust
    values: dict[str, Any]
    """What placeholders stand for; grows with what steps extract."""

    async def take_all(self) -> list[StepResult]:
        """Take the steps until one fails, and then those that are always taken."""
        results: list[StepResult] = []
        for step in self.journey.steps:
            if step.always or not any(result.failure for result in results):
                try:
                    results.append(await self._take(step))
                except UnknownNameError:
                    continue  # what it is to clean up was never there
        return results

    async def _take(self, step: JourneyStep) -> StepResult:
        """Take a step, and remember what it extracts."""
        started = time.perf_counter()
        try:
            answer = await send(self.session, self.journey, step, self.values, self.context)
            seconds = time.perf_counter() - started
            check(answer, step, self.values)
            self.values.update({each.variable: extract(answer, each) for each in step.extract})
        except StepError as error:
            return _failed(step, started, error)
        return StepResult(step.name, seconds)


def _failed(step: JourneyStep, started: float, error: StepError) -> StepResult:
    return StepResult(step.name, time.perf_counter() - started, error.reason, str(error))


def _variables(journey: Journey, read: ReadSecret) -> dict[str, Any]:
    found: dict[str, Any] = {RUN: f"{int(time.time()):x}-{secrets.token_hex(4)}"}
    for each in journey.variables:
        found[each.name] = read(each.secret_key_ref) if each.secret_key_ref else each.value
    return found

"""Verdicts on expressions: the stack's own server parses them, and they are remembered."""

import asyncio
import hashlib
from collections.abc import Iterable
from typing import Any

from firewatch.build.checks import NOT_CONFINED, Fault
from firewatch.build.confine import NotConfinedError, confine, prove_confined
from firewatch.cluster.prometheus import BadQueryError, Prometheus, PrometheusError
from firewatch.reconcile.judging import BAD_EXPRESSION, GOOD, Question

_AT_A_TIME = 32
_REMEMBERED = 50_000


class Verdicts:
    """What servers have said about expressions, by version and text; the texts are not kept."""

    def __init__(self) -> None:
        self._known: dict[bytes, Fault] = {}

    def get(self, version: str, question: Question) -> Fault | None:
        """Return what is wrong with an expression: ``GOOD`` for nothing, None if not known."""
        return self._known.get(_key(version, question))

    async def ask(self, server: Prometheus, version: str, questions: Iterable[Question]) -> None:
        """Let the server judge what is not known yet; ``PrometheusError`` if it does not answer."""
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        limit = asyncio.Semaphore(_AT_A_TIME)

        async def judge(question: Question) -> None:
            async with limit:
                self._known[_key(version, question)] = await _verdict(server, question)

        wanted = {each for each in questions if _key(version, each) not in self._known}
        try:
            async with asyncio.TaskGroup() as group:
                for question in sorted(wanted):
                    group.create_task(judge(question))
        except* PrometheusError as errors:
            raise errors.exceptions[0] from None


async def _verdict(server: Prometheus, question: Question) -> Fault:
    try:
        if not question.namespace:
            await server.check(question.expression)
            return GOOD
        before = await server.tree(question.expression)
    except BadQueryError as error:
        text = str(error).removeprefix('invalid parameter "query": ')
        return BAD_EXPRESSION, text or "Prometheus refuses the expression"
    return await _confinement(server, question, before)


async def _confinement(server: Prometheus, question: Question, before: Any) -> Fault:
    try:
        after = await server.tree(confine(question.expression, question.namespace))
        prove_confined(before, after, question.namespace)
    except (BadQueryError, NotConfinedError) as error:
        return NOT_CONFINED, f"it cannot be confined to this namespace: {error}"
    return GOOD


def _key(version: str, question: Question) -> bytes:
    text = f"{version}\0{question.namespace}\0{question.expression}"
    return hashlib.sha256(text.encode()).digest()[:16]

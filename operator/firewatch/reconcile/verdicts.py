"""Verdicts on expressions: the stack's own server parses them, and they are remembered."""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from firewatch.build.checks import NOT_CONFINED, Fault
from firewatch.build.confine import NotConfinedError, confine, prove_confined
from firewatch.build.promql_words import is_self_contained
from firewatch.cluster.prometheus import BadQueryError, Prometheus, PrometheusError
from firewatch.reconcile.judging import BAD_EXPRESSION, GOOD, Question

_AT_A_TIME = 8
_TOGETHER = 25
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
        wanted = sorted({each for each in questions if _key(version, each) not in self._known})
        limit = asyncio.Semaphore(_AT_A_TIME)

        async def judge(batch: Sequence[Question]) -> None:
            async with limit:
                for question, verdict in zip(batch, await _verdicts(server, batch), strict=True):
                    self._known[_key(version, question)] = verdict

        try:
            async with asyncio.TaskGroup() as group:
                for batch in _batches(wanted):
                    group.create_task(judge(batch))
        except* PrometheusError as errors:
            raise errors.exceptions[0] from None


def _batches(questions: Iterable[Question]) -> Iterator[list[Question]]:
    """Yield questions that can be asked together."""
    together: list[Question] = []
    for question in questions:
        if question.namespace or not is_self_contained(question.expression):
            yield [question]
            continue
        together.append(question)
        if len(together) == _TOGETHER:
            yield together
            together = []
    if together:
        yield together


async def _verdicts(server: Prometheus, batch: Sequence[Question]) -> list[Fault]:
    """Return the verdicts on a batch.

    A request for each expression would be the largest part of all work on new policies. So they are
    parsed as operands of ``or``; if that is refused, for one of them or because one is a scalar,
    each is asked about alone.
    """
    if len(batch) > 1:
        text = "\nor ".join(f"({question.expression}\n)" for question in batch)
        with suppress(BadQueryError):
            await server.check(text)
            return [GOOD] * len(batch)
    return [await _verdict(server, question) for question in batch]


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

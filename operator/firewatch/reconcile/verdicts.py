"""Verdicts on expressions: the stack's own server parses them, and they are remembered."""

import asyncio
import hashlib
from collections.abc import Iterable

from firewatch.cluster.prometheus import BadQueryError, Prometheus, PrometheusError

_AT_A_TIME = 32
_REMEMBERED = 50_000


class Verdicts:
    """What servers have said about expressions, by version and text; the texts are not kept."""

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def get(self, version: str, expression: str) -> str | None:
        """Return what is wrong with an expression: empty for nothing, None if it is not known."""
        return self._known.get(_key(version, expression))

    async def ask(self, server: Prometheus, version: str, expressions: Iterable[str]) -> None:
        """Let the server judge what is not known yet; ``PrometheusError`` if it does not answer."""
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        limit = asyncio.Semaphore(_AT_A_TIME)

        async def judge(expression: str) -> None:
            async with limit:
                self._known[_key(version, expression)] = await _verdict(server, expression)

        wanted = {e for e in expressions if _key(version, e) not in self._known}
        try:
            async with asyncio.TaskGroup() as group:
                for expression in sorted(wanted):
                    group.create_task(judge(expression))
        except* PrometheusError as errors:
            raise errors.exceptions[0] from None


async def _verdict(server: Prometheus, expression: str) -> str:
    try:
        await server.check(expression)
    except BadQueryError as error:
        text = str(error).removeprefix('invalid parameter "query": ')
        return text or "Prometheus refuses the expression"
    return ""


def _key(version: str, expression: str) -> bytes:
    return hashlib.sha256(f"{version}\0{expression}".encode()).digest()[:16]

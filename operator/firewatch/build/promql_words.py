"""PromQL as words: enough to see where a string, a comment or a bracket ends, and no more.

What an expression means, and whether it is one, only Prometheus says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

PAIRS = {"(": ")", "[": "]", "{": "}"}


_WORD = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)
    |(?P<number>\.?[0-9][\w.]*)
    |(?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


@dataclass(frozen=True)
class Word:
    """A word of an expression."""

    kind: str
    """``string``, ``number``, ``word`` or ``sign``."""
    text: str
    end: int
    """Where it ends in the expression."""


def words(text: str) -> Iterator[Word]:
    """Yield the words of an expression, without blanks and comments."""
    for match in _WORD.finditer(text):
        if match.lastgroup != "space":
            yield Word(match.lastgroup or "", match[0], match.end())


def is_self_contained(expression: str) -> bool:
    """Tell whether nothing of an expression can reach beyond a line feed and ``)`` put behind it.

    Every bracket that it opens it closes, and no string is left open. Back quotes would span lines.
    """
    if "`" in expression:
        return False
    expected: list[str] = []
    for word in words(expression):
        if word.kind != "sign":
            continue
        if word.text in PAIRS:
            expected.append(PAIRS[word.text])
        elif (
            word.text in {")", "]", "}"} and (not expected or expected.pop() != word.text)
        ) or word.text in {'"', "'"}:
            return False
    return not expected

"""Regular expressions as Alertmanager reads them (RE2), checked without Alertmanager.

One that it cannot read makes it refuse its whole configuration. This check takes a common part of
Python's syntax and RE2's, so that whatever it lets through is good in both; what it refuses need not
be wrong, but can be written more plainly.
"""

import re

_LIMIT = 1000
"""Most repetitions that RE2 allows, nested ones multiplied."""
_ESCAPES = frozenset("dDwWsSntrfv")
_PUNCTUATION = frozenset(r"""\.+*?()|[]{}^$-/"'`,:;<>=!@#%&~_ """)
_GROUP = re.compile(r"\(\?(?!:|i\)|i:|P<[A-Za-z_][A-Za-z0-9_]*>)")
_POSSESSIVE = re.compile(r"[*+?}]\+")
_SET = re.compile(r"\[\^?\]?[^\]]*\]?")
_SET_OPERATION = re.compile(r"\[|--|&&|~~|\|\|")
_COUNTS = re.compile(r"\{(\d*)(?:,(\d*))?\}")


def check_regex(text: str) -> None:
    """Raise ``ValueError`` if Alertmanager might not be able to read the expression."""
    plain = _without_escapes(text)
    if _GROUP.search(plain):
        raise ValueError(
            "of the groups that begin with (? only (?:…), (?i) and (?P<name>…) are known"
        )
    if _POSSESSIVE.search(plain):
        raise ValueError("a repetition cannot be repeated")
    if any(_SET_OPERATION.search(found, 1) for found in _SET.findall(plain)):
        raise ValueError("between [ and ], write characters and ranges, and [ with \\ in front")
    if _repetitions(plain) > _LIMIT:
        raise ValueError(f"it repeats more than {_LIMIT} times")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"it is not a regular expression: {error}") from error


def _without_escapes(text: str) -> str:
    """Return the expression with a plain letter for each escape; only well-known ones may stand."""
    parts: list[str] = []
    characters = iter(text)
    for character in characters:
        if character != "\\":
            parts.append(character)
            continue
        escaped = next(characters, "")
        if not escaped or escaped not in _ESCAPES | _PUNCTUATION:
            raise ValueError(f"the escape \\{escaped} is not known")
        parts.append("x")
    return "".join(parts)


def _repetitions(plain: str) -> int:
    product = 1
    for low, high in _COUNTS.findall(plain):
        product *= max(int(low or 1), int(high or 1), 1)
    return product

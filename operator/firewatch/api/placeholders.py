"""Placeholders in what users write: ``${name}`` stands for a value, ``$$`` for a dollar sign.

Nothing is evaluated: a placeholder is looked up, and what it stands for is not looked through again.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\$(\$|\{([^{}]*)\})")


class UnknownNameError(LookupError):
    """A placeholder stands for nothing; ``str()`` is its name."""

    def __str__(self) -> str:
        return str(self.args[0])


def find_names(value: Any) -> Iterator[str]:
    """Yield the names of all placeholders in a text, or in the texts of a JSON value."""
    if isinstance(value, str):
        yield from (name for dollar, name in _PLACEHOLDER.findall(value) if dollar != "$")
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from find_names(item)
    elif isinstance(value, list):
        for item in value:
            yield from find_names(item)


def fill(
    text: str, values: Mapping[str, Any], *, escape: Callable[[str], str] = lambda plain: plain
) -> str:
    """Return a text with what its placeholders stand for, each made safe by ``escape``.

    ``UnknownNameError`` for one that stands for nothing.
    """

    def replace(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else escape(as_text(_look_up(match[2], values)))

    return _PLACEHOLDER.sub(replace, text)


def fill_json(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a JSON value with what the placeholders in its texts stand for.

    A text that is nothing but a placeholder becomes the value as it is, a number for example.
    """
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole and whole[1] != "$":
            return _look_up(whole[2], values)
        return fill(value, values)
    if isinstance(value, Mapping):
        return {name: fill_json(item, values) for name, item in value.items()}
    if isinstance(value, list):
        return [fill_json(item, values) for item in value]
    return value


def as_text(value: Any) -> str:
    """Return a JSON value as it is written in a text."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _look_up(name: str, values: Mapping[str, Any]) -> Any:
    try:
        return values[name]
    except KeyError:
        raise UnknownNameError(name) from None

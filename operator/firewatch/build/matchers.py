"""Matchers: which alerts are meant, as text in and out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from firewatch.api.resource import LABEL_NAME_PATTERN
from firewatch.build.regexes import check_regex

_MATCHER = re.compile(
    r"\s*(?P<name>[^=!~\s]+)\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>.*?)\s*", re.DOTALL
)
_LABEL = re.compile(LABEL_NAME_PATTERN)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_VALUE = re.compile(r'["{}!=~,\\`\']|\s')


@dataclass(frozen=True)
class Matcher:
    """A demand on one label of an alert."""

    name: str
    operator: str
    """``=``, ``!=``, ``=~`` or ``!~``."""
    value: str

    def __str__(self) -> str:
        """Return the matcher as Alertmanager reads it."""
        value = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.operator}"{value}"'


def parse_matcher(text: str) -> Matcher:
    """Return the matcher that a text is; ``ValueError`` says what is wrong with it."""
    match = _MATCHER.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not a matcher such as severity="critical"')
    name, operator = match["name"], match["operator"]
    if not is_label(name):
        raise ValueError(
            f"{name!r} is not a label name; use letters, digits and _, with no digit in front"
        )
    matcher = Matcher(name, operator, _value(match["value"], text))
    if operator in {"=~", "!~"}:
        try:
            check_regex(matcher.value)
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from error
    return matcher


def _value(text: str, whole: str) -> str:
    if _QUOTED.fullmatch(text):
        return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), text[1:-1])
    if not text or _NO_VALUE.search(text):
        raise ValueError(f"{whole!r}: put the value into double quotes")
    return text


def is_label(name: str) -> bool:
    """Tell whether a text is the name of a label."""
    return _LABEL.fullmatch(name) is not None


def render_matchers(matchers: Iterable[Matcher]) -> list[str]:
    """Return matchers as Alertmanager's configuration has them."""
    return [str(matcher) for matcher in matchers]

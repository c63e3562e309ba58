"""Rule files as YAML text.

A thousand policies are most of the YAML that is ever written, and PyYAML takes half a millisecond
for each. What such a file holds is plain data, so that writing it needs little: every text in single
quotes, unless it is a bare word or holds something that only PyYAML knows how to escape.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

_BARE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_./:-]*(?<!:)")
_LINE = re.compile("[ -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]*")
# What YAML 1.1 reads as something else than a text.
_RESERVED = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def render_rule_file(groups: Sequence[Mapping[str, Any]]) -> str:
    """Return groups of rules as a rule file."""
    return "\n".join(_entries({"groups": groups}, "")) + "\n"


def _entries(data: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Yield the lines of a mapping, whose first keys are not indented by its owner yet."""
    for key, value in data.items():
        start = f"{indent}{_scalar(key)}:"
        if isinstance(value, Mapping):
            yield start
            yield from _entries(value, f"{indent}  ")
        elif isinstance(value, str | int | float):
            yield f"{start} {_scalar(value)}"
        else:
            yield start
            for item in value:
                first, *rest = _entries(item, f"{indent}  ")
                yield f"{indent}- {first.lstrip(' ')}"
                yield from rest


def _scalar(value: str | float) -> str:
    if not isinstance(value, str):
        return str(value)
    if _BARE.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    if _LINE.fullmatch(value):
        return "'" + value.replace("'", "''") + "'"
    text: str = yaml.dump(value, Dumper=yaml.CSafeDumper, default_style='"', width=1_000_000)
    return text.removesuffix("\n")

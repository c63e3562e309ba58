"""Relabelling, with the fields that Prometheus has for it."""

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from firewatch.api.resource import LABEL_NAME_PATTERN, LabelName, Model, Rule, rules

# CEL's regular expressions are RE2 as are Prometheus', so the API server itself refuses one that
# Prometheus could not read, and with it its whole configuration.
Regexp = Annotated[
    str,
    Field(
        max_length=1024,
        json_schema_extra=rules(
            Rule("'x'.matches(self) in [true, false]", "it must be a regular expression (RE2)")
        ),
    ),
]
"""A regular expression in Go's syntax."""


class RelabelAction(StrEnum):
    """What a relabelling does."""

    REPLACE = "replace"
    KEEP = "keep"
    DROP = "drop"
    KEEP_EQUAL = "keepequal"
    DROP_EQUAL = "dropequal"
    HASH_MOD = "hashmod"
    LABEL_MAP = "labelmap"
    LABEL_DROP = "labeldrop"
    LABEL_KEEP = "labelkeep"
    LOWERCASE = "lowercase"
    UPPERCASE = "uppercase"


_WITH_TARGET = ("replace", "keepequal", "dropequal", "hashmod", "lowercase", "uppercase")
_NEEDS_TARGET = "this action needs targetLabel"
_NEEDS_MODULUS = "hashmod needs modulus"
_BAD_TARGET = "targetLabel must be the name of a label"
_ONLY_REGEX = "labeldrop and labelkeep need regex, and take nothing but regex"
_ONLY_LABELS = "keepequal and dropequal take nothing but sourceLabels and targetLabel"
_BAD_MAP = "labelmap needs a replacement that makes a label's name, such as $1"
_NO_REPLACEMENT = "lowercase and uppercase take no replacement"
_ONLY_WITH_REGEX = ("labeldrop", "labelkeep")
_COMPARING = ("keepequal", "dropequal")
_CASING = ("lowercase", "uppercase")
_MAP_PATTERN = r"^[a-zA-Z0-9_$][a-zA-Z0-9_${}]*$"


def _one_of(*actions: str) -> str:
    return f"self.action in [{', '.join(map(repr, actions))}]"


class Relabeling(
    Model,
    json_schema_extra=rules(
        Rule(f"!({_one_of(*_WITH_TARGET)}) || has(self.targetLabel)", _NEEDS_TARGET),
        Rule("self.action != 'hashmod' || has(self.modulus)", _NEEDS_MODULUS),
        Rule(
            f"{_one_of('replace')} || !has(self.targetLabel)"
            f" || self.targetLabel.matches('{LABEL_NAME_PATTERN}')",
            _BAD_TARGET,
        ),
        Rule(
            f"!({_one_of(*_ONLY_WITH_REGEX)}) || has(self.regex) && !(has(self.sourceLabels) ||"
            " has(self.targetLabel) || has(self.modulus) || has(self.separator) ||"
            " has(self.replacement))",
            _ONLY_REGEX,
        ),
        Rule(
            f"!({_one_of(*_COMPARING)}) || !(has(self.regex) || has(self.modulus) ||"
            " has(self.separator) || has(self.replacement))",
            _ONLY_LABELS,
        ),
        Rule(
            "self.action != 'labelmap' || !has(self.replacement)"
            f" || self.replacement.matches(r'{_MAP_PATTERN}')",
            _BAD_MAP,
        ),
        Rule(
            f"!({_one_of(*_CASING)}) || !has(self.replacement)",
            _NO_REPLACEMENT,
        ),
    ),
):
    """One step of relabelling."""

    source_labels: list[LabelName] = Field(default=[], max_length=16)
    """Labels whose values are joined and matched."""
    separator: str | None = Field(default=None, max_length=16)
    """What stands between the joined values; ``;`` when left out."""
    target_label: str | None = Field(
        default=None, pattern=r"^[a-zA-Z0-9_$][a-zA-Z0-9_${}]*$", max_length=128
    )
    """Label that is written; for ``replace`` it may refer to groups of the regex."""
    regex: Regexp | None = None
    """Regular expression that the joined values must match whole; ``(.*)`` when left out."""
    modulus: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """Modulus of ``hashmod``."""
    replacement: str | None = Field(default=None, max_length=256)
    """What is written; ``$1`` stands for the first group, and is what is written when left out."""
    action: RelabelAction = RelabelAction.REPLACE
    """What is done with what matches."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        # The same as the CEL rules, for resources that no API server has seen.
        if fault := _fault(self):
            raise ValueError(fault)
        return self


def _fault(step: Relabeling) -> str | None:
    action, target = step.action.value, step.target_label
    others = (step.modulus, step.separator, step.replacement)
    faults = {
        _NEEDS_TARGET: action in _WITH_TARGET and target is None,
        _NEEDS_MODULUS: action == "hashmod" and step.modulus is None,
        _BAD_TARGET: action != "replace" and not re.match(LABEL_NAME_PATTERN, target or "x"),
        _ONLY_REGEX: action in _ONLY_WITH_REGEX
        and (step.regex is None or any((step.source_labels, target, *others))),
        _ONLY_LABELS: action in _COMPARING and any((step.regex, *others)),
        _BAD_MAP: action == "labelmap" and not re.match(_MAP_PATTERN, step.replacement or "$1"),
        _NO_REPLACEMENT: action in _CASING and step.replacement is not None,
    }
    return next((message for message, is_so in faults.items() if is_so), None)


Relabelings = Annotated[list[Relabeling], Field(max_length=32)]
"""Steps of relabelling, in order."""

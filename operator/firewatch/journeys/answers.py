"""What is expected of an answer, and what of it later steps need (pure)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import re2

from firewatch.api.blackbox import HeaderMatch, HttpAnswer, JsonMatch
from firewatch.api.journeys import JourneyExtract
from firewatch.api.json_path import json_steps
from firewatch.api.placeholders import as_text, fill

_GOOD = range(200, 300)


class Reason(StrEnum):
    """Why a step fails."""

    CONNECTION = "connection"
    """There is no connection, or its certificate is refused."""
    TIMEOUT = "timeout"
    """The answer did not come within ``timeLimit``."""
    STATUS = "status"
    """Another status code than expected."""
    HEADER = "header"
    """A header is missing or not as expected."""
    BODY = "body"
    """The body is not as expected."""
    JSON = "json"
    """The body is no JSON, or a part of it is missing or not as expected."""
    EXTRACT = "extract"
    """What later steps need is not there."""
    VARIABLE = "variable"
    """A variable has no value: the key of its Secret is missing."""


class StepError(Exception):
    """A step fails. ``str()`` says more, and nothing of what was sent or answered."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: Iterable[tuple[str, str]]
    body: bytes

    @cached_property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode(errors="replace")

    @cached_property
    def json(self) -> Any:
        """Return the body as JSON; ``StepError`` if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise StepError(Reason.JSON, "the body is no JSON") from None

    def values(self, header: str) -> list[str]:
        """Return the values of a header."""
        return [value for name, value in self.headers if name.lower() == header.lower()]


def check(answer: Answer, expected: HttpAnswer, values: Mapping[str, Any]) -> None:
    """Raise ``StepError`` if an answer is not as expected, with the meaning of the blackbox exporter."""
    good = expected.valid_status_codes or _GOOD
    if answer.status not in good:
        raise StepError(Reason.STATUS, f"the status is {answer.status}")
    for match in expected.fail_if_header_matches:
        if any(_is_found(match, value) for value in _present(answer, match)):
            raise StepError(Reason.HEADER, f"the header {match.header} is one that it must not be")
    for match in expected.fail_if_header_not_matches:
        found = _present(answer, match)
        if found and not any(_is_found(match, value) for value in found):
            raise StepError(Reason.HEADER, f"the header {match.header} is not as expected")
    if any(_search(each, answer.text) for each in expected.fail_if_body_matches_regexp):
        raise StepError(Reason.BODY, "the body is one that it must not be")
    if not all(_search(each, answer.text) for each in expected.fail_if_body_not_matches_regexp):
        raise StepError(Reason.BODY, "the body is not as expected")
    for part in expected.fail_if_body_json_not_matches:
        _check_part(answer, part, values)


def extract(answer: Answer, wanted: JourneyExtract) -> Any:
    """Return a part of an answer; ``StepError`` if it is not there."""
    if wanted.json_path is not None:
        return _part(answer.json, wanted.json_path)
    if wanted.header is not None:
        found = answer.values(wanted.header)
        if not found:
            raise StepError(Reason.EXTRACT, f"there is no header {wanted.header}")
        return found[0]
    assert wanted.regexp is not None  # a rule of the CRD asks for one of the three
    match = _search(wanted.regexp, answer.text)
    if match is None:
        raise StepError(Reason.EXTRACT, f"the expression of {wanted.variable} is not in the body")
    return match[1] if match.re.groups else match[0]


def _check_part(answer: Answer, part: JsonMatch, values: Mapping[str, Any]) -> None:
    found = _part(answer.json, part.path, reason=Reason.JSON)
    if as_text(found) != fill(part.equals, values):
        raise StepError(Reason.JSON, f"{part.path} of the body is not as expected")


def _part(body: Any, path: str, *, reason: Reason = Reason.EXTRACT) -> Any:
    for step in json_steps(path):
        is_there = isinstance(body, list) if isinstance(step, int) else isinstance(body, dict)
        try:
            body = body[step] if is_there else None
        except LookupError:
            is_there = False
        if not is_there:
            raise StepError(reason, f"the body has no {path}")
    return body


def _present(answer: Answer, match: HeaderMatch) -> list[str]:
    """Return the values of a header; ``StepError`` if it is missing and must not be."""
    found = answer.values(match.header)
    if not found and not match.allow_missing:
        raise StepError(Reason.HEADER, f"there is no header {match.header}")
    return found


def _is_found(match: HeaderMatch, value: str) -> bool:
    return _search(match.regexp, value) is not None


def _search(expression: str, text: str) -> Any:
    return re2.search(expression, text)

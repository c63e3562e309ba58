"""Placeholders: what they stand for is looked up once, and never looked through again."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.json_path import json_steps
from firewatch.api.placeholders import UnknownNameError, as_text, fill, fill_json, find_names

VALUES = {"name": "a/b", "number": 3, "flag": True, "tricky": "${name} $$"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("${name}!", "a/b!"),
        ("${number}${flag}", "3true"),
        ("${tricky}", "${name} $$"),
        ("$$5 $$${name}", "$5 $a/b"),
        ("$name $5 ${", "$name $5 ${"),
    ],
)
def test_a_text(text: str, filled: str) -> None:
    assert fill(text, VALUES) == filled


def test_what_a_name_stands_for_is_escaped_and_the_rest_is_not() -> None:
    assert fill("/x/${name}", VALUES, escape=lambda text: quote(text, safe="")) == "/x/a%2Fb"


@pytest.mark.parametrize("text", ["${unknown}", "${}", "${ name}"])
def test_a_name_that_stands_for_nothing(text: str) -> None:
    with pytest.raises(UnknownNameError):
        fill(text, VALUES)


def test_json_keeps_the_type_of_what_stands_alone() -> None:
    body = {"id": "${number}", "text": "no ${number}", "list": ["${flag}", None, 1.5, "$$"]}
    assert fill_json(body, VALUES) == {"id": 3, "text": "no 3", "list": [True, None, 1.5, "$"]}
    assert [*find_names(body)] == ["number", "number", "flag"]


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_what_is_named_is_what_is_looked_up(text: str, values: dict[str, str]) -> None:
    known = {name: values.get(name, "") for name in find_names(text)}
    fill(text, known)
    for name in known:
        with pytest.raises(UnknownNameError):
            fill(text, {other: "" for other in known if other != name})


@given(st.text())
def test_a_doubled_dollar_sign_is_one(text: str) -> None:
    assert fill(text.replace("$", "$$"), {}) == text


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (3, "3"), (None, "null"), ([1], "[1]")])
def test_a_value_as_text(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_a_path_of_json() -> None:
    assert json_steps("checks[0].data-base[12]") == ["checks", 0, "data-base", 12]
    assert json_steps("[3].a") == [3, "a"]

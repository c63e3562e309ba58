"""Matchers and regular expressions of routes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.build.matchers import Matcher, parse_matcher
from firewatch.build.regexes import check_regex


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ('severity="critical"', Matcher("severity", "=", "critical")),
        ("severity = critical", Matcher("severity", "=", "critical")),
        ('a!=""', Matcher("a", "!=", "")),
        ('a=~"x|y.*"', Matcher("a", "=~", "x|y.*")),
        (r'a!~"1\\.2"', Matcher("a", "!~", r"1\.2")),
        (r'a="say \"hi\"\n"', Matcher("a", "=", 'say "hi"\n')),
        ("a=-5", Matcher("a", "=", "-5")),
    ],
)
def test_what_people_write_is_understood(text: str, matcher: Matcher) -> None:
    assert parse_matcher(text) == matcher


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("severity", "is not a matcher"),
        ('my-label="x"', "'my-label' is not a label name"),
        ('1a="x"', "'1a' is not a label name"),
        ("a=", "put the value into double quotes"),
        ("a=b c", "put the value into double quotes"),
        ('a="b" or c="d"', "put the value into double quotes"),
        ('a=~"("', "is not a regular expression"),
        ('a=~"(?=x)"', "groups that begin with"),
        ('a=~"x++"', "cannot be repeated"),
        (r'a=~"\\1"', "is not known"),
        ('a=~"[[:alpha:]]"', "write characters and ranges"),
        ('a=~"(x{900}){900}"', "more than 1000 times"),
    ],
)
def test_what_is_wrong_is_said(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r".*") as error:
        parse_matcher(text)
    assert complaint in str(error.value)


@given(st.text())
def test_any_value_comes_back(value: str) -> None:
    matcher = Matcher("a", "=", value)
    assert parse_matcher(str(matcher)) == matcher


@pytest.mark.parametrize("text", ["", "a|b", ".*", r"web-\d+", "(?:a|b)+?", "(?i)x", "[^a-z]{2,3}"])
def test_usual_expressions_pass(text: str) -> None:
    check_regex(text)

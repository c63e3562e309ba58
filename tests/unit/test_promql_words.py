"""What of an expression reaches beyond its end."""

import pytest

from firewatch.build.promql_words import is_self_contained


@pytest.mark.parametrize(
    ("expression", "contained"),
    [
        ("up", True),
        ('sum(rate(x{a=")", b="\\"("}[5m])) > 1 # )', True),
        ("(up", False),
        ("up)) or ((up", False),
        ("up[5m", False),
        ("{`x`}", False),
        ('{a="x', False),
        ("{a='x)}", False),
        ("(]", False),
        ("", True),
    ],
)
def test_what_is_left_open_is_noticed(expression: str, *, contained: bool) -> None:
    assert is_self_contained(expression) is contained

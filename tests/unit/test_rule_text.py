"""Rule files say what they were given, whatever it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.build.rule_text import render_rule_file
from firewatch.build.yaml_text import load_yaml

TEXTS = st.one_of(
    st.text(min_size=1, max_size=30),
    st.text(alphabet="'\"\\:#-{}[]!&*|>%@`,?~ \n\t\r\0aé\u2028\ufeff😀", min_size=1, max_size=20),
    st.sampled_from(
        ["yes", "NO", "null", "~", "1", "1e5", "0x1F", "2026-01-01", ".inf", "=", "<<"]
    ),
)
MAPS = st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=4)
RULES = st.fixed_dictionaries({"alert": TEXTS, "expr": TEXTS}, optional={"labels": MAPS})
GROUPS = st.fixed_dictionaries(
    {"name": TEXTS},
    optional={"limit": st.integers(0, 9), "labels": MAPS},
)


@given(groups=st.lists(st.tuples(GROUPS, st.lists(RULES, min_size=1, max_size=3)), min_size=1))
def test_what_is_written_is_read_again(groups: list[tuple[dict[str, Any], list[Any]]]) -> None:
    data = [{**group, "rules": rules} for group, rules in groups]
    assert load_yaml(render_rule_file(data)) == {"groups": data}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("warning", "warning"),
        ("yes", "'yes'"),
        ("5m", "'5m'"),
        ('up{job="x"} == 0', "'up{job=\"x\"} == 0'"),
        ("it's", "'it''s'"),
        ("two\nlines", '"two\\nlines"'),
    ],
)
def test_a_text_is_quoted_when_it_must_be(text: str, written: str) -> None:
    assert render_rule_file([{"name": text}]) == f"groups:\n- name: {written}\n"

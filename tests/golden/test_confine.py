"""Expressions of foreign policies, with Prometheus' own parser as the judge."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from firewatch.build.confine import NotConfinedError, confine, prove_confined
from tests.golden.parser import Parser, running_parser
from tests.golden.promql import expressions

MATCHER = {"name": "namespace", "type": "=", "value": "shop"}


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parser]:
    with running_parser(tmp_path_factory.mktemp("parser")) as found:
        yield found


def selectors(tree: Any) -> Iterator[Any]:
    """Yield the matchers of every selector, looking everywhere in a tree."""
    if isinstance(tree, dict):
        if "matchers" in tree:
            yield tree["matchers"]
        for each in tree.values():
            yield from selectors(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from selectors(each)


def without_matcher(tree: Any) -> Any:
    """Return a tree with our matcher taken out of every selector once."""
    if isinstance(tree, list):
        return [without_matcher(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    found = {key: without_matcher(each) for key, each in tree.items()}
    if "matchers" in tree:
        rest = [*tree["matchers"]]
        rest.remove(MATCHER)
        found["matchers"] = rest
    return found


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(expression=expressions())
def test_every_selector_of_generated_expressions_is_confined(
    parser: Parser, expression: str
) -> None:
    before = parser.tree(expression)
    assume(before is not None)
    after = parser.tree(confine(expression, "shop"))
    assert after is not None
    assert all(MATCHER in matchers for matchers in selectors(after))
    assert without_matcher(after) == before
    prove_confined(before, after, "shop")


@pytest.mark.parametrize(
    ("expression", "confined"),
    [
        ("up", 'up{namespace="shop"}'),
        ("up{}", 'up{namespace="shop"}'),
        ("up{job='x',}", "up{job='x',namespace=\"shop\"}"),
        ("{`http.requests`}", '{`http.requests`,namespace="shop"}'),
        ('{__name__=~".+"}', '{__name__=~".+",namespace="shop"}'),
        ('up{namespace="bank"}', 'up{namespace="bank",namespace="shop"}'),
        ("up{job='x' # }\n}", "up{job='x',namespace=\"shop\" # }\n}"),
        ("rate(x[5m] offset -1h) @ end()", None),
        ("rate(x[5m] offset -1h @ end())", 'rate(x{namespace="shop"}[5m] offset -1h @ end())'),
        ("sum(x) by (job)", 'sum(x{namespace="shop"}) by (job)'),
        (
            "a * on (x) group_left (y) b",
            'a{namespace="shop"} * on (x) group_left (y) b{namespace="shop"}',
        ),
        ("1 + Inf > bool NaN", "1 + Inf > bool NaN"),
        ("vector(1)", "vector(1)"),
    ],
)
def test_the_text_is_edited_and_nothing_else(
    parser: Parser, expression: str, confined: str | None
) -> None:
    before = parser.tree(expression)
    assert (before is None) == (confined is None)
    if confined is not None:
        assert confine(expression, "shop") == confined
        prove_confined(before, parser.tree(confined), "shop")


@pytest.mark.parametrize(
    "tampered",
    [
        'up{namespace="shop"} or up',
        "up",
        'up{namespace="bank"}',
        'up{namespace=~"shop"}',
        'up{namespace="shop",job="x"}',
        'up{namespace="shop"}[5m:]',
        'down{namespace="shop"}',
        'up{namespace="shop"} offset 5m',
    ],
)
def test_any_other_tree_is_no_proof(parser: Parser, tampered: str) -> None:
    with pytest.raises(NotConfinedError):
        prove_confined(parser.tree("up"), parser.tree(tampered), "shop")


@pytest.mark.parametrize(
    "node",
    [
        {"type": "somethingNew", "expr": None},
        {"type": "call", "func": {"name": "info"}, "args": []},
        {"type": "parenExpr", "matchers": []},
    ],
)
def test_what_is_not_known_is_not_trusted(node: dict[str, Any]) -> None:
    with pytest.raises(NotConfinedError):
        prove_confined(node, json.loads(json.dumps(node)), "shop")

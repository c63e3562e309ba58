"""Which series must exist for a silent rule to mean that all is well (pure)."""

import json

import promql_parser

_KEPT = frozenset({"job", "namespace", "service", "__name__"})
"""Matchers that say whose metric it is; others (an error status, say) may rightly match nothing."""

_OPERATORS = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}


def presence_queries(expression: str) -> list[str] | None:
    """Return a PromQL query per metric of the expression; each must return something.

    None if the expression cannot be taken apart, so that its data cannot be proved.
    """
    try:
        selectors = {_selector(node) for node in find_selectors(promql_parser.parse(expression))}
    except ValueError:
        return None
    return [f"count({selector})" for selector in sorted(selectors)]


def find_selectors(expression: promql_parser.Expr) -> list[promql_parser.VectorSelector]:
    """Return the selectors of an expression, those of ranges too."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(expression, visit)
    return found


def _selector(node: promql_parser.VectorSelector) -> str:
    matchers = [
        f"{matcher.name}{_OPERATORS[str(matcher.op)]}{json.dumps(matcher.value)}"
        for matcher in node.matchers.matchers
        if matcher.name in _KEPT
    ]
    if node.name:
        matchers.insert(0, f"__name__={json.dumps(node.name)}")
    return "{" + ",".join(matchers) + "}" if matchers else '{__name__!=""}'

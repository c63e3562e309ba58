"""Where an expression uses which metric, and inside which functions.

This is advice, so that an expression which the parser does not understand is passed over; the
verdict on an expression is the server's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import promql_parser as promql


@dataclass(frozen=True)
class Use:
    """A metric at one place of an expression."""

    metric: str
    functions: tuple[str, ...]
    """The functions around it, the innermost first."""
    window: timedelta | None
    """The range in brackets, if it has one."""
    job: str | None
    """The job that it asks for, if it names one."""


def find_uses(expression: str) -> list[Use]:
    """Return every use of a metric; none if the expression is not understood."""
    try:
        return [*_visit(promql.parse(expression), (), None)]
    except ValueError:
        return []


def _visit(
    node: promql.Expr, functions: tuple[str, ...], window: timedelta | None
) -> Iterator[Use]:
    match node:
        case promql.VectorSelector():
            yield from _use(node, functions, window)
        case promql.MatrixSelector():
            yield from _visit(node.vector_selector, functions, node.range)
        case promql.Call():
            for argument in node.args:
                yield from _visit(argument, (node.func.name, *functions), window)
        case promql.BinaryExpr():
            yield from _visit(node.lhs, functions, window)
            yield from _visit(node.rhs, functions, window)
        case (
            promql.AggregateExpr() | promql.UnaryExpr() | promql.ParenExpr() | promql.SubqueryExpr()
        ):
            yield from _visit(node.expr, functions, window)


def _use(
    node: promql.VectorSelector, functions: tuple[str, ...], window: timedelta | None
) -> Iterator[Use]:
    equal = {
        matcher.name: matcher.value
        for matcher in node.matchers.matchers
        if matcher.op == promql.MatchOp.Equal
    }
    metric = node.name or equal.get("__name__")
    if metric:
        yield Use(metric, functions, window, equal.get("job"))

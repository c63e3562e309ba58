"""Whether a cured alert would come back with fewer replicas (pure).

More replicas lower what each of them carries, so that an alert resolves because of the cure. It is
safe to go back once the present load, spread over the baseline, stays below the alert's limit, which
stands in its own rule: ``value * replicas / baseline < limit``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import promql_parser

from firewatch.respond.presence import find_selectors

_MARGIN = 0.9
"""Share of the limit below which the projected load must stay: without it, it swings at the edge."""
_ABOVE = {">": True, ">=": True, "<": False, "<=": False}


@dataclass(frozen=True)
class Limit:
    """What an alerting rule compares with a number: it fires above that."""

    query: str
    value: float


@dataclass(frozen=True)
class Sample:
    """One series of that query at present."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Load:
    """The present load, as far as it concerns one AutoResponse."""

    value: float
    limit: float

    def projected(self, replicas: int, baseline: int) -> float:
        """Return what it would be if fewer replicas carried it."""
        return self.value * replicas / max(1, baseline)

    def allows(self, replicas: int, baseline: int) -> bool:
        """Tell whether so many replicas would carry it."""
        return self.projected(replicas, baseline) < self.limit * _MARGIN


def find_limit(expression: str) -> Limit | None:
    """Return what a rule compares with a positive number, if it fires above that.

    None if that cannot be told, or if it is bytes that are held: then being resolved is all that is
    known. What is held does not move from one replica to another when there are fewer.
    """
    try:
        node = promql_parser.parse(expression)
    except ValueError:
        return None
    comparison = _comparison(node)
    if comparison is None:
        return None
    left, right, is_above = comparison
    if isinstance(left, promql_parser.NumberLiteral):
        left, right, is_above = right, left, not is_above
    if not isinstance(right, promql_parser.NumberLiteral) or not is_above or right.val <= 0:
        return None
    return None if _is_held(left) else Limit(left.prettify(), right.val)


def is_excess(expression: str) -> bool:
    """Tell whether a rule fires because something is too much, so that less of it is better."""
    try:
        comparison = _comparison(promql_parser.parse(expression))
    except ValueError:
        return False
    if comparison is None:
        return False
    left, _, is_above = comparison
    # Prometheus keeps the left side's value, whatever that is; with a number there, the other's.
    return is_above != isinstance(left, promql_parser.NumberLiteral)


def _is_held(node: promql_parser.Expr) -> bool:
    """Tell whether an expression is made of a gauge in bytes, as memory and disks are.

    By the conventions for names of metrics, a counter of bytes that flow ends in ``_total``.
    """
    return any((selector.name or "").endswith("_bytes") for selector in find_selectors(node))


def _comparison(
    node: promql_parser.Expr,
) -> tuple[promql_parser.Expr, promql_parser.Expr, bool] | None:
    """Return both sides of the comparison, and whether the left one is to be above the right."""
    while isinstance(node, promql_parser.ParenExpr):
        node = node.expr
    if not isinstance(node, promql_parser.BinaryExpr):
        return None
    operator = str(node.op)
    if operator in ("and", "unless"):  # a condition behind it, as enough traffic
        return _comparison(node.lhs)
    return (node.lhs, node.rhs, _ABOVE[operator]) if operator in _ABOVE else None


def find_load(
    limit: Limit | None, samples: Sequence[Sample], labels: Mapping[str, str]
) -> Load | None:
    """Return the highest load among the series that carry the labels of a trigger.

    No series is no load: that there is data at all is proved elsewhere.
    """
    if limit is None:
        return None
    values = (s.value for s in samples if all(s.labels.get(k) == v for k, v in labels.items()))
    return Load(max(values, default=0.0), limit.value)

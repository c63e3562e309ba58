"""PromQL as it is written: texts, numbers, selectors and aggregations of rules that are made here."""

import json
from collections.abc import Iterable, Mapping, Sequence


def quote(text: str) -> str:
    """Return a text as a PromQL string: its escapes are Go's, of which JSON's are a part."""
    return json.dumps(text, ensure_ascii=False)


def number(value: float) -> str:
    """Return a number in as few digits as it needs."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def equal(labels: Mapping[str, str]) -> list[str]:
    """Return matchers that ask for these very labels, sorted by name."""
    return [f"{name}={quote(value)}" for name, value in sorted(labels.items())]


def selector(metric: str, matchers: Iterable[str] = ()) -> str:
    """Return the series of a metric that all matchers let through."""
    found = ",".join(matchers)
    return f"{metric}{{{found}}}" if found else metric


def aggregate(operator: str, expression: str, *, by: Sequence[str]) -> str:
    """Return an aggregation that keeps some labels; over everything if there are none."""
    kept = f" by ({', '.join(by)})" if by else ""
    return f"{operator}{kept} ({expression})"

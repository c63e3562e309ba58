"""Whether a label selector matches (pure), as the API server decides it, and what goes by one."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from firewatch.api.resource import Object


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector matches; an empty one matches everything, none nothing."""
    if selector is None:
        return False
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return wanted.items() <= labels.items() and all(_holds(each, labels) for each in expressions)


def budgets_of(workload: Object, budgets: Iterable[Object]) -> Iterator[tuple[str, int]]:
    """Yield the PodDisruptionBudgets for the pods of a workload: name, and how many they let go now."""
    labels = (workload["spec"]["template"].get("metadata") or {}).get("labels") or {}
    for budget in budgets:
        if selects(budget["spec"].get("selector"), labels):
            allowed = budget.get("status", {}).get("disruptionsAllowed", 0)
            yield budget["metadata"]["name"], allowed


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels

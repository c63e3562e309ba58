"""Dashboards that are older than today's Grafana, brought to what it draws.

Grafana 12 has no Angular panels any more. ``graph`` and ``singlestat`` were such; what replaces them is
set differently (Grafana, "Angular support deprecation").
"""

from collections.abc import Iterator
from typing import Any

from firewatch.api.resource import Object

SCHEMA_VERSION = 39
"""Taken for that of a dashboard which names none; Grafana itself brings it up to date."""

_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 24
_CALCULATIONS = {
    "avg": "mean",
    "current": "lastNotNull",
    "first": "firstNotNull",
    "max": "max",
    "min": "min",
    "total": "sum",
}
"""What a singlestat calls them, and what a stat does."""


def migrate(dashboard: Object) -> Object:
    """Return a dashboard whose panels are of today's types, have places, and queries with names."""
    panels = [_today(panel) for panel in _dicts(dashboard.get("panels"))]
    for number, panel in enumerate(panels):
        panel.setdefault("id", number + 1)
        _name_queries(panel)
    if panels and not any("gridPos" in panel for panel in panels):
        for number, panel in enumerate(panels):
            panel["gridPos"] = _place(number)
    found = {**dashboard, "panels": panels}
    found.setdefault("schemaVersion", SCHEMA_VERSION)
    return found


def _today(panel: Object) -> Object:
    found = {**panel}
    if "panels" in panel:  # a row that is folded
        found["panels"] = [_today(each) for each in _dicts(panel["panels"])]
    if panel.get("type") == "graph":
        return _time_series(found)
    if panel.get("type") == "singlestat":
        return _stat(found)
    return found


def _time_series(panel: Object) -> Object:
    axes = _dicts(panel.pop("yaxes", None))
    custom: Object = {}
    if panel.pop("stack", False):
        custom["stacking"] = {"mode": "normal"}
    if panel.pop("bars", False):
        custom["drawStyle"] = "bars"
    if isinstance(fill := panel.pop("fill", None), int | float):
        custom["fillOpacity"] = min(100, 10 * fill)
    if isinstance(width := panel.pop("linewidth", None), int | float):
        custom["lineWidth"] = width
    defaults: Object = {"custom": custom} if custom else {}
    for axis in axes[:1]:
        defaults |= {"unit": axis["format"]} if isinstance(axis.get("format"), str) else {}
        for limit in ("min", "max"):
            if isinstance(number := _number(axis.get(limit)), float):
                defaults[limit] = number
    return _with_defaults({**panel, "type": "timeseries"}, defaults)


def _stat(panel: Object) -> Object:
    defaults: Object = {}
    if isinstance(unit := panel.pop("format", None), str):
        defaults["unit"] = unit
    calculation = _CALCULATIONS.get(str(panel.pop("valueName", "avg")), "lastNotNull")
    options = {**_dict(panel.get("options")), "reduceOptions": {"calcs": [calculation]}}
    return _with_defaults({**panel, "type": "stat", "options": options}, defaults)


def _with_defaults(panel: Object, defaults: Object) -> Object:
    """Return a panel with these defaults of its fields, where it has none of its own."""
    field = _dict(panel.get("fieldConfig"))
    return {
        **panel,
        "fieldConfig": {
            **field,
            "defaults": {**defaults, **_dict(field.get("defaults"))},
            "overrides": field.get("overrides", []),
        },
    }


def _name_queries(panel: Object) -> None:
    """Give the queries names that have none: A, B and so on."""
    queries = [{**query} for query in _dicts(panel.get("targets"))]
    taken = {query.get("refId") for query in queries}
    fresh = _fresh_names(taken)
    for query in queries:
        query.setdefault("refId", None)
        if not query["refId"]:
            query["refId"] = next(fresh)
    if queries:
        panel["targets"] = queries


def _fresh_names(taken: set[Any]) -> Iterator[str]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    yield from (letter for letter in letters if letter not in taken)
    yield from (name for a in letters for b in letters if (name := a + b) not in taken)


def _place(number: int) -> Object:
    """Return the place of a panel, two in a row."""
    per_row = _COLUMNS // _WIDTH
    row, column = divmod(number, per_row)
    return {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _dict(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[Object]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []

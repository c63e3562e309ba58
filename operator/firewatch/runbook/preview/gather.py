"""What the panels of a dashboard show: each query asked of a Prometheus."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from firewatch.api.resource import Object

_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")
_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_STEPS = 200
_SCRAPES = 4
"""Scrapes in ``$__rate_interval``, as Grafana has it."""


class PreviewError(Exception):
    """A dashboard cannot be shown; ``str()`` says why."""


@dataclass(frozen=True)
class Span:
    """The time that is shown, and how often what is shown was scraped; all in seconds."""

    end: float
    length: float
    scrape_interval: float

    @property
    def step(self) -> float:
        """Return the time between two points."""
        return max(1.0, self.length / _STEPS)


@dataclass(frozen=True)
class Series:
    """A line, or a value, with its name."""

    name: str
    points: Sequence[tuple[float, float]]
    """Pairs of time and value."""


@dataclass(frozen=True)
class PanelData:
    """A panel with what it shows."""

    title: str
    kind: str
    unit: str
    place: tuple[int, int, int, int]
    """x, y, width and height, of 24 columns."""
    series: Sequence[Series]
    empty: str
    """What is shown when there is nothing."""
    steps: Sequence[tuple[float, str]]
    """From which value on it has which colour."""
    states: Mapping[str, tuple[str, str]]
    """Text and colour of a value."""


@dataclass(frozen=True)
class Preview:
    """A dashboard with what its panels show."""

    uid: str
    title: str
    description: str
    panels: Sequence[PanelData]
    rows: Sequence[tuple[str, int]] = ()
    """Titles of rows, each with where it begins."""


async def gather_preview(
    session: aiohttp.ClientSession, url: str, content: Object, span: Span
) -> Preview:
    """Ask a Prometheus every query of a dashboard; ``PreviewError`` if it does not answer."""
    panels = [
        await _panel(session, url, panel, span)
        for panel in content["panels"]
        if panel["type"] != "row"
    ]
    rows = [(p["title"], p["gridPos"]["y"]) for p in content["panels"] if p["type"] == "row"]
    return Preview(content["uid"], content["title"], content.get("description", ""), panels, rows)


async def _panel(session: aiohttp.ClientSession, url: str, panel: Object, span: Span) -> PanelData:
    series = [
        found
        for target in panel.get("targets", ())
        for found in await _ask(session, url, target, span)
    ]
    defaults = panel["fieldConfig"]["defaults"]
    grid = panel["gridPos"]
    steps = defaults.get("thresholds", {}).get("steps", ())
    return PanelData(
        title=panel["title"],
        kind=panel["type"],
        unit=defaults.get("unit", "none"),
        place=(grid["x"], grid["y"], grid["w"], grid["h"]),
        series=series,
        empty=defaults.get("noValue", ""),
        steps=[
            (float("-inf") if step["value"] is None else step["value"], step["color"])
            for step in steps
        ],
        states=dict(_states(defaults)),
    )


def _states(defaults: Object) -> Sequence[tuple[str, tuple[str, str]]]:
    return [
        (value, (shown["text"], shown["color"]))
        for mapping in defaults.get("mappings", ())
        for value, shown in mapping["options"].items()
    ]


def with_all_chosen(expression: str, rate_interval: str) -> str:
    """Return a query as Grafana asks it where all is chosen above the dashboard."""
    return _VARIABLE.sub(".+", expression.replace("$__rate_interval", rate_interval))


async def _ask(
    session: aiohttp.ClientSession, url: str, target: Object, span: Span
) -> Sequence[Series]:
    interval = f"{max(_SCRAPES * span.scrape_interval, span.step):.0f}s"
    expression = with_all_chosen(target["expr"], interval)
    is_now = bool(target.get("instant"))
    times: dict[str, str] = {"time": f"{span.end:.3f}"}
    if not is_now:
        start, step = f"{span.end - span.length:.3f}", f"{span.step:.3f}"
        times = {"start": start, "end": f"{span.end:.3f}", "step": step}
    path = "query" if is_now else "query_range"
    form = {"query": expression, **times}
    answer = await _post(session, f"{url.rstrip('/')}/api/v1/{path}", form)
    return [
        Series(
            _name(target.get("legendFormat", ""), each["metric"]),
            [(float(at), float(value)) for at, value in each.get("values") or [each["value"]]],
        )
        for each in answer["result"]
    ]


async def _post(session: aiohttp.ClientSession, url: str, form: Mapping[str, str]) -> Any:
    try:
        async with session.post(url, data=form) as response:
            answer = json.loads(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise PreviewError(f"{url}: {error}; give the address of a Prometheus") from error
    if response.status != HTTPStatus.OK:
        raise PreviewError(f"{url}: {answer.get('error', response.status)}")
    return answer["data"]


def _name(template: str, labels: Mapping[str, str]) -> str:
    """Return what a series is called, as Grafana has it."""
    if template and template != "__auto":
        return _LABEL.sub(lambda match: labels.get(match[1], ""), template).strip()
    shown = ", ".join(f"{k}={v}" for k, v in sorted(labels.items()) if k != "__name__")
    return shown or labels.get("__name__", "value")

"""A dashboard as a picture, by matplotlib: panels where Grafana has them."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from firewatch.runbook.preview.gather import PanelData, Preview, Series
from firewatch.runbook.preview.units import format_value

_COLUMNS = 24
_WIDTH = 18.0
_PER_ROW = 0.32
_HEAD = 0.8
_ROOM = 1.1
"""How much of the axis there is for what is drawn."""
_COLUMN_LETTERS = 5
_MOST_NAMES, _MOST_ROWS, _MOST_VALUES = 6, 10, 6
_NAME_LENGTH = 46
_COLOURS = {"green": "#37872d", "orange": "#e0752d", "red": "#c4162a"}
_GREY = "#555555"


def draw(preview: Preview, path: Path) -> None:
    """Write a dashboard as a PNG."""
    rows = max(y + height for _, y, _, height in (panel.place for panel in preview.panels))
    height = _HEAD + rows * _PER_ROW
    figure = Figure(figsize=(_WIDTH, height), dpi=70)
    figure.text(0.01, 1 - 0.3 / height, preview.title, fontsize=17, weight="bold", va="center")
    figure.text(0.01, 1 - 0.62 / height, preview.description, fontsize=10, color=_GREY, va="center")
    for title, y in preview.rows:
        place = 1 - (_HEAD + (y + 0.6) * _PER_ROW) / height
        figure.text(0.01, place, title, fontsize=12, color=_GREY, va="center")
    for panel in preview.panels:
        _draw_panel(_axes(figure, panel, height), panel)
    figure.savefig(path)


def _axes(figure: Figure, panel: PanelData, height: float) -> Axes:
    x, y, width, rows = panel.place
    top = _HEAD + y * _PER_ROW
    left, right = x / _COLUMNS + 0.035, (x + width) / _COLUMNS - 0.008
    upper, lower = 1 - (top + 0.45) / height, 1 - (top + rows * _PER_ROW - 0.75) / height
    return figure.add_axes((left, lower, right - left, upper - lower))


def _draw_panel(axes: Axes, panel: PanelData) -> None:
    axes.set_title(panel.title, fontsize=11, loc="left", weight="bold")
    shown = [each for each in panel.series if any(not math.isnan(v) for _, v in each.points)]
    if not shown:
        _blank(axes)
        axes.text(0.5, 0.5, panel.empty or "no data", ha="center", va="center", color=_GREY)
    elif panel.kind == "timeseries":
        _lines(axes, panel, shown)
    elif panel.kind == "table":
        _table(axes, panel, shown)
    else:
        _numbers(axes, panel, shown)


def _blank(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_color("#dddddd")


def _lines(axes: Axes, panel: PanelData, shown: Sequence[Series]) -> None:
    for series in shown:
        times: list[Any] = [datetime.fromtimestamp(at, UTC) for at, _ in series.points]
        axes.plot(times, [value for _, value in series.points], label=_short(series.name), lw=1.4)
    for limit, colour in panel.steps:
        if math.isfinite(limit):
            axes.axhline(limit, color=_COLOURS.get(colour, colour), lw=0.8, ls="--")
    values = [value for series in shown for _, value in series.points if math.isfinite(value)]
    least, most = min(0.0, *values), max(0.0, *values)
    axes.set_ylim(least * _ROOM, most * _ROOM or 1.0)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: format_value(v, panel.unit)))
    locator = AutoDateLocator(maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    handles, names = axes.get_legend_handles_labels()
    more = len(names) - _MOST_NAMES
    title = f"and {more} more" if more > 0 else None
    axes.legend(
        handles[:_MOST_NAMES],
        names[:_MOST_NAMES],
        title=title,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.12),
        ncols=2,
        fontsize=7.5,
        title_fontsize=7.5,
        frameon=False,
    )


def _numbers(axes: Axes, panel: PanelData, shown: Sequence[Series]) -> None:
    _blank(axes)
    values = shown[:_MOST_VALUES]
    for number, series in enumerate(values):
        value = series.points[-1][1]
        text, colour = panel.states.get(f"{value:g}", (format_value(value, panel.unit), ""))
        colour = colour or next((c for limit, c in reversed(panel.steps) if value >= limit), "")
        height = 1 - (number + 0.5) / len(values)
        size = 26 if len(values) == 1 else 15
        shade = _COLOURS.get(colour, "black")
        axes.text(0.97, height, text, ha="right", va="center", fontsize=size, color=shade)
        axes.text(0.03, height, _short(series.name), ha="left", va="center", fontsize=9)


def _table(axes: Axes, panel: PanelData, shown: Sequence[Series]) -> None:
    _blank(axes)
    ranked = sorted(shown, key=lambda each: -each.points[-1][1])[:_MOST_ROWS]
    for number, series in enumerate(ranked):
        height = 1 - (number + 0.6) / _MOST_ROWS
        value = format_value(series.points[-1][1], panel.unit)
        axes.text(0.97, height, value, ha="right", va="center", fontsize=8.5)
        name = _short(series.name, _COLUMN_LETTERS * panel.place[2])
        axes.text(0.03, height, name, ha="left", va="center", fontsize=8)


def _short(name: str, most: int = _NAME_LENGTH) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"

"""What was seen over time, and how it is drawn in columns (pure)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.text import Text

ROWS = 5
"""Rows of the CPU's curve: 20 % each, so that a threshold of 80 % is the edge of the topmost."""
_BLOCKS = " ▁▂▃▄▅▆▇█"
_STEPS = (1.0, 1.5, 2, 3, 5, 10, 15, 20, 30, 60)
_TICK_COLUMNS = 10

_ALERT_MARKS = {"inactive": ("─", "dim"), "pending": ("▒", "yellow"), "firing": ("█", "red")}
_RESPONSE_MARKS = {
    "Active": ("█", "magenta"),
    "Holding": ("▓", "magenta"),
    "Restoring": ("▒", "magenta"),
    "Refused": ("█", "red"),
    "Released": ("█", "red"),
}
_QUIET_MARK = ("─", "dim")


@dataclass(frozen=True)
class Sample:
    """What was the case at one moment."""

    at: float
    """Seconds since the beginning."""
    cpu: float | None
    """Percent busy, as the alert's rule sees it."""
    alert: str
    """``inactive``, ``pending`` or ``firing``."""
    wanted: int
    ready: int
    response: str
    """State of the AutoResponse."""
    message: str = ""


@dataclass(frozen=True)
class Grid:
    """One sample for each column; a column stands for so many seconds."""

    columns: tuple[Sample, ...]
    seconds: float


def fit(samples: Sequence[Sample], width: int) -> Grid:
    """Return the samples in at most so many columns."""
    last = samples[-1].at if samples else 0.0
    step = next((step for step in _STEPS if last < step * width), _STEPS[-1])
    columns: dict[int, Sample] = {}
    for sample in samples:
        place = int(sample.at // step)
        columns[place] = _merge(columns[place], sample) if place in columns else sample
    return Grid(tuple(columns[place] for place in sorted(columns))[:width], step)


def _merge(earlier: Sample, later: Sample) -> Sample:
    """Return what stands for both: how it is afterwards, at the higher load."""
    known = [sample.cpu for sample in (earlier, later) if sample.cpu is not None]
    return replace(later, cpu=max(known, default=None))


def draw_cpu(grid: Grid, threshold: float) -> list[Text]:
    """Return the rows of the CPU's curve, the topmost first, with a line at the threshold."""
    return [_draw_row(grid, row, threshold) for row in reversed(range(ROWS))]


def _draw_row(grid: Grid, row: int, threshold: float) -> Text:
    text = Text()
    share = 100 / ROWS
    for sample in grid.columns:
        percent = 0.0 if sample.cpu is None else min(max(sample.cpu, 0.0), 100.0)
        eighths = round((percent - row * share) / share * 8)
        if eighths > 0:
            style = "red" if percent > threshold else "green"
            text.append(_BLOCKS[min(eighths, 8)], style)
        elif row * share < threshold <= (row + 1) * share:
            text.append("▔", "dim red")
        else:
            text.append(" ")
    return text


def draw_alert(grid: Grid) -> Text:
    """Return the alert's states as a strip."""
    return _strip(_ALERT_MARKS.get(sample.alert, _QUIET_MARK) for sample in grid.columns)


def draw_response(grid: Grid) -> Text:
    """Return the AutoResponse's states as a strip."""
    return _strip(_RESPONSE_MARKS.get(sample.response, _QUIET_MARK) for sample in grid.columns)


def draw_replicas(grid: Grid) -> Text:
    """Return the replicas as a strip: the number where it changes, a line while it stays."""
    text, shown = Text(), -1
    for sample in grid.columns:
        style = "bold green" if sample.ready == sample.wanted else "bold yellow"
        line = "━" if sample.ready == sample.wanted else "╍"
        text.append(str(sample.wanted) if sample.wanted != shown else line, style)
        shown = sample.wanted
    return text


def draw_axis(grid: Grid, width: int) -> Text:
    """Return the seconds below the strips."""
    text = ""
    for column in range(0, width, _TICK_COLUMNS):
        text += f"{column * grid.seconds:g}s".ljust(_TICK_COLUMNS)
    return Text(text[:width], "dim")


def _strip(marks: Iterator[tuple[str, str]]) -> Text:
    text = Text()
    for mark, style in marks:
        text.append(mark, style)
    return text

"""The live timeline: a panel on a terminal, plain lines elsewhere, and a picture at the end."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from e2e.demo.names import ALERT, TARGET
from e2e.demo.timeline import (
    ROWS,
    Grid,
    Sample,
    draw_alert,
    draw_axis,
    draw_cpu,
    draw_replicas,
    draw_response,
    fit,
)

WIDTH = 100
_LABEL, _STRIP, _VALUE = 10, 60, 22
_LIVE_HEIGHT = 16
"""Rows of the live panel that are not lines of what happened."""
_PLAIN_SECONDS = 5.0

# rich's own template refers to a font on the web, which a picture in a README cannot load anyway.
_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
  font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


@dataclass(frozen=True)
class Line:
    """Something that happened."""

    at: float
    text: str
    style: str = ""


@dataclass
class Story:
    """Everything that is shown."""

    title: str
    threshold: float
    samples: list[Sample] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    waiting_for: str = ""


class Screen:
    """Shows the story while it grows."""

    def __init__(self, console: Console, story: Story) -> None:
        self.story = story
        self._console = console
        self._spinner = Spinner("dots")
        self._live: Live | None = None
        self._next_plain = 0.0

    @contextmanager
    def open(self) -> Iterator[None]:
        """Show the story for a while; the whole of it stays on the screen afterwards."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            console=self._console, refresh_per_second=8, get_renderable=self._draw_live
        ) as self._live:
            yield

    def tell(self, at: float, text: str, style: str = "") -> None:
        """Add a line to the story."""
        self.story.lines.append(Line(at, text, style))
        if self._live is None:
            self._say(_stamp(at) + text)

    def show(self, sample: Sample) -> None:
        """Add what was seen."""
        self.story.samples.append(sample)
        if self._live is None and sample.at >= self._next_plain:
            self._next_plain = sample.at + _PLAIN_SECONDS
            self._say(f"{_stamp(sample.at)}{_describe(sample)}; {self.story.waiting_for}")

    def save(self, path: Path) -> None:
        """Write the whole story as a picture."""
        console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
        console.print(draw(self.story))
        console.save_svg(str(path), title="make demo", code_format=_SVG)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _draw_live(self) -> RenderableType:
        story = self.story
        if not story.waiting_for:
            return draw(story)
        self._spinner.update(text=Text(story.waiting_for, "bold"))
        room = max(3, self._console.height - _LIVE_HEIGHT)
        recent = replace(story, lines=story.lines[-room:])
        return draw(recent, self._spinner)


def draw(story: Story, below: RenderableType = "") -> Panel:
    """Return the panel: strips over time, what happened, and what is waited for."""
    elapsed = story.samples[-1].at if story.samples else 0.0
    parts = [_draw_strips(story), Text(), *map(_draw_line, story.lines), below]
    return Panel(
        Group(*(part for part in parts if part != "")),
        title=Text(story.title, "bold"),
        title_align="left",
        subtitle=Text(_stamp(elapsed).strip(), "bold"),
        subtitle_align="right",
        width=WIDTH,
        border_style="blue",
    )


def _draw_strips(story: Story) -> RenderableType:
    if not story.samples:
        return Text()
    grid, now = fit(story.samples, _STRIP), story.samples[-1]
    table = Table.grid(padding=(0, 1))
    for width in (_LABEL, _STRIP, _VALUE):
        table.add_column(width=width, no_wrap=True, overflow="ellipsis")
    for label, strip, value in _rows(story, grid, now):
        table.add_row(Text(label, "bold"), strip, value)
    message = Text(now.message, "dim", overflow="ellipsis", no_wrap=True)
    return Group(table, message)


def _rows(story: Story, grid: Grid, now: Sample) -> Iterator[tuple[str, Text, Text]]:
    percent = "" if now.cpu is None else f"{now.cpu:.0f} %"
    is_high = now.cpu is not None and now.cpu > story.threshold
    for number, row in enumerate(draw_cpu(grid, story.threshold)):
        value = Text()
        if number == 0:
            value = Text(percent, "bold red" if is_high else "bold green")
        elif number == 1:
            value = Text(f"threshold {story.threshold:.0f} %", "dim red")
        yield "node CPU" if number == ROWS // 2 else "", row, value
    yield "alert", draw_alert(grid), Text(f"{ALERT[: _VALUE - 9]} {now.alert}")
    yield TARGET, draw_replicas(grid), Text(f"{now.ready} of {now.wanted} replicas ready")
    yield "response", draw_response(grid), Text(now.response)
    yield "", draw_axis(grid, _STRIP), Text()


def _draw_line(line: Line) -> Text:
    text = Text(overflow="ellipsis", no_wrap=True)
    return text.append(_stamp(line.at), "dim").append(line.text, line.style)


def _describe(sample: Sample) -> str:
    percent = "unknown" if sample.cpu is None else f"{sample.cpu:.0f} %"
    return (
        f"CPU {percent}, {ALERT} {sample.alert}, {TARGET} {sample.ready}/{sample.wanted} ready,"
        f" response {sample.response}"
    )


def _stamp(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}  "

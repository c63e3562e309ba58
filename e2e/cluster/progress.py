"""Shows a person who waits what is being done and how long each step took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.text import Text


class ShownStep:
    """A step whose latest detail is shown beside its title."""

    def __init__(self, console: Console, title: str, spinner: Status | None) -> None:
        self._console = console
        self._title = title
        self._spinner = spinner
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._began

    def detail(self, text: str) -> None:
        """Show what is being done inside the step."""
        line = Text.assemble(self._title, (f"  {text}", "dim"))
        if self._spinner:
            self._spinner.update(line)
        else:
            self._console.print(
                f"    {self.elapsed:7.1f}s  {text}", markup=False, highlight=False, soft_wrap=True
            )


class ConsoleProgress:
    """Prints steps to a terminal with a spinner, or as plain lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    @contextmanager
    def step(self, title: str) -> Iterator[ShownStep]:
        """Show one step, and its time when it ends."""
        if self._console.is_terminal:
            with self._console.status(Text(title)) as spinner:
                step = ShownStep(self._console, title, spinner)
                yield from self._outcome(step, title)
        else:
            self._console.print(f"... {title}", markup=False, highlight=False, soft_wrap=True)
            step = ShownStep(self._console, title, None)
            yield from self._outcome(step, title)

    def _outcome(self, step: ShownStep, title: str) -> Iterator[ShownStep]:
        try:
            yield step
        except BaseException:
            self._end("failed", "red", title, step.elapsed)
            raise
        self._end("ok    ", "green", title, step.elapsed)

    def _end(self, word: str, style: str, title: str, seconds: float) -> None:
        line = Text.assemble((word, style), f" {seconds:6.1f}s  {title}")
        self._console.print(line, soft_wrap=True)


class SilentStep:
    """A step that nobody watches."""

    def detail(self, text: str) -> None:
        """Say nothing."""


class SilentProgress:
    """For tests, which have an output of their own."""

    @contextmanager
    def step(self, title: str) -> Iterator[SilentStep]:
        """Say nothing about the step."""
        del title
        yield SilentStep()

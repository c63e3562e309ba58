"""The guide's page on the runbook: docs/runbook.md, written from docs/runbook-map.yaml (pure).

The map says for every script, configuration block, metric family, task and objective of the
runbook what does its work in Firewatch. Only ``generate`` uses this module, never the operator.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

_INTRODUCTION = """\
<!-- Generated from runbook-map.yaml by `make generate`; do not edit. -->
# The runbook, entry by entry

What does the work of each script, configuration block, metric family, task and objective of the
[runbook](reference/runbook.md) in Firewatch. Firewatch is built in eight parts: *works* means that
it is there, *part 5* that it comes with the fifth part and is not there yet.
"""

Text = Annotated[str, Field(min_length=1)]


class Way(StrEnum):
    """How Firewatch does something; each is a key of an entry."""

    FIELD = "field"
    COMMAND = "command"
    MAKE = "make"
    METRIC = "metric"
    DASHBOARD = "dashboard"


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class _Means(_Strict):
    """What does the work."""

    field: str | None = Field(default=None, pattern=r"^[A-Z][A-Za-z]*\.spec(\.[a-z][A-Za-z0-9]*)*$")
    """Kind and path of a field; lists are passed through."""
    command: str | None = Field(default=None, pattern=r"^firewatch [a-z]")
    """A command line."""
    make: str | None = Field(default=None, pattern=r"^[a-z][a-z-]*$")
    """A target of the Makefile."""
    metric: str | None = Field(default=None, pattern=r"^firewatch_[a-z_]+$")
    """A metric family of the operator itself."""
    dashboard: Text | None = None
    """Title of a dashboard that comes with Firewatch."""

    def means(self) -> list[tuple[Way, str]]:
        """Return the ways that are set, with their values."""
        values = ((way, getattr(self, way)) for way in Way)
        return [(way, value) for way, value in values if value is not None]


class Planned(_Means):
    """What will do the work, and which part of Firewatch brings it."""

    part: int = Field(ge=1, le=8)
    """The part of the work that brings it."""

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        if len(self.means()) != 1:
            raise ValueError(f"planned: set part and exactly one of {', '.join(Way)}")
        return self


class Entry(_Means):
    """One thing that the runbook asks for, and the one way in which Firewatch does it."""

    id: Text
    """The script's file name, the heading above the block, the family's name, the task's text."""
    section: Text
    """Where the runbook has it first: its headings of the second and third level."""
    planned: Planned | None = None
    """What will do the work, as long as nothing does."""
    note: Text | None = None
    """What a reader should know besides."""

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        if len(self.means()) + (self.planned is not None) != 1:
            raise ValueError(f"{self.id}: set exactly one of {', '.join(Way)}, planned")
        return self


class RunbookMap(_Strict):
    """The whole map, every list in the order of the runbook."""

    sections: list[Text]
    """All sections that entries name, in the order of the runbook."""
    scripts: list[Entry]
    """The shell scripts, each once."""
    blocks: list[Entry]
    """The configuration and code blocks; shell blocks are lists of scripts and metrics."""
    metrics: list[Entry]
    """The metric families."""
    checklist: list[Entry]
    """The tasks of the four checklists."""
    objectives: list[Entry]
    """The monitoring objectives."""

    @model_validator(mode="after")
    def _knows_its_sections(self) -> Self:
        for _, entry in self.entries():
            if entry.section not in self.sections:
                raise ValueError(f"{entry.id}: {entry.section!r} is not one of the sections")
        return self

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Yield every entry with the word for its sort."""
        yield from (("script", entry) for entry in self.scripts)
        yield from (("block", entry) for entry in self.blocks)
        yield from (("metric", entry) for entry in self.metrics)
        yield from (("task", entry) for entry in self.checklist)
        yield from (("objective", entry) for entry in self.objectives)


def parse_map(text: str) -> RunbookMap:
    """Read a map; ``ValueError`` says what is wrong with it."""
    return RunbookMap.model_validate(yaml.safe_load(text))


def render_runbook(runbook: RunbookMap) -> str:
    """Return the page: how much is done, then a table for each section of the runbook."""
    return "\n".join([_INTRODUCTION, *_summary(runbook), *_sections(runbook)])


def _summary(runbook: RunbookMap) -> Iterator[str]:
    yield "| Of the runbook's | works | planned |"
    yield "|---|---:|---:|"
    for sort, group in groupby(runbook.entries(), key=lambda pair: pair[0]):
        planned = [entry.planned is not None for _, entry in group]
        yield f"| {len(planned)} {sort}s | {planned.count(False)} | {planned.count(True)} |"
    yield ""


def _sections(runbook: RunbookMap) -> Iterator[str]:
    chapter = ""
    for section in runbook.sections:
        first, _, rest = section.partition(" / ")
        if first != chapter:
            chapter = first
            yield f"## {chapter}\n"
        if rest:
            yield f"### {rest}\n"
        yield "| In the runbook | With Firewatch | State |"
        yield "|---|---|---|"
        pairs = [(sort, entry) for sort, entry in runbook.entries() if entry.section == section]
        for (sort, *answer), group in groupby(pairs, key=lambda pair: (pair[0], *_answer(pair[1]))):
            yield _row(sort, [entry.id for _, entry in group], answer)
        yield ""


def _row(sort: str, ids: Sequence[str], answer: Sequence[str]) -> str:
    """Return a row for neighbours that have the same answer."""
    names = [f"`{name}`" if sort in ("script", "metric") else _cell(name) for name in ids]
    plural = "s" if len(ids) > 1 else ""
    return " | ".join([f"| {sort}{plural} {'<br>'.join(names)}", *answer]) + " |"


def _answer(entry: Entry) -> tuple[str, str]:
    """Return what does the work, and whether it is there."""
    ((way, value),) = (entry.planned or entry).means()
    note = f": {entry.note}" if entry.note else ""
    state = f"part {entry.planned.part}" if entry.planned else "works"
    return _cell(_phrase(way, value) + note), state


def _phrase(way: Way, value: str) -> str:
    if way is Way.DASHBOARD:
        return f"dashboard {value}"
    return f"`make {value}`" if way is Way.MAKE else f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")

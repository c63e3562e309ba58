"""Lists on standard output, in the forms that people and programs read."""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum

import typer
from rich.console import Console
from rich.table import Table

from firewatch.build.yaml_text import dump_yaml

_WIDE = 500
"""Columns where nobody looks on: a line each, for grep."""


class ListFormat(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"


def print_rows(
    headings: Sequence[str], rows: Sequence[Mapping[str, str]], output: ListFormat
) -> None:
    """Print rows with the same keys; the headings are for people."""
    match output:
        case ListFormat.JSON:
            typer.echo(json.dumps([*rows], indent=2))
        case ListFormat.YAML:
            typer.echo(dump_yaml([dict(row) for row in rows]), nl=False)
        case ListFormat.MARKDOWN:
            typer.echo(_markdown(headings, [[*row.values()] for row in rows]), nl=False)
        case ListFormat.TABLE if rows:
            table = Table(*headings, box=None, pad_edge=False)
            for row in rows:
                table.add_row(*row.values())
            Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )

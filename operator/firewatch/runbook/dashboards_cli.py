"""The commands ``firewatch dashboards``."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import aiohttp
import typer

from firewatch.build.grafana.bundled import BUNDLED, read_bundled
from firewatch.runbook.preview.gather import Preview, PreviewError, Span, gather_preview

_FAILED = 2
_TIMEOUT = aiohttp.ClientTimeout(total=30)

DASHBOARDS = typer.Typer(
    no_args_is_help=True, help="The dashboards that come with Firewatch, without Grafana."
)


@DASHBOARDS.command("list")
def list_dashboards() -> None:
    """Print uid, title and purpose of each dashboard."""
    for uid in BUNDLED:
        content = json.loads(read_bundled(uid))
        typer.echo(f"{uid:24} {content['title']:22} {content['description']}")


@DASHBOARDS.command()
def preview(
    uids: Annotated[
        list[str] | None, typer.Argument(help="Dashboards by uid; all when left out.")
    ] = None,
    *,
    prometheus: Annotated[
        str, typer.Option("--prometheus", help="Address of a Prometheus, as after a port-forward.")
    ] = "http://127.0.0.1:9090",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pictures.")] = Path(
        "dashboards-preview"
    ),
    minutes: Annotated[float, typer.Option(min=1, help="Time that is shown.")] = 60,
    scrape_interval: Annotated[
        float, typer.Option(min=0.1, help="How often targets are scraped, in seconds.")
    ] = 15,
) -> None:
    """Draw dashboards as PNG from what a Prometheus answers.

    What can be chosen above a dashboard counts as chosen. It needs the extra ``preview``.
    """
    try:
        from firewatch.runbook.preview.draw import draw  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        typer.echo(f"{error.name} is missing; pip install 'firewatch[cli,preview]'", err=True)
        raise typer.Exit(_FAILED) from None
    wanted = uids or [*BUNDLED]
    if unknown := sorted({*wanted} - {*BUNDLED}):
        typer.echo(f"no dashboard is called {unknown[0]}; firewatch dashboards list", err=True)
        raise typer.Exit(_FAILED)
    span = Span(time.time(), 60 * minutes, scrape_interval)
    try:
        previews = asyncio.run(_gather(prometheus, wanted, span))
    except PreviewError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_FAILED) from None
    output.mkdir(parents=True, exist_ok=True)
    for each in previews:
        draw(each, output / f"{each.uid}.png")
        typer.echo(f"{output / each.uid}.png")


async def _gather(url: str, uids: Sequence[str], span: Span) -> list[Preview]:
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        return [
            await gather_preview(session, url, json.loads(read_bundled(uid)), span) for uid in uids
        ]

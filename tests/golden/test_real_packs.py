"""What packs read is what the programs tell: each metric's name is that of a real program of this release."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yaml

from e2e.cluster import binaries
from e2e.cluster.programs import program
from e2e.cluster.progress import SilentProgress
from firewatch.build.packs.choose import choose_packs
from tests.golden.test_packs import around, metrics_of, stack
from tests.golden.test_real_prometheus import free_port, until
from tests.golden.test_real_scraping import running

_NAME = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)[{ ]", re.MULTILINE)


def read_by(*packs: str) -> set[str]:
    """Return the names of the metrics that packs read."""
    chosen = [pack for pack in choose_packs(stack(), around()) if pack.name in packs]
    assert len(chosen) == len(packs)
    return {
        name for pack in chosen for alert in pack.alerts for name in metrics_of(alert.expression)
    }


@asynccontextmanager
async def serving(folder: Path, *command: str | Path) -> AsyncIterator[None]:
    """Run a program as long as it is needed."""
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=folder)
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


async def until_all(wanted: Iterable[str], tell: Callable[[], Awaitable[Iterable[str]]]) -> None:
    """Wait until every metric has been told."""
    missing = set(wanted)

    async def told() -> bool:
        missing.difference_update(await tell())
        return not missing

    try:
        await until(told, seconds=60)
    except AssertionError as error:
        raise AssertionError(f"not told: {sorted(missing)}") from error


def told_at(port: int) -> Callable[[], Awaitable[Iterable[str]]]:
    """Return what asks a program for its metrics."""

    async def tell() -> Iterable[str]:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/metrics") as answer,
            ):
                return _NAME.findall(await answer.text())
        except aiohttp.ClientConnectorError:
            return []

    return tell


async def test_a_node_exporter_tells_what_is_read_of_machines(tmp_path: Path) -> None:
    port = free_port()
    path = binaries.ensure(["node_exporter"], SilentProgress()) / "node_exporter"
    async with serving(tmp_path, path, f"--web.listen-address=127.0.0.1:{port}"):
        await until_all(read_by("node"), told_at(port))


async def test_an_alertmanager_tells_what_is_read_of_it(tmp_path: Path) -> None:
    config = {"route": {"receiver": "a"}, "receivers": [{"name": "a"}]}
    (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command: list[str | Path] = [
        program("alertmanager", SilentProgress()),
        "--config.file=config.yml",
        "--storage.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--cluster.listen-address=127.0.0.1:{free_port()}",
    ]
    async with serving(tmp_path, *command):
        await until_all(read_by("alertmanager") - {"up"}, told_at(port))


async def test_a_prometheus_has_what_is_read_of_it_and_of_all_targets(tmp_path: Path) -> None:
    more = (
        *("--config.auto-reload", "--config.auto-reload-interval=1s"),
        "--storage.remote.flush-deadline=1s",
    )
    remote = [{"name": "r", "url": "http://127.0.0.1:1/write"}]
    rule = {"alert": "Never", "expr": "vector(0) > 1"}
    groups = {"groups": [{"name": "g", "interval": "1s", "rules": [rule]}]}
    async with running(tmp_path / "p", *more, remoteWrite=remote) as api:
        (tmp_path / "p" / "rules" / "a.yml").write_text(yaml.safe_dump(groups))
        wanted = read_by("prometheus", "watchdog")
        query = f'count by (__name__) ({{__name__=~"{"|".join(sorted(wanted))}"}})'

        async def tell() -> Iterable[str]:
            return await api.by_label(query, "__name__")

        await until_all(wanted, tell)

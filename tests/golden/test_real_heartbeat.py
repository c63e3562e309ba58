"""A real Prometheus with a stack's configuration: its Watchdog can be asked for, and is pushed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from e2e.cluster import binaries
from e2e.cluster.progress import SilentProgress
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names, watchdog
from firewatch.build.objects import Stack
from firewatch.build.scrape import render_prometheus_config
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.prometheus import Prometheus
from firewatch.respond.alerts import AlertState, parse_pushed
from firewatch.respond.heartbeats import Pulse, watchdog_pulse
from tests.golden.test_real_escalation import operator
from tests.golden.test_real_prometheus import ETC, free_port, until

SPEC = {
    "metrics": {"evaluationInterval": "1s", "externalLabels": {"cluster": "c"}},
    "alerting": {"receivers": [{"name": "nobody"}], "route": {"receiver": "nobody"}},
}


def write_files(folder: Path, receiver: str) -> None:
    """Write what is mounted into the pod of a stack whose only Alertmanager is the operator."""
    spec = MonitoringStackSpec.model_validate(SPEC)
    assert spec.metrics
    stack = Stack("team", "main", "u", spec)
    text = render_prometheus_config(stack, spec.metrics, Surroundings(receiver))
    config: Any = yaml.safe_load(text.replace(ETC, str(folder)))
    del config["alerting"]["alertmanagers"][1]
    for name, content in {
        f"config/{names.CONFIG_KEY}": yaml.safe_dump(config),
        f"config/{names.WATCHDOG_KEY}": watchdog.render_watchdog_rules(),
        f"token/{names.TOKEN_KEY}": "x",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)


@asynccontextmanager
async def prometheus(folder: Path, address: str) -> AsyncIterator[None]:
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            binaries.ensure(["prometheus"], SilentProgress()) / "prometheus",
            f"--config.file={folder / 'config' / names.CONFIG_KEY}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


async def test_the_watchdog_of_a_stack_can_be_asked_for_and_is_pushed(tmp_path: Path) -> None:
    pushed: list[Any] = []
    address = f"127.0.0.1:{free_port()}"
    async with operator(pushed) as receiver, aiohttp.ClientSession() as session:
        write_files(tmp_path, receiver)
        api = Prometheus(session, f"http://{address}")

        async def pulse() -> Pulse | None:
            return watchdog_pulse(await api.rules(names=[watchdog.ALERT]))

        async def has_come() -> bool:
            return bool(pushed)

        async with prometheus(tmp_path, address):
            await until(pulse, seconds=20)
            found = await pulse()
            # An alert that fires before Prometheus has found whom to tell is told a minute later.
            await until(has_come, seconds=90)
    assert found
    assert found.patience == timedelta(minutes=3, seconds=2)
    alert = parse_pushed(pushed[0], external={"cluster"}, now=found.since)
    assert (alert.name, alert.state) == (watchdog.ALERT, AlertState.FIRING)

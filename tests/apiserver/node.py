"""A node in miniature: a real Prometheus, and the part of kubelet that keeps its files in step.

A pod object says where Prometheus listens.
"""

import asyncio
import shutil
import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from e2e.cluster import binaries
from e2e.cluster.progress import SilentProgress
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.cluster.kinds import CONFIG_MAP, SECRET
from tests.apiserver.pods import ImaginedPod
from tests.apiserver.world import World

CONFIG = "global: {}\n"


@dataclass
class Node(ImaginedPod):
    """The pod of the stack ``main`` and its files."""

    APPLICATION = names.PROMETHEUS
    COMPONENT = names.METRICS

    async def create_pod(self, *, ready: bool = True) -> None:
        self.create(_status(ready=ready))

    def set_ready(self, *, ready: bool, restarts: int = 0) -> None:
        self.patch_status(_status(ready=ready, restarts=restarts))

    def set_ended(self, *, code: int) -> None:
        """Have the container end with an exit status, which kubelet answers with another start."""
        status = _status(ready=False, restarts=1)
        ended = {"terminated": {"exitCode": code, "reason": "Error"}}
        status["containerStatuses"][0]["lastState"] = ended
        self.patch_status(status)

    async def sync(self) -> None:
        wanted: dict[str, str] = {}
        await self._sync_scrapes()
        for live in await self.world.recorder.list(CONFIG_MAP, self.world.namespace):
            if live["metadata"]["name"] == names.prometheus_config_name("main"):
                self._configure(live["data"][names.CONFIG_KEY])
            if names.slot_of_name("main", live["metadata"]["name"]) is not None:
                wanted |= live["data"]
        put_rules(self.folder, wanted)

    async def _sync_scrapes(self) -> None:
        """Write the jobs in the user's own words as they are in the stack's Secret."""
        name = names.raw_scrapes_name("main")
        there = await self.world.is_there(SECRET, name)
        data = (await self.world.get(SECRET, name)).get("data", {}) if there else {}
        folder = self.folder / "scrapes"
        folder.mkdir(exist_ok=True)
        for file, encoded in data.items():
            _put(folder / file, b64decode(encoded))
        for path in folder.iterdir():
            if path.name not in data:
                path.unlink()

    async def jobs(self) -> list[str]:
        """Return the jobs that Prometheus has taken up."""
        url = f"http://{self.address}:{names.PROMETHEUS_PORT}/api/v1/scrape_pools"
        async with self.world.context.session.get(url) as answer:
            found: list[str] = (await answer.json())["data"]["scrapePools"]
            return found

    def _configure(self, text: str) -> None:
        """Write the configuration; the path that shows its revision stays as it is in a pod."""
        here = text.replace(names.RULES_DIRECTORY, str(self.folder / "rules"))
        here = here.replace(names.RAW_SCRAPES_DIRECTORY, str(self.folder / "scrapes"))
        _put(self.folder / "prometheus.yml", here.encode())


def _put(path: Path, content: bytes) -> None:
    """Have a file hold something, all at once as kubelet does it.

    An empty file is a good one for Prometheus. If it reads one that is being written, having seen before
    that what was written differs, it does not read it again.
    """
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def put_rules(folder: Path, files: Mapping[str, str]) -> None:
    """Have the folder of rules hold these files, all at once, as kubelet changes a volume."""
    rules = folder / "rules"
    before = rules.resolve() if rules.is_symlink() else None
    content = Path(tempfile.mkdtemp(prefix="rules-", dir=folder))
    for name, text in files.items():
        (content / name).write_text(text)
    link = content.with_suffix(".link")
    link.symlink_to(content.name)
    link.replace(rules)
    if before:
        shutil.rmtree(before)


def _status(*, ready: bool, restarts: int = 0) -> Object:
    container = {
        "name": names.PROMETHEUS,
        "image": "x",
        "imageID": "",
        "ready": ready,
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}} if restarts else {},
    }
    return {
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [container],
    }


def loopback(network: int, number: int) -> str:
    """Return an address of this machine that no other test has: 127, a network, and a number in it."""
    return f"127.{network}.{number // 250 % 250}.{number % 250 + 1}"


@asynccontextmanager
async def running_node(world: World, folder: Path, address: str) -> AsyncIterator[Node]:
    """Run a Prometheus on an address of its own, with its files kept in step."""
    put_rules(folder, {})
    async with running_prometheus(folder, address):
        node = Node(world, folder, address)
        kubelet = asyncio.create_task(node.keep_files())
        try:
            yield node
        finally:
            kubelet.cancel()


@asynccontextmanager
async def running_prometheus(
    folder: Path, address: str, *arguments: str, config: str = CONFIG, **proof: Any
) -> AsyncIterator[None]:
    """Run a Prometheus in a folder; ``proof`` is what aiohttp proves itself to it with."""
    program = binaries.ensure(["prometheus"], SilentProgress()) / "prometheus"
    path = folder / "prometheus.yml"
    path.write_text(config)
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            *(
                f"--config.file={path}",
                "--config.auto-reload",
                "--config.auto-reload-interval=1s",
            ),
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}:{names.PROMETHEUS_PORT}",
            *arguments,
            stdout=log,
            stderr=log,
        )
        try:
            await _wait_ready(f"http://{address}:{names.PROMETHEUS_PORT}/-/ready", **proof)
            yield
        finally:
            process.terminate()
            await process.wait()


async def _wait_ready(url: str, **proof: Any) -> None:
    async with aiohttp.ClientSession(**proof) as session, asyncio.timeout(20):
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)

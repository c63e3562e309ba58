"""A real Alertmanager in an imagined pod, whose files follow its Secret as kubelet has them."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import programs
from e2e.cluster.progress import SilentProgress
from firewatch.build import names
from firewatch.cluster.alertmanager import Alertmanager, AlertmanagerError
from firewatch.cluster.kinds import SECRET
from tests.apiserver.pods import ImaginedPod
from tests.apiserver.world import World

_FIRST = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@dataclass
class TellerNode(ImaginedPod):
    """The pod of the stack ``main`` and its files."""

    APPLICATION = names.ALERTMANAGER
    COMPONENT = names.ALERTING

    @property
    def api(self) -> Alertmanager:
        url = f"http://{self.address}:{names.ALERTMANAGER_PORT}"
        return Alertmanager(self.world.context.session, url)

    async def create_pod(self) -> None:
        self.create({"conditions": [{"type": "Ready", "status": "True"}]})

    async def sync(self) -> None:
        secret = await self.world.get(SECRET, "main-alertmanager-config")
        here = names.ALERTMANAGER_CONFIG_DIRECTORY
        for name, text in secret["data"].items():
            content = b64decode(text)
            if name == names.ALERTMANAGER_CONFIG_KEY:
                shown = content.decode().replace(f"{here}/cred", f"{self.folder}/cred")
                content = shown.encode()
            (self.folder / name).write_bytes(content)


@asynccontextmanager
async def running_teller(world: World, folder: Path, address: str) -> AsyncIterator[TellerNode]:
    """Run an Alertmanager on an address of its own, with its files kept in step."""
    node = TellerNode(world, folder, address)
    async with running_alertmanager(node.api, folder, address):
        kubelet = asyncio.create_task(node.keep_files())
        try:
            yield node
        finally:
            kubelet.cancel()


@asynccontextmanager
async def running_alertmanager(
    api: Alertmanager, folder: Path, address: str, config: str = _FIRST
) -> AsyncIterator[None]:
    """Run an Alertmanager on an address of its own; ``api`` asks it."""
    program = programs.program("alertmanager", SilentProgress())
    file = folder / names.ALERTMANAGER_CONFIG_KEY
    file.write_text(config)
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={file}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={address}:{names.ALERTMANAGER_PORT}",
            "--cluster.listen-address=",
            "--enable-feature=receiver-name-in-metrics",
            stdout=log,
            stderr=log,
        )
        try:
            await _wait_ready(api)
            yield
        finally:
            process.terminate()
            await process.wait()


async def _wait_ready(api: Alertmanager) -> None:
    async with asyncio.timeout(20):
        while True:
            with suppress(AlertmanagerError):
                await api.state()
                return
            await asyncio.sleep(0.05)

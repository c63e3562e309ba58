"""A real Alertmanager in an imagined pod, whose files follow its Secret as kubelet has them."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import programs
from e2e.cluster.progress import SilentProgress
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.cluster.alertmanager import Alertmanager, AlertmanagerError
from firewatch.cluster.errors import ClusterError, NotFoundError
from firewatch.cluster.kinds import POD, SECRET
from tests.apiserver.world import World

POD_NAME = "main-alertmanager-0"
_FIRST = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@dataclass
class TellerNode:
    """The pod of the stack ``main`` and its files."""

    world: World
    folder: Path
    address: str

    @property
    def api(self) -> Alertmanager:
        url = f"http://{self.address}:{names.ALERTMANAGER_PORT}"
        return Alertmanager(self.world.context.session, url)

    async def create_pod(self) -> None:
        labels = names.labels("main", names.ALERTMANAGER, names.ALERTING)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD_NAME, "labels": labels},
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [{"name": "alertmanager", "image": "x"}],
            },
        }
        for item in (account, pod):
            self._kubectl("apply", "-f", "-", text=json.dumps(item))
        status = {
            "phase": "Running",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        self._kubectl(
            *("patch", f"pod/{POD_NAME}", "--subresource=status", "--type=merge"),
            *("-p", json.dumps({"status": status})),
        )

    def _kubectl(self, *arguments: str, text: str = "") -> None:
        self.world.kubectl("-n", self.world.namespace, *arguments, text=text)

    async def keep_files(self) -> None:
        """Write the Secret to disk whenever an annotation of the pod has changed."""
        seen: object = None
        while True:
            await asyncio.sleep(0.03)
            with suppress(ClusterError):
                annotations = await self._annotations()
                if annotations is not None and annotations != seen:
                    await asyncio.sleep(0.1)
                    self._write(await self.world.get(SECRET, "main-alertmanager-config"))
                    seen = annotations

    async def _annotations(self) -> object:
        try:
            pod = await self.world.recorder.get(POD, self.world.namespace, POD_NAME)
        except NotFoundError:
            return None
        return pod["metadata"].get("annotations")

    def _write(self, secret: Object) -> None:
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
    program = programs.program("alertmanager", SilentProgress())
    node = TellerNode(world, folder, address)
    config = folder / names.ALERTMANAGER_CONFIG_KEY
    config.write_text(_FIRST)
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={address}:{names.ALERTMANAGER_PORT}",
            "--cluster.listen-address=",
            "--enable-feature=receiver-name-in-metrics",
            stdout=log,
            stderr=log,
        )
        kubelet = asyncio.create_task(node.keep_files())
        try:
            await _wait_ready(node.api)
            yield node
        finally:
            kubelet.cancel()
            process.terminate()
            await process.wait()


async def _wait_ready(api: Alertmanager) -> None:
    async with asyncio.timeout(20):
        while True:
            with suppress(AlertmanagerError):
                await api.configuration()
                return
            await asyncio.sleep(0.05)

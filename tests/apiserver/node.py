"""A node in miniature: a real Prometheus, and the part of kubelet that keeps its files in step.

A pod object says where Prometheus listens. As on a real node, its files change when an annotation of
the pod does; left alone they would stay as they are for the length of a test.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from e2e.cluster import binaries
from e2e.cluster.progress import SilentProgress
from firewatch.build import names
from firewatch.cluster.errors import ClusterError, NotFoundError
from firewatch.cluster.kinds import CONFIG_MAP, POD
from tests.apiserver.world import World

POD_NAME = "main-prometheus-0"
CONFIG = "global: {}\n"


@dataclass
class Node:
    """The pod of the stack ``main`` and its files."""

    world: World
    folder: Path
    address: str
    paused: bool = False
    """A paused kubelet lags behind."""
    restarts: int = 0

    async def create_pod(self, *, ready: bool = True) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD_NAME, "labels": names.labels("main", "prometheus", "metrics")},
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [{"name": "prometheus", "image": "x"}],
            },
        }
        for item in (account, pod):
            self._kubectl("apply", "-f", "-", text=json.dumps(item))
        self.set_ready(ready=ready)

    def set_ready(self, *, ready: bool, restarts: int = 0) -> None:
        container = {
            "name": "prometheus",
            "image": "x",
            "imageID": "",
            "ready": ready,
            "restartCount": restarts,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}} if restarts else {},
        }
        status = {
            "phase": "Running",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [container],
        }
        self._kubectl(
            *("patch", f"pod/{POD_NAME}", "--subresource=status", "--type=merge"),
            *("-p", json.dumps({"status": status})),
        )

    def _kubectl(self, *arguments: str, text: str = "") -> None:
        self.world.kubectl("-n", self.world.namespace, *arguments, text=text)

    async def keep_files(self) -> None:
        """Write the rule ConfigMaps to disk whenever an annotation of the pod has changed."""
        seen: object = None
        while True:
            await asyncio.sleep(0.03)
            with suppress(ClusterError):
                annotations = await self._annotations()
                if annotations != seen and not self.paused:
                    await asyncio.sleep(0.1)
                    await self.sync()
                    seen = annotations

    async def _annotations(self) -> object:
        try:
            pod = await self.world.recorder.get(POD, self.world.namespace, POD_NAME)
        except NotFoundError:
            return None
        return pod["metadata"].get("annotations")

    async def sync(self) -> None:
        wanted: dict[str, str] = {}
        for live in await self.world.recorder.list(CONFIG_MAP, self.world.namespace):
            if live["metadata"]["name"] == names.prometheus_config_name("main"):
                self._configure(live["data"][names.CONFIG_KEY])
            if names.slot_of_name("main", live["metadata"]["name"]) is not None:
                wanted |= live["data"]
        rules = self.folder / "rules"
        for name, text in wanted.items():
            (rules / name).write_text(text)
        for path in rules.iterdir():
            if path.name not in wanted:
                path.unlink()

    def _configure(self, text: str) -> None:
        """Write the configuration; the path that shows its revision stays as it is in a pod."""
        here = text.replace(names.RULES_DIRECTORY, str(self.folder / "rules"))
        (self.folder / "prometheus.yml").write_text(here)


@asynccontextmanager
async def running_node(world: World, folder: Path, address: str) -> AsyncIterator[Node]:
    """Run a Prometheus on an address of its own, with its files kept in step."""
    program = binaries.ensure(["prometheus"], SilentProgress()) / "prometheus"
    (folder / "rules").mkdir()
    config = folder / "prometheus.yml"
    config.write_text(CONFIG)
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            *(
                f"--config.file={config}",
                "--config.auto-reload",
                "--config.auto-reload-interval=1s",
            ),
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}:{names.PROMETHEUS_PORT}",
            stdout=log,
            stderr=log,
        )
        node = Node(world, folder, address)
        kubelet = asyncio.create_task(node.keep_files())
        try:
            await _wait_ready(f"http://{address}:{names.PROMETHEUS_PORT}/-/ready")
            yield node
        finally:
            kubelet.cancel()
            process.terminate()
            await process.wait()


async def _wait_ready(url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)

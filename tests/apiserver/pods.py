"""Imagined pods of the stack ``main``: an object at the API server, and files as kubelet has them."""

import asyncio
import json
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.cluster.errors import ClusterError, NotFoundError
from firewatch.cluster.kinds import POD
from tests.apiserver.world import World


@dataclass
class ImaginedPod(ABC):
    """A pod whose files change when one of its annotations does, as on a real node.

    Left alone they would stay as they are for the length of a test.
    """

    world: World
    folder: Path
    address: str
    paused: bool = False
    """A paused kubelet lags behind."""

    APPLICATION: ClassVar[str]
    COMPONENT: ClassVar[str]

    @property
    def name(self) -> str:
        return f"main-{self.APPLICATION}-0"

    @abstractmethod
    async def sync(self) -> None:
        """Bring the files up to date."""

    def create(self, status: Object) -> None:
        labels = names.labels("main", self.APPLICATION, self.COMPONENT)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [{"name": self.APPLICATION, "image": "x"}],
            },
        }
        for item in (account, pod):
            self.kubectl("apply", "-f", "-", text=json.dumps(item))
        self.patch_status(status)

    def patch_status(self, status: Object) -> None:
        address = {"podIP": self.address, "podIPs": [{"ip": self.address}]}
        self.kubectl(
            *("patch", f"pod/{self.name}", "--subresource=status", "--type=merge"),
            *("-p", json.dumps({"status": {"phase": "Running", **address, **status}})),
        )

    async def keep_files(self) -> None:
        """Bring the files up to date whenever an annotation of the pod has changed."""
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
            pod = await self.world.recorder.get(POD, self.world.namespace, self.name)
        except NotFoundError:
            return None
        return pod["metadata"].get("annotations")

    def kubectl(self, *arguments: str, text: str = "") -> None:
        self.world.kubectl("-n", self.world.namespace, *arguments, text=text)

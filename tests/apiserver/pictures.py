"""A stand-in for Grafana in an imagined pod: it reads files as Grafana's provisioning does.

Grafana itself cannot be had where these tests run. What stands here is what its documentation says of
``/api/datasources``, ``/api/search``, ``/api/admin/provisioning/…/reload`` and of ``$`` in such a file.
"""

import asyncio
import json
import shutil
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from aiohttp.typedefs import Handler

from firewatch.build import names
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import CONFIG_MAP, SECRET, STATEFUL_SET
from tests.apiserver.pods import ImaginedPod
from tests.apiserver.world import World
from tests.provisioning import as_grafana_reads


@dataclass
class PicturesNode(ImaginedPod):
    """The Grafana pod of the stack ``main``."""

    APPLICATION = names.GRAFANA
    COMPONENT = names.VISUALIZATION

    password: str = ""
    """The administrator's, as its database has it."""
    sources: list[Any] = field(default_factory=list)
    """Data sources that it has."""
    dashboards: list[tuple[str, Any]] = field(default_factory=list)
    """Dashboards that it has, each with its folder."""
    reloads: int = 0
    """How often it has read its data sources."""
    permissions: dict[str, list[Any]] = field(default_factory=dict)
    """Who may do what, by title of the folder, which is its uid too."""
    refusal: str = ""
    """What it says of every file, if anything."""

    async def create_pod(self) -> None:
        self.password = await self.generated_password()
        self.create({"conditions": [{"type": "Ready", "status": "True"}]})
        await self.renew()

    async def renew(self) -> None:
        """Give the pod the annotations of the template, as if it had just been made."""
        workload = await self.world.get(STATEFUL_SET, "main-grafana")
        found = workload["spec"]["template"]["metadata"]["annotations"]
        for name, value in found.items():
            self.kubectl("annotate", "--overwrite", f"pod/{self.name}", f"{name}={value}")

    async def generated_password(self) -> str:
        secret = await self.world.get(SECRET, "main-grafana-keys")
        return b64decode(secret["data"]["admin-password"]).decode()

    async def sync(self) -> None:
        secret = await self.world.get(SECRET, "main-grafana-sources")
        text = b64decode(secret["data"][names.GRAFANA_SOURCES_KEY])
        (self.folder / names.GRAFANA_SOURCES_KEY).write_bytes(text)
        await self._sync_slots()

    async def _sync_slots(self) -> None:
        """Bring the directories of dashboards up to date: what has no ConfigMap is empty."""
        name = "main-dashboards"
        for number in (None, *range(names.DASHBOARD_SLOTS)):
            here = self.folder / ("providers" if number is None else str(number))
            shutil.rmtree(here, ignore_errors=True)
            here.mkdir()
            try:
                live = await self.world.get(
                    CONFIG_MAP, name if number is None else f"{name}-{number}"
                )
            except NotFoundError:
                continue
            for file, content in live.get("data", {}).items():
                (here / file).write_text(content)

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"database": "ok", "version": "13.1.3"})

    async def show(self, _: web.Request) -> web.Response:
        hidden = [
            {name: value for name, value in each.items() if name != "secureJsonData"}
            for each in self.sources
        ]
        return web.json_response(hidden)

    async def reload(self, _: web.Request) -> web.Response:
        if self.refusal:
            return web.json_response({"message": self.refusal}, status=500)
        self.reloads += 1
        text = (self.folder / names.GRAFANA_SOURCES_KEY).read_text()
        self.sources = as_grafana_reads(yaml.safe_load(text))["datasources"]
        return web.json_response({"message": "Datasources config reloaded"})

    async def search(self, _: web.Request) -> web.Response:
        found = [
            {"uid": each["uid"], "title": each["title"], "folderTitle": folder}
            for folder, each in self.dashboards
        ]
        return web.json_response(found)

    async def reload_dashboards(self, _: web.Request) -> web.Response:
        self.dashboards = [*self._read_dashboards()]
        return web.json_response({"message": "Dashboards config reloaded"})

    def _read_dashboards(self) -> Iterator[tuple[str, Any]]:
        for file in sorted((self.folder / "providers").glob("*.yaml")):
            for provider in as_grafana_reads(yaml.safe_load(file.read_text()))["providers"]:
                path = provider["options"]["path"]
                number = path.removeprefix(f"{names.DASHBOARDS_DIRECTORY}/")
                for dashboard in sorted((self.folder / number).glob("*.json")):
                    yield provider["folder"], json.loads(dashboard.read_text())

    async def folders(self, _: web.Request) -> web.Response:
        titles = sorted({folder for folder, _ in self.dashboards if folder})
        return web.json_response([{"uid": title, "title": title} for title in titles])

    async def show_permissions(self, request: web.Request) -> web.Response:
        return web.json_response(self._permitted(request))

    async def permit(self, request: web.Request) -> web.Response:
        self._permitted(request)[:] = (await request.json())["items"]
        return web.json_response({"message": "Dashboard permissions updated"})

    def _permitted(self, request: web.Request) -> list[Any]:
        usual = [{"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2}]
        return self.permissions.setdefault(request.match_info["uid"], usual)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let only the administrator in, and everybody look at the health."""
        if request.path != "/api/health" and not self._is_admin(request):
            return web.json_response({"message": "Invalid username or password"}, status=401)
        return await handler(request)

    def _is_admin(self, request: web.Request) -> bool:
        given = aiohttp.BasicAuth.decode(request.headers["Authorization"])
        return (given.login, given.password) == ("admin", self.password)


@asynccontextmanager
async def running_pictures(world: World, folder: Path, address: str) -> AsyncIterator[PicturesNode]:
    """Run the stand-in on an address of its own, with its files kept in step."""
    node = PicturesNode(world, folder, address)
    (folder / names.GRAFANA_SOURCES_KEY).write_text("datasources: []\n")
    (folder / "providers").mkdir()
    app = web.Application(middlewares=[node.guard])
    app.router.add_get("/api/health", node.health)
    app.router.add_get("/api/datasources", node.show)
    app.router.add_get("/api/search", node.search)
    app.router.add_get("/api/folders", node.folders)
    app.router.add_get("/api/folders/{uid}/permissions", node.show_permissions)
    app.router.add_post("/api/folders/{uid}/permissions", node.permit)
    app.router.add_post("/api/admin/provisioning/dashboards/reload", node.reload_dashboards)
    app.router.add_post("/api/admin/provisioning/datasources/reload", node.reload)
    kubelet = asyncio.create_task(node.keep_files())
    try:
        async with served(app, address):
            yield node
    finally:
        kubelet.cancel()


@asynccontextmanager
async def served(app: web.Application, address: str) -> AsyncIterator[None]:
    """Serve a stand-in on an address of its own, at Grafana's port."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, names.GRAFANA_PORT).start()
        yield
    finally:
        await runner.cleanup()

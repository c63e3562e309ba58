"""A stand-in for a Grafana of others: the part of its HTTP API by which dashboards are written.

Grafana itself cannot be had where these tests run. What stands here is what its documentation says of
``/api/folders``, ``/api/dashboards`` and ``/api/search``; ``e2e/grafana_real.py`` has the real one.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from firewatch.api.resource import Object
from firewatch.build import names
from tests.apiserver.pictures import served

TOKEN = "glsa_editor"


@dataclass
class Gallery:
    """Folders and dashboards, as Grafana keeps them."""

    address: str
    folders: dict[str, str] = field(default_factory=dict)
    """Titles by uid."""
    dashboards: dict[str, tuple[str, int, Object]] = field(default_factory=dict)
    """Uid of the folder, version and content, by uid."""
    requests: list[str] = field(default_factory=list)
    """Method and path of what it was asked."""

    @property
    def url(self) -> str:
        return f"http://{self.address}:{names.GRAFANA_PORT}"

    def titles(self) -> set[tuple[str, str]]:
        """Return folder and title of each dashboard."""
        return {
            (self.folders.get(folder, ""), content["title"])
            for folder, _, content in self.dashboards.values()
        }

    def put(self, content: Object, folder: str = "") -> int:
        """Save a dashboard, as somebody does in Grafana's pages."""
        _, version, _ = self.dashboards.get(content["uid"], ("", 0, {}))
        self.dashboards[content["uid"]] = (folder, version + 1, content)
        return version + 1

    def changes(self) -> list[str]:
        """Return what has been written since the last call."""
        found = [each for each in self.requests if not each.startswith("GET ")]
        self.requests.clear()
        return found

    async def search(self, request: web.Request) -> web.Response:
        wanted = request.query["tag"]
        found = [
            {"uid": uid, "title": content["title"], "tags": content.get("tags", [])}
            for uid, (_, _, content) in self.dashboards.items()
            if wanted in content.get("tags", [])
        ]
        return web.json_response(found)

    async def show(self, request: web.Request) -> web.Response:
        found = self.dashboards.get(request.match_info["uid"])
        if found is None:
            return _refuse(404, "Dashboard not found")
        folder, version, content = found
        meta = {"version": version, "folderUid": folder}
        return web.json_response({"dashboard": content, "meta": meta})

    async def save(self, request: web.Request) -> web.Response:
        body: Any = await request.json()
        content = body["dashboard"]
        if content.get("refresh") == "never":
            return _refuse(400, "refresh: no interval")
        if body["folderUid"] and body["folderUid"] not in self.folders:
            return _refuse(400, "folder not found")
        version = self.put(content, body["folderUid"])
        return web.json_response({"uid": content["uid"], "version": version, "status": "success"})

    async def delete(self, request: web.Request) -> web.Response:
        if self.dashboards.pop(request.match_info["uid"], None) is None:
            return _refuse(404, "Dashboard not found")
        return web.json_response({"message": "Dashboard deleted"})

    async def list_folders(self, _: web.Request) -> web.Response:
        return web.json_response([{"uid": u, "title": t} for u, t in self.folders.items()])

    async def make_folder(self, request: web.Request) -> web.Response:
        title = (await request.json())["title"]
        uid = f"f{len(self.folders)}"
        self.folders[uid] = title
        return web.json_response({"uid": uid, "title": title})

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _refuse(401, "Invalid API key")
        return await handler(request)


def _refuse(status: int, message: str) -> web.Response:
    return web.Response(
        status=status, text=json.dumps({"message": message}), content_type="application/json"
    )


@asynccontextmanager
async def running_gallery(address: str) -> AsyncIterator[Gallery]:
    """Run the stand-in on an address of its own."""
    found = Gallery(address)
    app = web.Application(middlewares=[found.guard], client_max_size=4 * 1024 * 1024)
    app.router.add_get("/api/search", found.search)
    app.router.add_get("/api/dashboards/uid/{uid}", found.show)
    app.router.add_post("/api/dashboards/db", found.save)
    app.router.add_delete("/api/dashboards/uid/{uid}", found.delete)
    app.router.add_get("/api/folders", found.list_folders)
    app.router.add_post("/api/folders", found.make_folder)
    async with served(app, address):
        yield found

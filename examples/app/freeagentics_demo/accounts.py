"""Users who register, log in and talk to agents of their own; kept in memory, and never many."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from aiohttp import web

_MOST_USERS = 1000
"""Beyond so many, who registered first is forgotten."""
_MOST_AGENTS = 20

Strike = Callable[[str], bool]
"""Counts a request to an endpoint, and tells whether it has to fail."""


class _User:
    def __init__(self, password: str) -> None:
        self.password = password
        self.token = secrets.token_hex(16)
        self.agents: dict[int, str] = {}


class Accounts:
    """The users of one copy of the application."""

    def __init__(self, strike: Strike) -> None:
        self._strike = strike
        self._users: OrderedDict[str, _User] = OrderedDict()
        self._agents = 0

    async def register(self, request: web.Request) -> web.Response:
        """Take in a new user."""
        body = await _read(request, "name", "password")
        if body["name"] in self._users:
            raise web.HTTPConflict(text="there is a user of this name\n")
        self._users[body["name"]] = _User(body["password"])
        if len(self._users) > _MOST_USERS:
            self._users.popitem(last=False)
        return web.json_response({"name": body["name"]}, status=201)

    async def log_in(self, request: web.Request) -> web.Response:
        """Answer a user's name and password with a token."""
        body = await _read(request, "name", "password")
        user = self._users.get(body["name"])
        if user is None or not secrets.compare_digest(user.password, body["password"]):
            raise web.HTTPUnauthorized(text="wrong name or password\n")
        return web.json_response({"token": user.token}, status=201)

    async def create_agent(self, request: web.Request) -> web.Response:
        """Give a user an agent."""
        user, body = self._user(request), await _read(request, "name")
        if len(user.agents) == _MOST_AGENTS:
            raise web.HTTPConflict(text=f"a user has at most {_MOST_AGENTS} agents\n")
        self._agents += 1
        user.agents[self._agents] = body["name"]
        return web.json_response({"id": self._agents, "name": body["name"]}, status=201)

    async def converse(self, request: web.Request) -> web.Response:
        """Have an agent answer."""
        name = self._user(request).agents.get(int(request.match_info["id"]))
        body = await _read(request, "text")
        if name is None:
            raise web.HTTPNotFound(text="the user has no such agent\n")
        if self._strike("/agents/{id}/messages"):
            raise web.HTTPInternalServerError(text="switched on by POST /faults\n")
        return web.json_response({"agent": name, "reply": f"You said: {body['text']}"})

    async def remove_agent(self, request: web.Request) -> web.Response:
        """Take an agent from a user."""
        user = self._user(request)
        if user.agents.pop(int(request.match_info["id"]), None) is None:
            raise web.HTTPNotFound(text="the user has no such agent\n")
        return web.Response(status=204)

    def _user(self, request: web.Request) -> _User:
        """Return whom the token of a request belongs to."""
        _, _, token = request.headers.get("Authorization", "").partition("Bearer ")
        for user in self._users.values():
            if secrets.compare_digest(user.token.encode(), token.encode(errors="replace")):
                return user
        raise web.HTTPUnauthorized(text="log in first: POST /sessions\n")


async def _read(request: web.Request, *names: str) -> dict[str, str]:
    try:
        body: Any = await request.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or not all(isinstance(body.get(n), str) for n in names):
        raise web.HTTPBadRequest(text=f"expected a JSON object with the texts {', '.join(names)}\n")
    return body

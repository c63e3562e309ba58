"""The HTTP server: a few endpoints that do some work, the switches, and /metrics."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from .accounts import Accounts
from .metrics import Metrics
from .switches import MAX_SECONDS, MAX_THREADS, Faults, Load
from .users import Users

USER_HEADER = "X-User"
_USERS, _AT_ONCE = 7, 3
"""As whom the application asks itself: one of three users leaves in turn, and another one comes."""
_TURN_SECONDS = 8.0
AGENTS = ("planner", "researcher", "critic", "executor")
# Seconds that requests take, one after the other: enough spread for percentiles to differ.
_WORK_SECONDS = (0.002, 0.004, 0.008, 0.004, 0.03)
_SHUTDOWN_SECONDS = 0.5
_PATIENCE_SECONDS = 2.0
MAX_VALUE = 1e300

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Example:
    """One running copy of the application."""

    def __init__(self, role: str, flag: Path | None = None) -> None:
        self.role = role
        self._flag = flag
        self.port = 0
        self.metrics = Metrics()
        self.metrics.active_agents.set(len(AGENTS))
        self.users = Users(self.metrics)
        self.faults = Faults()
        self.accounts = Accounts(self.faults.strike)
        self.load = Load()
        self._work = itertools.cycle(_WORK_SECONDS)
        self._tasks = itertools.count(1)

    def build_application(self) -> web.Application:
        """Return the routes; only the application's own endpoints are counted and timed."""
        application = web.Application(client_max_size=64 * 1024)
        for method, path, handler in (
            ("GET", "/agents", self._agents),
            ("POST", "/coordinate", self._coordinate),
            ("POST", "/users", self.accounts.register),
            ("POST", "/sessions", self.accounts.log_in),
            ("POST", "/agents", self.accounts.create_agent),
            ("POST", "/agents/{id}/messages", self.accounts.converse),
            ("DELETE", "/agents/{id}", self.accounts.remove_agent),
        ):
            route = path.replace("{id}", r"{id:\d{1,9}}")
            application.router.add_route(method, route, self._measured(path, handler))
        application.add_routes(
            [
                web.get("/", self._state),
                web.get("/healthz", self._healthz),
                web.get("/metrics", self._metrics),
                web.post("/faults", self._switch_faults),
                web.post("/load", self._switch_load),
                web.put("/gauge", self._set_gauge),
            ]
        )
        return application

    def _measured(self, endpoint: str, handler: Handler) -> Handler:
        async def measured(request: web.Request) -> web.Response:
            start = time.perf_counter()
            status = web.HTTPInternalServerError.status_code
            try:
                response = await handler(request)
                status = response.status
            except web.HTTPException as error:
                status = error.status
                raise
            else:
                return response
            finally:
                seconds = time.perf_counter() - start
                self.metrics.requests.labels(request.method, endpoint, str(status)).inc()
                self.metrics.request_seconds.labels(request.method, endpoint).observe(seconds)
                self.metrics.api_seconds.observe(seconds)
                if status < web.HTTPBadRequest.status_code:
                    self.metrics.transactions.inc()
                if user := request.headers.get(USER_HEADER):
                    self.users.act(user, request.method)

        return measured

    async def _agents(self, _: web.Request) -> web.Response:
        if self._is_light():
            return web.json_response({"agents": []})
        self.metrics.feature_usage.labels("agents").inc()
        await self._query()
        if self.faults.strike("/agents"):
            raise web.HTTPInternalServerError(text="switched on by POST /faults\n")
        return web.json_response({"agents": AGENTS})

    def _is_light(self) -> bool:
        """Tell whether the flag asks for less, as an application with a circuit breaker of its own has it."""
        return self._flag is not None and self._flag.read_text(encoding="utf-8").strip() == "on"

    async def _query(self) -> None:
        """Take as long as a database would."""
        with self.metrics.query_seconds.time():
            await asyncio.sleep(next(self._work))

    async def _coordinate(self, _: web.Request) -> web.Response:
        self.metrics.feature_usage.labels("coordination").inc()
        with self.metrics.coordination_seconds.time():
            await self._query()
        if self.faults.strike("/coordinate"):
            self.metrics.coordination_failures.inc()
            raise web.HTTPServiceUnavailable(text="switched on by POST /faults\n")
        self.metrics.coordination_success.inc()
        self.metrics.agent_actions.inc()
        task = next(self._tasks)
        return web.json_response({"task": task, "agent": AGENTS[task % len(AGENTS)]})

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = encode(self.metrics.registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _state(self, _: web.Request) -> web.Response:
        state = {
            "role": self.role,
            "errorRatio": self.faults.ratio,
            "threads": self.load.threads,
        }
        return web.json_response(state)

    async def _switch_faults(self, request: web.Request) -> web.Response:
        body = await _read_object(request, "errorRatio")
        self.faults.switch(_number(body, "errorRatio", most=1))
        return await self._state(request)

    async def _switch_load(self, request: web.Request) -> web.Response:
        body = await _read_object(request, "threads", "seconds")
        threads = _number(body, "threads", most=MAX_THREADS)
        if threads != int(threads):
            _refuse("threads: expected a whole number")
        seconds = _number({"seconds": MAX_SECONDS} | body, "seconds", most=MAX_SECONDS)
        self.load.switch(int(threads), seconds)
        return await self._state(request)

    async def _set_gauge(self, request: web.Request) -> web.Response:
        body = await _read_object(request, "value")
        value = _number(body, "value", least=-MAX_VALUE, most=MAX_VALUE)
        self.metrics.demo_load.set(value)
        return web.json_response({"value": value})


def _refuse(reason: str) -> NoReturn:
    raise web.HTTPBadRequest(text=json.dumps({"error": reason}), content_type="application/json")


async def _read_object(request: web.Request, *names: str) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        _refuse("the body is not JSON")
    if not isinstance(body, dict) or not set(body) <= set(names):
        _refuse(f"expected a JSON object with {' and '.join(names)}")
    return body


def _number(body: dict[str, Any], name: str, *, least: float = 0, most: float) -> float:
    value = body.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return float(value)
    _refuse(f"{name}: expected a number from {least:g} to {most:g}")


@asynccontextmanager
async def serve(
    role: str,
    *,
    port: int,
    host: str | None = None,
    traffic_seconds: float,
    error_ratio: float = 0.0,
    flag: Path | None = None,
    visits: str = "",
) -> AsyncIterator[Example]:
    """Run the application, on all addresses unless a host is given, on a free port if it is 0.

    With ``visits`` it asks that address all the time, and itself nothing.
    """
    example = Example(role, flag)
    example.faults.switch(error_ratio)
    runner = web.AppRunner(
        example.build_application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    example.metrics.active_connections.set_function(
        lambda: len(runner.server.connections) if runner.server else 0
    )
    traffic: asyncio.Task[None] | None = None
    try:
        await web.TCPSite(runner, host, port).start()
        example.port = runner.addresses[0][1]
        if visits:
            traffic = asyncio.create_task(_visit(visits, traffic_seconds, example.metrics))
        elif traffic_seconds:
            traffic = asyncio.create_task(_send_traffic(example.port, traffic_seconds))
        yield example
    finally:
        example.load.switch(0, 0)
        if traffic is not None:
            traffic.cancel()
            with suppress(asyncio.CancelledError):
                await traffic
        await runner.cleanup()


async def _send_traffic(port: int, pause: float) -> None:
    """Send requests to the application itself, so that its metrics move without visitors."""
    requests = itertools.cycle([("GET", "/agents"), ("POST", "/coordinate")])
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for number, (method, path) in enumerate(requests):
            turn = int(time.monotonic() // _TURN_SECONDS)
            headers = {USER_HEADER: f"user{(turn + number % _AT_ONCE) % _USERS}"}
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.request(method, path, headers=headers) as response:
                    await response.read()
            await asyncio.sleep(pause)


async def _visit(address: str, pause: float, metrics: Metrics) -> None:
    """Ask an address all the time, each time over a new connection, so that none sticks to a pod."""
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        while True:
            is_well = False
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(address) as response:
                    await response.read()
                    is_well = response.ok
            metrics.visits.labels("ok" if is_well else "failed").inc()
            await asyncio.sleep(pause)

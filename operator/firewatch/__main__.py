"""The operator's process: settings, client, loops, watches, servers, and an orderly end."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import aiohttp
import uvloop
from aiohttp import web
from pythonjsonlogger.json import JsonFormatter

from firewatch.api.resource import Key
from firewatch.cluster.client import Cluster, connect
from firewatch.cluster.definitions import gather_definitions
from firewatch.cluster.kinds import (
    ALERT_POLICY,
    AUTO_RESPONSE,
    MONITORING_STACK,
    RETENTION_POLICY,
)
from firewatch.handlers import Watcher
from firewatch.health import Health
from firewatch.metrics import Metrics
from firewatch.reconcile.alerts import reconcile_alerts
from firewatch.reconcile.context import NOTIFICATIONS, RULES, Context
from firewatch.reconcile.loop import Loop
from firewatch.reconcile.notifications import NotificationsReconciler
from firewatch.reconcile.responses import reconcile_response
from firewatch.reconcile.retention import reconcile_retention
from firewatch.reconcile.rules import RulesReconciler
from firewatch.reconcile.stack import reconcile_stack
from firewatch.respond.context import RespondContext
from firewatch.respond.deliver import Courier, open_courier
from firewatch.respond.guard import Guard
from firewatch.respond.notifier import Notifier
from firewatch.respond.onlooker import reconcile_onlooker
from firewatch.respond.receiver import Receiver
from firewatch.respond.registry import NOTICES, ONLOOKER, TARGET, Registry, Sources
from firewatch.respond.source import Sourcing
from firewatch.respond.target import reconcile_target
from firewatch.settings import Settings, parse_settings

_log = logging.getLogger("firewatch")

_RESPOND_WORKERS = 32
"""Passes of AutoResponse at a time; their loop is their own, so that nothing makes them wait."""
_NOTICE_WORKERS = 16
"""Actions that tell people at a time; a server that does not answer holds up one of them for seconds."""


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


class Operator:
    """The loops, and what their passes share."""

    def __init__(
        self,
        cluster: Cluster,
        session: aiohttp.ClientSession,
        courier: Courier,
        *,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        stacks = Context(cluster, session, settings, metrics, clock=now, wake=self.wake)
        self.responses = RespondContext(
            cluster, settings, metrics, now, self.wake, Registry(), Sources()
        )
        self._stacks = Loop(
            {
                MONITORING_STACK.kind: partial(reconcile_stack, stacks),
                ALERT_POLICY.kind: partial(reconcile_alerts, stacks),
                RULES: RulesReconciler(stacks).reconcile,
                NOTIFICATIONS: NotificationsReconciler(stacks).reconcile,
                RETENTION_POLICY.kind: partial(reconcile_retention, stacks),
            },
            metrics,
            workers=settings.workers,
        )
        self._responses = Loop(
            {
                AUTO_RESPONSE.kind: partial(reconcile_response, self.responses),
                "Source": Sourcing(self.responses, session).poll,
                TARGET: partial(reconcile_target, self.responses),
                ONLOOKER: partial(reconcile_onlooker, self.responses),
            },
            metrics,
            workers=_RESPOND_WORKERS,
        )
        notifier = Notifier(self.responses, courier)
        self._notices = Loop({NOTICES: notifier.reconcile}, metrics, workers=_NOTICE_WORKERS)
        self._loops = (self._responses, self._notices, self._stacks)

    def wake(self, key: Key) -> None:
        """Run a pass over the key as soon as possible."""
        next(loop for loop in self._loops if loop.knows(key.kind)).wake(key)

    async def settle(self, target: Key) -> bool:
        """Take a pass over a target; return whether it succeeded."""
        return await self._responses.pass_over(target)

    def wake_all(self, kind: str, namespace: str) -> None:
        """Wake all keys of a kind in a namespace."""
        for loop in self._loops:
            for key in loop.keys(kind, namespace):
                loop.wake(key)

    def stalled(self) -> str:
        """Return what does not move any more, or nothing."""
        return next(filter(None, (loop.stalled() for loop in self._loops)), "")

    async def run(self) -> None:
        """Run the loops until cancelled."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run())


async def serve(settings: Settings) -> int:
    """Run the operator until a signal ends it; return the exit status."""
    metrics = Metrics()
    async with (
        connect(settings.kubeconfig, metrics) as cluster,
        aiohttp.ClientSession() as session,
        open_courier(Guard(settings.api_server)) as courier,
    ):
        installed = await gather_definitions(cluster)
        for warning in installed.warnings:
            _log.warning(warning)
        if installed.problem:
            _log.error(installed.problem)
            return 1
        operator = Operator(cluster, session, courier, settings=settings, metrics=metrics)
        health = Health(cluster, metrics, operator.stalled)
        receiver = Receiver(operator.responses, operator.settle)
        async with (
            _listening(health.application(), settings.health_port),
            _listening(receiver.application(), settings.receiver_port),
        ):
            return await _run(operator, settings)


async def _run(operator: Operator, settings: Settings) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, ended.set)
    watcher = Watcher(
        settings,
        wake=lambda key: loop.call_soon_threadsafe(operator.wake, key),
        wake_all=lambda kind, space: loop.call_soon_threadsafe(operator.wake_all, kind, space),
        ended=lambda: loop.call_soon_threadsafe(ended.set),
    )
    work = asyncio.create_task(operator.run())
    work.add_done_callback(lambda _: ended.set())
    watcher.start()
    # What is loaded by now stays for good: the collector need not look at it again. And what comes
    # from JSON has no cycles: looking through it at every 700th object finds nothing.
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    _log.info("the operator works")
    await ended.wait()
    _log.info("the operator ends")
    watcher.stop()
    work.cancel()
    await asyncio.wait([work])
    return _exit_status(work, watcher)


def _exit_status(work: asyncio.Task[None], watcher: Watcher) -> int:
    failure = watcher.failure or (None if work.cancelled() else work.exception())
    if failure is None:
        return 0
    _log.error("the operator failed", exc_info=failure)
    return 1


@asynccontextmanager
async def _listening(application: web.Application, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        yield
    finally:
        await runner.cleanup()


def _configure_logs() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # It warns that signals are ignored outside the main thread, which is what we want.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)


def main() -> int:
    """Run the operator with settings from the environment."""
    _configure_logs()
    try:
        settings = parse_settings(os.environ)
    except ValueError as error:
        _log.error("bad setting: %s", error)
        return 2
    return uvloop.run(serve(settings))


if __name__ == "__main__":
    sys.exit(main())

"""The operator's process: settings, client, election, work, watches, servers, and an orderly end."""

import asyncio
import gc
import linecache
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from firewatch.cluster.client import connect
from firewatch.cluster.definitions import gather_definitions
from firewatch.cluster.event_loop import run
from firewatch.cluster.leading import LeadingCluster
from firewatch.handlers import Watcher
from firewatch.health import Health
from firewatch.leadership import Leadership
from firewatch.metrics import Metrics
from firewatch.respond.certificate import ServingCertificate
from firewatch.respond.deliver import open_courier
from firewatch.respond.guard import Guard
from firewatch.respond.receiver import Receiver
from firewatch.respond.relay import ClientTls, Relay
from firewatch.serving import listening, log_json
from firewatch.settings import Settings, parse_settings
from firewatch.work import Operator

_log = logging.getLogger("firewatch")

_LAST_MESSAGES_SECONDS = 0.8
"""How long the end waits for servers that are being told something; this replica acts meanwhile."""
_LAST_WRITES_SECONDS = 0.5
"""How long the end waits for writes that are under way; another replica waits meanwhile."""


async def serve(settings: Settings) -> int:
    """Run the operator until a signal ends it; return the exit status."""
    metrics, ended = Metrics(), asyncio.Event()
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
        loop = asyncio.get_running_loop()
        leadership = Leadership(
            settings, metrics, ended=lambda: loop.call_soon_threadsafe(ended.set)
        )
        leading = LeadingCluster(cluster, leadership.holds)
        certificate: ServingCertificate | None  # which wakes the operator that asks for it
        operator = Operator(
            leading,
            session,
            courier,
            settings=settings,
            metrics=metrics,
            receiver_authority=lambda: certificate.authority.text if certificate else None,
        )
        certificate = _certificate(settings, metrics, changed=operator.wake_stacks)
        process = Process(settings, operator, leadership, leading, ended)
        health = Health(cluster, metrics, operator.stalled)
        async with (
            listening(health.application(), settings.health_port),
            _receiving(process, session, certificate),
        ):
            return await process.run()


def _certificate(
    settings: Settings, metrics: Metrics, *, changed: Callable[[], object]
) -> ServingCertificate | None:
    """Return the receiver's certificate, if it is to have one."""
    if not settings.receiver_tls:
        return None
    found = ServingCertificate(Path(settings.receiver_tls), metrics.alerts, changed=changed)
    found.refresh()
    return found


@asynccontextmanager
async def _receiving(
    process: "Process", session: aiohttp.ClientSession, certificate: ServingCertificate | None
) -> AsyncIterator[None]:
    """Take in alerts meanwhile."""
    settings, operator = process.settings, process.operator
    relay = Relay(
        session,
        process.cluster.leads,
        process.leadership.leader,
        tls=_client_tls(settings, certificate) if certificate else None,
    )
    receiver = Receiver(operator.responses, operator.settle, relay)
    context = certificate.context if certificate else None
    async with (
        listening(receiver.application(), settings.receiver_port, context),
        _following(certificate),
    ):
        yield


def _client_tls(settings: Settings, certificate: ServingCertificate) -> Callable[[], ClientTls]:
    return lambda: ClientTls(certificate.authority.context(), settings.receiver_host)


@asynccontextmanager
async def _following(certificate: ServingCertificate | None) -> AsyncIterator[None]:
    """Follow the files of the certificate meanwhile."""
    if certificate is None:
        yield
        return
    following = asyncio.create_task(certificate.follow())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait([following])


@dataclass(frozen=True)
class Process:
    """What runs until something ends it."""

    settings: Settings
    operator: Operator
    leadership: Leadership
    cluster: LeadingCluster
    ended: asyncio.Event

    async def run(self) -> int:
        """Work until a signal or a failure ends it; return the exit status."""
        loop, operator, ended = asyncio.get_running_loop(), self.operator, self.ended
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, ended.set)
        watcher = Watcher(
            self.settings,
            wake=lambda key: loop.call_soon_threadsafe(operator.wake, key),
            wake_all=lambda kind, space: loop.call_soon_threadsafe(operator.wake_all, kind, space),
            ended=lambda: loop.call_soon_threadsafe(ended.set),
        )
        work = asyncio.create_task(operator.run(self.leadership))
        work.add_done_callback(lambda _: ended.set())
        watcher.start()
        self.leadership.start()
        # Sources of the models, in which pydantic has looked for the descriptions of their fields.
        linecache.clearcache()
        # What is loaded by now stays for good: the collector need not look at it again. And what
        # comes from JSON has no cycles: looking through it at every 700th object finds nothing.
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)
        await ended.wait()
        await self._end(work, watcher)
        return self._status(work, watcher)

    async def _end(self, work: asyncio.Task[None], watcher: Watcher) -> None:
        """Stop telling people, then acting, and give up the Lease only then."""
        _log.info("the operator ends")
        await self.operator.end_messages(_LAST_MESSAGES_SECONDS)
        await self.cluster.close(_LAST_WRITES_SECONDS)
        watcher.stop()
        work.cancel()
        await asyncio.wait([work])
        await self.leadership.leave()

    def _status(self, work: asyncio.Task[None], watcher: Watcher) -> int:
        failures = (
            watcher.failure,
            self.leadership.failure,
            None if work.cancelled() else work.exception(),
        )
        failure = next(filter(None, failures), None)
        if failure is None:
            return 0
        _log.error("the operator failed", exc_info=failure)
        return 1


def _configure_logs() -> None:
    log_json()
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
    return run(serve(settings))


if __name__ == "__main__":
    sys.exit(main())

"""What a replica does: a little always, so that it knows what comes in, and all the rest while it leads.

What only the leader knows is made anew for each of its terms, as after a start: others may have acted
in between. A replica that stands by reads AutoResponses, so that the alerts that it takes in meanwhile
are understood, and remembered for when it leads.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import aiohttp

from firewatch.api.resource import Key, Object
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ClusterError
from firewatch.cluster.kinds import (
    ALERT_POLICY,
    AUTO_RESPONSE,
    MONITORING_STACK,
    RETENTION_POLICY,
    Kind,
)
from firewatch.cluster.leading import LeadingCluster
from firewatch.metrics import Metrics
from firewatch.reconcile.alerts import reconcile_alerts
from firewatch.reconcile.context import DASHBOARDS, NOTIFICATIONS, RULES, Context
from firewatch.reconcile.dashboards import DashboardsReconciler
from firewatch.reconcile.loop import Loop
from firewatch.reconcile.notifications import NotificationsReconciler
from firewatch.reconcile.responses import reconcile_response
from firewatch.reconcile.retention import reconcile_retention
from firewatch.reconcile.rules import RulesReconciler
from firewatch.reconcile.stack import reconcile_stack
from firewatch.respond.context import RespondContext
from firewatch.respond.deliver import Courier
from firewatch.respond.notifier import Notifier
from firewatch.respond.onlooker import reconcile_onlooker
from firewatch.respond.registry import NOTICES, ONLOOKER, TARGET, Registry, Sources
from firewatch.respond.source import Sourcing
from firewatch.respond.target import reconcile_target
from firewatch.settings import Settings

_log = logging.getLogger(__name__)

_RESPOND_WORKERS = 32
"""Passes of AutoResponse at a time; their loops are their own, so that nothing makes them wait."""
_NOTICE_WORKERS = 16
"""Actions that tell people at a time; a server that does not answer holds up one of them for seconds."""
_PAUSE_SECONDS = 1.0
"""Between tries of a request without which nothing can begin."""


class Leads(Protocol):
    """Whether this replica leads."""

    def term(self) -> int:
        """Return which of its terms this replica leads in, from 1; 0 if in none."""

    async def change(self, term: int) -> int:
        """Wait until it is another term than this; return which."""


class Operator:
    """The loops of a replica, and what their passes share."""

    def __init__(
        self,
        cluster: LeadingCluster,
        session: aiohttp.ClientSession,
        courier: Courier,
        *,
        settings: Settings,
        metrics: Metrics,
        receiver_authority: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._receiver_authority = receiver_authority
        self._cluster = cluster
        self.responses = RespondContext(
            cluster,
            settings,
            metrics,
            _now,
            self.wake,
            Registry(),
            Sources(),
            others_wait=lambda: self._term is not None and self._term.is_crowded(),
        )
        self._session = session
        # For all terms: what it has sent and could not write down yet it must not send again.
        self._notifier = Notifier(self.responses, courier, cluster.leads)
        self._known = Loop(
            {AUTO_RESPONSE.kind: partial(reconcile_response, self.responses)},
            metrics,
            workers=_RESPOND_WORKERS,
        )
        self._learned = asyncio.Event()
        self._term: Term | None = None

    def wake(self, key: Key) -> None:
        """Run a pass over the key as soon as possible, if this replica takes such passes now."""
        for loop in self._loops():
            if loop.knows(key.kind):
                loop.wake(key)

    async def settle(self, target: Key) -> bool:
        """Take a pass over a target; return whether it succeeded, and this replica leads even then.

        A pass that had nothing to write may have gone by what another that leads has changed since.
        """
        term = self._term
        return term is not None and await term.settle(target) and self._cluster.leads()

    async def end_messages(self, seconds: float) -> None:
        """Begin no message any more, and wait at most so long until those under way are written down.

        All else goes on meanwhile.
        """
        await self._notifier.close(seconds)

    def wake_all(self, kind: str, namespace: str) -> None:
        """Wake all keys of a kind in a namespace."""
        for loop in self._loops():
            for key in loop.keys(kind, namespace):
                loop.wake(key)

    def wake_stacks(self) -> None:
        """Wake all stacks, as when what they are told about the receiver has changed."""
        for loop in self._loops():
            for key in loop.keys(MONITORING_STACK.kind):
                loop.wake(key)

    def stalled(self) -> str:
        """Return what does not move any more, or nothing."""
        loops = (self._known, *(self._term.running if self._term else ()))
        return next(filter(None, (loop.stalled() for loop in loops)), "")

    async def run(self, leads: Leads) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._known.run())
            group.create_task(self._learn())
            group.create_task(self._serve_terms(leads))

    def _loops(self) -> tuple[Loop, ...]:
        return (self._known, *(self._term.loops if self._term else ()))

    async def _learn(self) -> None:
        """Read all AutoResponses, after which it is known whom a message may concern."""
        keys = _keys(AUTO_RESPONSE, await _all(self.responses.cluster, AUTO_RESPONSE))
        await asyncio.gather(*map(self._known.pass_over, keys))
        self.responses.registry.is_filled = True
        self._learned.set()

    async def _serve_terms(self, leads: Leads) -> None:
        """Work in each term; limits count what all AutoResponses say, so all have to be known."""
        await self._learned.wait()
        while True:
            if not (number := leads.term()):
                _log.info("the operator stands by")
                number = await leads.change(0)
            _log.info("the operator works")
            self._term = term = self._begin()
            try:
                await _until_first(term.run(), leads.change(number))
            finally:
                self._term = None
                self._forget_figures()
            _log.warning("the Lease is lost: all passes have been ended")

    def _begin(self) -> "Term":
        """Return a new term. What comes in from now on is no memory: it counts at once."""
        self.responses.sources.begin_anew()
        return Term(
            self.responses,
            self._session,
            self._notifier,
            receiver_authority=self._receiver_authority,
        )

    def _forget_figures(self) -> None:
        """Take back what only the leader says in its metrics."""
        self.responses.metrics.responses.open_episodes.set(0)
        self.responses.metrics.responses.tripped.clear()
        self.responses.metrics.alerts.source_up.clear()


def _stacks_loop(stacks: Context) -> Loop:
    """Return the loop of all passes over stacks and policies."""
    return Loop(
        {
            MONITORING_STACK.kind: partial(reconcile_stack, stacks),
            ALERT_POLICY.kind: partial(reconcile_alerts, stacks),
            RULES: RulesReconciler(stacks).reconcile,
            NOTIFICATIONS: NotificationsReconciler(stacks).reconcile,
            DASHBOARDS: DashboardsReconciler(stacks).reconcile,
            RETENTION_POLICY.kind: partial(reconcile_retention, stacks),
        },
        stacks.metrics,
        workers=stacks.settings.workers,
    )


class Term:
    """What the leader does, from taking over until it is cancelled."""

    def __init__(
        self,
        responses: RespondContext,
        session: aiohttp.ClientSession,
        notifier: Notifier,
        *,
        receiver_authority: Callable[[], str | None],
    ) -> None:
        self._responses = responses
        metrics, settings = responses.metrics, responses.settings
        stacks = Context(
            responses.cluster,
            session,
            settings,
            metrics,
            clock=responses.clock,
            wake=responses.wake,
            receiver_authority=receiver_authority,
        )
        self._stacks = _stacks_loop(stacks)
        sourcing = Sourcing(responses, session)
        asking = replace(responses, count=sourcing.count)
        self._targets = Loop(
            {
                "Source": sourcing.poll,
                TARGET: partial(reconcile_target, asking),
                ONLOOKER: partial(reconcile_onlooker, responses),
            },
            metrics,
            workers=_RESPOND_WORKERS,
        )
        notices = Loop({NOTICES: notifier.reconcile}, metrics, workers=_NOTICE_WORKERS)
        self.loops = (self._targets, notices, self._stacks)
        self.running: tuple[Loop, ...] = ()
        """Those that have begun: until then nobody expects them to move."""

    async def settle(self, target: Key) -> bool:
        """Take a pass over a target; return whether it succeeded."""
        return await self._targets.pass_over(target)

    def is_crowded(self) -> bool:
        """Tell whether targets wait for others to have had their turn."""
        return self._targets.is_crowded()

    async def run(self) -> None:
        """Take over what there is, and work until cancelled."""
        await self._take_over_responses()
        async with asyncio.TaskGroup() as group:
            for loop in self.loops:
                group.create_task(loop.run())
            group.create_task(self._wake_stacks())
            self.running = self.loops

    async def _take_over_responses(self) -> None:
        """Read what stands in the statuses by now, before anything is decided on it."""
        context = self._responses
        before = {(entry.namespace, entry.name): entry for entry in context.registry}
        found = await _all(context.cluster, AUTO_RESPONSE, metadata_only=False)
        for live in found:
            place = live["metadata"]
            context.registry.renew(live, before.get((place["namespace"], place["name"])))
        for entry in context.registry:
            for key in filter(None, (entry.source, *entry.targets)):
                context.wake(key)
        for key in _keys(AUTO_RESPONSE, found):
            context.wake(key)

    async def _wake_stacks(self) -> None:
        for kind in (MONITORING_STACK, ALERT_POLICY, RETENTION_POLICY):
            for key in _keys(kind, await _all(self._responses.cluster, kind)):
                self._responses.wake(key)


def _now() -> datetime:
    return datetime.now(UTC)


async def _all(cluster: Cluster, kind: Kind, *, metadata_only: bool = True) -> list[Object]:
    """Return all objects of a kind, as soon as the API server gives them."""
    while True:
        try:
            return await cluster.list(kind, metadata_only=metadata_only)
        except ClusterError as error:
            _log.warning("%s cannot be listed: %s", kind.plural, error)
            await asyncio.sleep(_PAUSE_SECONDS)


def _keys(kind: Kind, found: list[Object]) -> list[Key]:
    places = (each["metadata"] for each in found)
    return [Key(kind.kind, place["namespace"], place["name"]) for place in places]


async def _until_first(*parts: Coroutine[Any, Any, object]) -> None:
    """Run coroutines side by side until one of them ends, and end the others; a failure is raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()

"""A pass over one source of alerts: ask Prometheus what is true, wake the targets it concerns."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import aiohttp
from pydantic import ValidationError

from firewatch.api.alert_source import ExternalSource
from firewatch.api.resource import Key
from firewatch.api.triggers import Preset
from firewatch.api.web import find_web_tls
from firewatch.build import watchdog
from firewatch.build.names import PROMETHEUS_PORT, prometheus_name
from firewatch.build.web import server_name
from firewatch.cluster.errors import ClusterError, absent_is_fine
from firewatch.cluster.external import external_prometheus
from firewatch.cluster.kinds import MONITORING_STACK, SERVICE
from firewatch.cluster.prometheus import BadQueryError, Prometheus, PrometheusError, RuntimeRule
from firewatch.cluster.trust import Trust, gather_trust
from firewatch.respond.alerts import (
    PRESET_ALERTS,
    PRESET_LABEL,
    Alert,
    is_news,
    may_match,
    polled_alert,
)
from firewatch.respond.circuit.measure import POD, Counters, Queries
from firewatch.respond.context import RespondContext
from firewatch.respond.external import find_token_error, is_external
from firewatch.respond.heartbeats import Pulse, agreed_pulse, watchdog_pulse
from firewatch.respond.load import Limit, Sample, find_limit, is_excess
from firewatch.respond.presence import presence_queries
from firewatch.respond.registry import Entry
from firewatch.respond.signals import NOT_LISTED, RuleState, SourceState, judge
from firewatch.respond.silences import Silencing

_BUSY_SECONDS = 2.0
"""How often Prometheus is asked while something is changed, or an alert cannot be told."""
_SOON_KNOWN = frozenset({"SourceStarting", NOT_LISTED})
"""Reasons for which it cannot be told that are over before long."""
_QUIET_SECONDS = 15.0
_MOST_NAMES = 64
"""Alerts that are looked at where every alert counts: each costs some requests."""


@dataclass(frozen=True)
class Sourcing:
    """What polls need besides the context."""

    context: RespondContext
    session: aiohttp.ClientSession

    async def poll(self, key: Key) -> float | None:
        """Ask the source anew; return when to ask again."""
        context = self.context
        entries = context.registry.of_source(key)
        if not entries:
            context.sources.drop(key)
            return float("inf")
        started, known = context.clock(), context.sources.get(key).state
        # As it was when that was found: what has changed since by nothing but the time is news too.
        then = known.polled_at if known else started
        before = {entry.name: self._signal(entry, then) for entry in entries}
        state = await self._ask(key, entries, started)
        if not state.error:
            silencing = Silencing(context.cluster, self.session, context.sources)
            state = await silencing.add_muted(key, entries, state)
        context.sources.polled(key, state)
        context.metrics.alerts.source_up.labels(key.namespace, key.name).set(not state.error)
        busy = False
        for entry in entries:
            signal = self._signal(entry, context.clock())
            # What people were told of by name is over only by a poll that is fresh; such may be rare.
            is_watched = not entry.spec.changes and bool(entry.notices.incidents)
            if is_watched or signal != before[entry.name]:
                context.wake(entry.target)
            busy = busy or entry.is_open or signal[1] in _SOON_KNOWN
        return _BUSY_SECONDS if busy else _QUIET_SECONDS

    async def count(self, key: Key, queries: Queries) -> Counters | str:
        """Ask the source what pods have answered; return why not if that cannot be told."""
        try:
            prometheus = await self._prometheus(key)
            asked = (prometheus.by_label(query, POD) for query in queries)
            return Counters(*await asyncio.gather(*asked))
        except (PrometheusError, ClusterError) as error:
            return f"Prometheus does not say: {error}"
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            return f"the answer is not that of a Prometheus ({type(error).__name__})"

    def _signal(self, entry: Entry, now: datetime) -> tuple[str, ...]:
        """Return all that a status says about the source, to see whether that has changed."""
        source = self.context.sources.known_to(entry)
        signal = judge(entry.spec.trigger, source, now, entry.spec.recovery)
        state = source.state
        error = (state.error or state.muted_error) if state else ""
        missing = f"{state.pushes_missing} {state.token_error}" if state else ""
        load = repr(signal.load) if entry.owed else ""
        # One that changes nothing tells of each alert by its name.
        names = () if entry.spec.target else tuple(sorted(signal.names))
        return (signal.kind, signal.reason, signal.message, load, error, missing, *names)

    async def _ask(self, key: Key, entries: list[Entry], started: datetime) -> SourceState:
        try:
            prometheus = await self._prometheus(key)
            found = await _rules(prometheus, entries, own=not is_external(key))
            rules = [rule for rule in found if _is_wanted(rule, entries)]
            external = self.context.sources.external(key)
            # Only what is changed at present is to go back, and only then the load matters.
            is_owed = any(entry.is_open for entry in entries)
            return SourceState(
                polled_at=started,
                started_at=await prometheus.started_at(),
                rules=tuple(
                    [await _rule_state(prometheus, r, external, load=is_owed) for r in rules]
                ),
                answers=await _answers(prometheus, entries) if is_owed else {},
                pulse=_pulse(entries, found),
                token_error=await self._token_error(key),
            )
        except (PrometheusError, ClusterError) as error:
            return SourceState(polled_at=started, error=str(error))
        except ValidationError:
            why = f"MonitoringStack {key.name} is not understood; see its status"
            return SourceState(polled_at=started, error=why)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # Whoever answers at an address that people name need not be a Prometheus.
            why = f"its answer is not that of a Prometheus ({type(error).__name__})"
            return SourceState(polled_at=started, error=why)

    async def _prometheus(self, key: Key) -> Prometheus:
        """Return the source's Prometheus; for a stack's, DNS need not be reachable."""
        if is_external(key):
            return await self._external(key)
        service = await self.context.cluster.get(SERVICE, key.namespace, prometheus_name(key.name))
        trust = await self._trust(key)
        scheme = "https" if trust else "http"
        address = f"{scheme}://{service['spec']['clusterIP']}:{PROMETHEUS_PORT}"
        return Prometheus(self.session, address, trust)

    async def _external(self, key: Key) -> Prometheus:
        source = self._own_source(key)
        return await external_prometheus(
            self.context.cluster,
            self.session,
            key.namespace,
            source.prometheus,
            field="spec.source.prometheus",
        )

    async def _token_error(self, key: Key) -> str:
        if not is_external(key):
            return ""
        return await find_token_error(self.context.cluster, key.namespace, self._own_source(key))

    def _own_source(self, key: Key) -> ExternalSource:
        """Return the source that an AutoResponse brings; each has one of its own."""
        (entry,) = self.context.registry.of_source(key)
        source = entry.spec.source
        assert source is not None
        return source

    async def _trust(self, key: Key) -> Trust | None:
        """Return by what the server is trusted, as the stack itself says; None if it serves HTTP.

        The Service does not decide this: others may write it.
        """
        cluster = self.context.cluster
        with absent_is_fine():
            stack = await cluster.get(MONITORING_STACK, key.namespace, key.name)
            if tls := find_web_tls(stack):
                name = server_name(tls, key.name, key.namespace)
                return await gather_trust(cluster, key.namespace, tls, name)
        return None


async def _rules(prometheus: Prometheus, entries: list[Entry], *, own: bool) -> list[RuntimeRule]:
    """Return the rules that any of the triggers may mean, and the Watchdog of a stack of our own."""
    triggers = [entry.spec.trigger for entry in entries]
    presets = {trigger.preset for trigger in triggers if trigger.preset}
    names = {trigger.alert for trigger in triggers if trigger.alert}
    if Preset.ALERT_CREATED in presets:
        names |= await _created(prometheus, entries)
    presets.discard(Preset.ALERT_CREATED)
    names |= {name for preset in presets for name in PRESET_ALERTS[preset]}
    if own:
        names.add(watchdog.ALERT)
    # No name would mean every rule.
    found = await prometheus.rules(names=sorted(names)) if names else []
    for preset in sorted(presets):
        labelled = await prometheus.rules(match=f'{{{PRESET_LABEL}="{preset}"}}')
        found += [rule for rule in labelled if rule.name not in names]
    return found


def _is_wanted(rule: RuntimeRule, entries: Iterable[Entry]) -> bool:
    """Tell whether any of the triggers may mean a rule."""
    return any(may_match(entry.spec.trigger, rule.name, rule.labels) for entry in entries)


def _pulse(entries: list[Entry], found: Iterable[RuntimeRule]) -> Pulse | None:
    """Return what must be heard of the source."""
    (first, *_) = entries
    source = first.spec.source  # of which there is one for each AutoResponse
    return agreed_pulse(source, first.since) if source else watchdog_pulse(found)


async def _created(prometheus: Prometheus, entries: Iterable[Entry]) -> set[str]:
    """Return the names of the alerts that fire, and of those that people have been told of."""
    known = {incident.alert for entry in entries for incident in entry.notices.incidents}
    firing = sorted(filter(is_news, await prometheus.firing()))
    return {*known, *firing[:_MOST_NAMES]}


async def _rule_state(
    prometheus: Prometheus, rule: RuntimeRule, external: frozenset[str], *, load: bool
) -> RuleState:
    limit = find_limit(rule.expression) if load else None
    return RuleState(
        name=rule.name,
        labels=dict(rule.labels),
        healthy=rule.health == "ok",
        error=rule.last_error or f"health is {rule.health}",
        evaluated_at=rule.last_evaluation,
        interval=rule.interval,
        hold=rule.hold,
        has_data=await _has_data(prometheus, rule.expression),
        alerts=tuple(_alerts(rule, external)),
        limit=limit,
        samples=await _samples(prometheus, limit) if limit else (),
    )


async def _samples(prometheus: Prometheus, limit: Limit) -> tuple[Sample, ...]:
    found = await prometheus.samples(limit.query)
    return tuple(Sample(labels, value) for labels, value in found)


async def _answers(prometheus: Prometheus, entries: list[Entry]) -> dict[str, bool]:
    """Return which conditions for recovery hold; those that Prometheus refuses are missing."""
    wanted = {entry.spec.recovery.when for entry in entries if entry.is_open} - {None}
    found: dict[str, bool] = {}
    for query in sorted(filter(None, wanted)):
        with suppress(BadQueryError):
            found[query] = await prometheus.has_series(query)
    return found


def _alerts(rule: RuntimeRule, external: frozenset[str]) -> list[Alert]:
    # Only then it can be told whether another value is better.
    is_measured = bool(rule.alerts) and is_excess(rule.expression)
    return [
        polled_alert(
            each.labels,
            state=each.state,
            active_at=each.active_at,
            external=external,
            annotations=each.annotations,
            value=each.value if is_measured else None,
        )
        for each in rule.alerts
    ]


async def _has_data(prometheus: Prometheus, expression: str) -> bool | None:
    queries = presence_queries(expression)
    if queries is None:
        return None
    try:
        for query in queries:
            if not await prometheus.has_series(query):
                return False
    except BadQueryError:
        return None
    return True

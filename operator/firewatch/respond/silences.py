"""Which alerts a source's Alertmanager mutes, by a silence or because another alert inhibits them.

Asked only for AutoResponses that heed it, after Prometheus has been: what fires there has been sent to
Alertmanager by then, or is about to be. An Alertmanager that does not answer mutes nothing for long: a
silence that cannot be seen may neither undo anything nor keep anything from being done.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import aiohttp

from firewatch.api.resource import Key
from firewatch.build.matchers import Matcher
from firewatch.build.names import ALERTMANAGER_PORT, alertmanager_name
from firewatch.cluster.alertmanager import Alertmanager, AlertmanagerError
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ClusterError, NotFoundError
from firewatch.cluster.external import external_alertmanager
from firewatch.cluster.kinds import SERVICE
from firewatch.cluster.prometheus import PrometheusError
from firewatch.respond.alerts import identify, own_labels
from firewatch.respond.external import is_external
from firewatch.respond.muting import answered, unanswered
from firewatch.respond.registry import Entry, Sources
from firewatch.respond.signals import SourceState


@dataclass(frozen=True)
class Silencing:
    """Asks the Alertmanagers of sources."""

    cluster: Cluster
    session: aiohttp.ClientSession
    sources: Sources
    """What is known of them from the polls before."""

    async def add_muted(
        self, key: Key, entries: Iterable[Entry], state: SourceState
    ) -> SourceState:
        """Return what a poll has found with the alerts that are muted, if anybody heeds that."""
        heeding = [entry for entry in entries if entry.spec.heeds_silences]
        if not heeding:
            return state
        before = self._before(key, heeding, state)
        try:
            listed = await self._listed(key, heeding[0], state)
        except (AlertmanagerError, PrometheusError, ClusterError) as error:
            return unanswered(state, before, str(error))
        return answered(state, before, listed)

    def _before(self, key: Key, heeding: Iterable[Entry], state: SourceState) -> SourceState:
        """Return the poll before, as far as it was for those who heed silences now."""
        known, since = self.sources.get(key).state, max(entry.since for entry in heeding)
        return known if known and known.polled_at >= since else SourceState(state.polled_at)

    async def _listed(self, key: Key, entry: Entry, state: SourceState) -> Mapping[str, bool]:
        """Return the alerts that Alertmanager has, with whether it mutes them."""
        server = await self._server(key, entry)
        external = self.sources.external(key)
        listed: dict[str, bool] = {}
        for shown in await server.alerts(_named(rule.name for rule in state.rules)):
            identity = identify(own_labels(shown.labels, external))
            # Two that differ in what a replica adds are one alert.
            listed[identity] = listed.get(identity, False) or shown.is_muted
        return listed

    async def _server(self, key: Key, entry: Entry) -> Alertmanager:
        if is_external(key):
            source = entry.spec.source
            if source is None or source.alertmanager is None:
                raise AlertmanagerError("source.alertmanager is missing; set it")
            return await external_alertmanager(
                self.cluster,
                self.session,
                key.namespace,
                source.alertmanager,
                field="spec.source.alertmanager",
            )
        try:
            service = await self.cluster.get(SERVICE, key.namespace, alertmanager_name(key.name))
        except NotFoundError:
            why = f"MonitoringStack {key.name} has none; set alerting in it"
            raise AlertmanagerError(why) from None
        address = f"http://{service['spec']['clusterIP']}:{ALERTMANAGER_PORT}"
        return Alertmanager(self.session, address)


def _named(names: Iterable[str]) -> str:
    """Return a matcher of the alerts of these names: what others there are need not be sent."""
    return str(Matcher("alertname", "=~", "|".join(map(re.escape, sorted({*names})))))

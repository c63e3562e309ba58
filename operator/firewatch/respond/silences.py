"""Which alerts a source's Alertmanager mutes, by a silence or because another alert inhibits them.

Asked only for AutoResponses that heed it, after Prometheus has been: what fires there has been sent to
Alertmanager by then. An Alertmanager that does not answer mutes nothing: a silence that cannot be seen
may neither undo anything nor keep anything from being done.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import aiohttp

from firewatch.api.resource import Key
from firewatch.build.names import ALERTMANAGER_PORT, alertmanager_name
from firewatch.cluster.alertmanager import Alertmanager, AlertmanagerError
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ClusterError, NotFoundError
from firewatch.cluster.kinds import SERVICE
from firewatch.cluster.prometheus import PrometheusError
from firewatch.respond.alerts import identify, own_labels
from firewatch.respond.external import external_alertmanager, is_external
from firewatch.respond.registry import Entry
from firewatch.respond.signals import SourceState


@dataclass(frozen=True)
class Silencing:
    """Asks the Alertmanagers of sources."""

    cluster: Cluster
    session: aiohttp.ClientSession

    async def add_muted(
        self, key: Key, entries: Iterable[Entry], state: SourceState, external: frozenset[str]
    ) -> SourceState:
        """Return what a poll has found with the alerts that are muted, if anybody heeds that."""
        heeding = [entry for entry in entries if entry.spec.heeds_silences]
        if not heeding:
            return state
        try:
            server = await self._server(key, heeding[0])
            found = await server.muted()
        except (AlertmanagerError, PrometheusError, ClusterError) as error:
            return replace(state, muted_error=str(error))
        return replace(
            state, muted=frozenset(identify(own_labels(each, external)) for each in found)
        )

    async def _server(self, key: Key, entry: Entry) -> Alertmanager:
        if is_external(key):
            source = entry.spec.source
            if source is None or source.alertmanager is None:
                raise AlertmanagerError("source.alertmanager is missing; set it")
            return await external_alertmanager(
                self.cluster, self.session, key.namespace, source.alertmanager
            )
        try:
            service = await self.cluster.get(SERVICE, key.namespace, alertmanager_name(key.name))
        except NotFoundError:
            why = f"MonitoringStack {key.name} has none; set alerting in it"
            raise AlertmanagerError(why) from None
        address = f"http://{service['spec']['clusterIP']}:{ALERTMANAGER_PORT}"
        return Alertmanager(self.session, address)

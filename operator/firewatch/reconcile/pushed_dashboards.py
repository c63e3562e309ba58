"""Dashboards for a Grafana that others run: written by its HTTP API, and looked after there."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from firewatch.api.conditions import Finding, bad, unknown
from firewatch.api.external import ExternalGrafana
from firewatch.api.resource import Key
from firewatch.api.visualization import DashboardLeftOut
from firewatch.build.grafana.dashboards import Chosen
from firewatch.build.grafana.pushes import Push, Tags, build_push, owner_tag, plan_pushes
from firewatch.build.objects import Stack
from firewatch.build.usable import describe
from firewatch.cluster.external import external_grafana
from firewatch.cluster.grafana import (
    CredentialsRefusedError,
    DashboardRefusedError,
    Grafana,
    GrafanaError,
)
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import DASHBOARDS_LOADED, dashboards_loaded

_COMPARED_EVERY = timedelta(minutes=10)
"""How often each dashboard is read, to see whether somebody has changed it in Grafana's pages."""
_MESSAGE = "Firewatch"
"""What the history of a dashboard says of a version."""


@dataclass(frozen=True)
class Pushed:
    """How the dashboards of a stack stand in a Grafana of others."""

    finding: Finding
    uids: frozenset[str] = frozenset()
    """Dashboards that it has."""
    left_out: tuple[DashboardLeftOut, ...] = ()


@dataclass
class _Known:
    """What is remembered of a stack's dashboards; losing it costs a look at each."""

    url: str
    fingerprint: str = ""
    """Of what they were made of."""
    revisions: Mapping[str, str] = field(default_factory=dict)
    """Tags by which they are known as they should be, by uid."""
    versions: dict[str, int] = field(default_factory=dict)
    """Grafana's own, by uid, as they were when they were last as they should be."""
    compared: datetime | None = None
    pushed: Pushed | None = None

    def still_holds(self, fingerprint: str, shown: Mapping[str, Tags], now: datetime) -> bool:
        """Tell whether nothing has changed here or there, as far as a search shows."""
        return (
            self.fingerprint == fingerprint
            and self.pushed is not None
            and not self.pushed.left_out
            and self.compared is not None
            and now - self.compared < _COMPARED_EVERY
            and shown.keys() == self.revisions.keys()
            and all(self.revisions[uid] in tags for uid, tags in shown.items())
        )


Choose = Callable[[], Awaitable[Chosen]]
"""Reads the dashboards that a Grafana is to be given."""


@dataclass
class DashboardPushes:
    """Writes dashboards to Grafanas of others."""

    context: Context
    _known: dict[Key, _Known] = field(default_factory=dict)

    async def push(
        self, key: Key, stack: Stack, server: ExternalGrafana, fingerprint: str, choose: Choose
    ) -> Pushed:
        """Have a Grafana show exactly the chosen dashboards, and return how that stands.

        ``fingerprint`` differs when what they are made of does.
        """
        known = self._known.get(key)
        if known is None or known.url != server.url:
            known = self._known[key] = _Known(server.url)
        try:
            api = await external_grafana(
                self.context.cluster,
                self.context.session,
                stack.namespace,
                server,
                field="spec.external.grafana",
            )
            shown = await api.tagged(owner_tag(stack))
            if known.pushed and known.still_holds(fingerprint, shown, self.context.clock()):
                return known.pushed
            known.pushed = await self._push(api, stack, known, shown, await choose())
            known.fingerprint = fingerprint
        except CredentialsRefusedError as error:
            message = (
                f"the Grafana at {server.url} does not take the token in {describe(server.token)}"
                f" ({error}); give it that of a service account with the role Editor"
            )
            return Pushed(bad(DASHBOARDS_LOADED, "CredentialsRefused", message))
        except GrafanaError as error:
            message = f"the Grafana at {server.url} does not answer: {error}"
            return Pushed(unknown(DASHBOARDS_LOADED, "NoAnswer", message))
        return known.pushed

    def forget(self, key: Key) -> None:
        """Forget a stack that has no Grafana of others any more."""
        self._known.pop(key, None)

    async def _push(
        self, api: Grafana, stack: Stack, known: _Known, shown: Mapping[str, Tags], chosen: Chosen
    ) -> Pushed:
        wanted = [build_push(stack, each) for each in chosen.dashboards]
        plan = plan_pushes(wanted, shown)
        changed = await self._changed(api, known, plan.as_they_are)
        refused = await _write(api, owner_tag(stack), known, [*plan.to_write, *changed])
        for uid in plan.to_delete:
            await api.delete_dashboard(uid)
        known.revisions = {p.uid: p.revision for p in wanted if p.uid not in refused}
        left_out = (*chosen.left_out, *refused.values())
        finding = dashboards_loaded(left_out, "Grafana has all dashboards")
        return Pushed(finding, frozenset(known.revisions), left_out)

    async def _changed(self, api: Grafana, known: _Known, pushes: Sequence[Push]) -> list[Push]:
        """Return the dashboards that somebody has changed, if it is time to look."""
        now = self.context.clock()
        if known.compared and now - known.compared < _COMPARED_EVERY:
            return []
        found = []
        for push in pushes:
            stored = await api.dashboard(push.uid)
            version = stored.version if stored else -1
            if known.versions.setdefault(push.uid, version) != version:
                found.append(push)
        known.compared = now
        return found


async def _write(
    api: Grafana, owner: str, known: _Known, pushes: Sequence[Push]
) -> dict[str, DashboardLeftOut]:
    """Write dashboards; return those that cannot be written, by uid."""
    refused: dict[str, DashboardLeftOut] = {}
    folders = dict(await api.folders()) if any(push.folder for push in pushes) else {}
    for push in pushes:
        stored = await api.dashboard(push.uid)
        if stored and owner not in stored.tags:
            refused[push.uid] = _left_out(
                push,
                "Grafana has another with this uid, which is not this stack's; change one of them",
            )
            continue
        if push.folder and push.folder not in folders:
            folders[push.folder] = await api.make_folder(push.folder)
        folder = folders[push.folder] if push.folder else ""
        try:
            known.versions[push.uid] = await api.save_dashboard(
                push.content, folder=folder, message=_MESSAGE
            )
        except DashboardRefusedError as error:
            refused[push.uid] = _left_out(push, f"Grafana refuses it: {error}")
    return refused


def _left_out(push: Push, message: str) -> DashboardLeftOut:
    return DashboardLeftOut(source=f"dashboard {push.uid} ({push.title})"[:512], message=message)

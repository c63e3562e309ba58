"""How a MonitoringStack stands after it has been made: looked at, said, and when to look again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.journeys import Journey
from firewatch.api.resource import ConditionStatus, Key, Object
from firewatch.api.stack import ComponentStatus, MonitoringStackStatus
from firewatch.api.synthetic import CheckStatus, HealthCheck
from firewatch.api.visualization import VisualizationStatus
from firewatch.build import names
from firewatch.build.left_out import find_left_out, refused_override
from firewatch.build.objects import Stack
from firewatch.build.web import prometheus_url
from firewatch.cluster.kinds import MONITORING_STACK
from firewatch.reconcile.checks import HEALTH, JOURNEYS, CheckKind, gather_checks
from firewatch.reconcile.children import Children
from firewatch.reconcile.components import available, endpoints, external_row
from firewatch.reconcile.configuration import (
    CHANGING,
    confirm_configuration,
    confirm_connection,
    keep_last_good,
)
from firewatch.reconcile.context import RULES, Context, ToldDashboards
from firewatch.reconcile.findings import (
    ACCEPTED,
    APPLIED,
    AVAILABLE,
    GRAFANA_LOADED,
    LOADED,
    NOTIFYING,
    STORAGE_READY,
    read_status,
)
from firewatch.reconcile.grafana import GrafanaStanding, gather_grafana
from firewatch.reconcile.packs import gather_packs, is_behind
from firewatch.reconcile.secrets import secrets_present
from firewatch.reconcile.servers import Servers, gather_servers, running_version
from firewatch.reconcile.sizes import gather_largest, gather_limits
from firewatch.reconcile.stack_plan import Plan
from firewatch.reconcile.stack_report import Shown, report_stack
from firewatch.reconcile.targets import all_up, gather_jobs
from firewatch.reconcile.telling import told_of_dashboards, told_of_notifications, told_version
from firewatch.reconcile.volumes import Refusals, storage_ready, volume_rows
from firewatch.reconcile.web import explain_self_scrape
from firewatch.reconcile.workloads import gather_rows

_UNCONFIRMED_SECONDS = 0.3
_REPLACING_SECONDS = 0.5
_CHANGING_SECONDS = 1.0
_CONNECTING_SECONDS = 2.0
_NOT_READY_SECONDS = 10.0
# Secrets are never watched, nor is what checks come to.
_LOOK_SECONDS = 60.0
_TARGETS_SECONDS = 30.0
_WATCHED = frozenset((STORAGE_READY, AVAILABLE, LOADED, GRAFANA_LOADED))
"""Conditions that become true by themselves, without an event that wakes the stack."""


@dataclass(frozen=True)
class Standing:
    """A stack as it has just been made or, if it is paused, found."""

    context: Context
    live: Object
    plan: Plan
    made: Children
    refusals: Refusals
    """Volumes that cannot be as they are wanted."""

    async def tell(self) -> float | None:
        """Look at what has become of the stack, say it, and return when to look again."""
        stack, paused = self.plan.stack, self.plan.stack.spec.paused
        servers = await gather_servers(self.context.cluster, self.context.session, stack)
        own = _own(stack, servers)
        self._wake_rules(servers)
        grafana = await self._gather_grafana()
        dashboards = told_of_dashboards(self.context, stack, self.live)
        shown = await self._look(servers, grafana, dashboards)
        loaded, confirmed = await self._confirm(servers, shown.confirmed)
        findings = [
            *_plan_findings(self.plan, self.made),
            *explain_self_scrape(stack, shown.jobs),
            *self._findings(shown.rows, loaded),
            *told_of_notifications(self.context, stack, self.live),
            *([] if paused else await confirm_connection(stack, servers)),
            *([grafana.finding] if grafana else []),
            *([dashboards.finding] if dashboards and not paused else []),
        ]
        findings = _in_order(findings, first=APPLIED if paused else None)
        await report_stack(self.context, self.live, findings, replace(shown, confirmed=confirmed))
        is_told = all_up(shown.jobs) and (bool(shown.largest) or not own.ready)
        soon = _next_pass(self.made, findings, is_told=is_told)
        if is_behind(self.plan.packs, shown.packs):
            soon = 0.0
        synthetic, external = stack.spec.synthetic, stack.spec.external
        is_asked = (
            *(self.plan.files, synthetic.health_checks, synthetic.journeys),
            *(external.prometheus, external.grafana),
        )
        return _LOOK_SECONDS if soon is None and any(is_asked) else soon

    @property
    def _key(self) -> Key:
        return Key(MONITORING_STACK.kind, self.plan.stack.namespace, self.plan.stack.name)

    def _wake_rules(self, servers: Servers) -> None:
        """Let the rules be looked at when other servers answer than before."""
        key, ready = self._key, frozenset(server.uid for server in servers.ready)
        if self.context.ready.get(key) != ready:
            self.context.ready[key] = ready
            self.context.wake(Key(RULES, key.namespace, key.name))

    async def _gather_grafana(self) -> GrafanaStanding | None:
        """Return how Grafana stands; None if there is none, or nothing may be done about it."""
        if self.plan.stack.spec.paused:
            return None
        before = read_status(MonitoringStackStatus, self.live).visualization
        return await gather_grafana(self.context, self.plan, before)

    async def _look(
        self, servers: Servers, grafana: GrafanaStanding | None, dashboards: ToldDashboards | None
    ) -> Shown:
        """Return what the status shows; the configuration confirmed last is that of before."""
        stack, made = self.plan.stack, self.made
        own = _own(stack, servers)
        before = read_status(MonitoringStackStatus, self.live)
        version = await running_version(servers)
        rows = await gather_rows(
            self.context,
            stack.name,
            made.workloads,
            claims=self.plan.claims,
            endpoints=endpoints(self.plan.objects),
            versions={
                names.PROMETHEUS: version,
                names.ALERTMANAGER: told_version(self.context, stack, before.components),
                names.GRAFANA: grafana.version if grafana else "",
            },
            repair=not stack.spec.paused,
        )
        if url := _external_url(stack):
            rows.append(external_row(names.PROMETHEUS, url, servers.problem, version=version))
        jobs = await gather_jobs(own, made.configuration, before.jobs)
        jobs = await gather_limits(own, made.configuration, jobs, before.jobs)
        return Shown(
            rows=rows,
            jobs=jobs,
            # What is seen while nothing is made must not be called running.
            packs=await gather_packs([] if stack.spec.paused else own.ready, self.plan.packs),
            health_checks=await self._gather_checks(
                own, HEALTH, stack.spec.synthetic.health_checks, before.health_checks
            ),
            journeys=await self._gather_checks(
                own, JOURNEYS, stack.spec.synthetic.journeys, before.journeys
            ),
            volumes=volume_rows(self.plan.volumes, self.refusals),
            largest=await gather_largest(self.context, self._key, own, before.largest_metrics),
            url=prometheus_url(stack) if stack.spec.metrics else _external_url(stack),
            retention=self.plan.surroundings.retention,
            confirmed=before.loaded_configuration,
            visualization=self._visualization(grafana, dashboards, before),
        )

    async def _gather_checks(
        self,
        servers: Servers,
        kind: CheckKind,
        wanted: Sequence[HealthCheck] | Sequence[Journey],
        before: Sequence[CheckStatus],
    ) -> list[CheckStatus]:
        checks = [each.name for each in wanted]
        return await gather_checks(
            self.context, self._key, servers, kind, checks=checks, before=before
        )

    def _visualization(
        self,
        grafana: GrafanaStanding | None,
        told: ToldDashboards | None,
        before: MonitoringStackStatus,
    ) -> VisualizationStatus | None:
        """Return what the status says of Grafana; as before where it is not looked at."""
        spec = self.plan.stack.spec
        if told is None:
            return None
        found = {"dashboards": told.loaded, "left_out": [*told.left_out]}
        if spec.external.grafana:
            return VisualizationStatus(url=spec.external.grafana.url).model_copy(update=found)
        return grafana.status.model_copy(update=found) if grafana else before.visualization

    async def _confirm(self, servers: Servers, confirmed: str) -> tuple[Finding | None, str]:
        """Return whether Prometheus runs its configuration, and the one confirmed last."""
        if self.plan.stack.spec.paused:
            return None, confirmed
        loaded = await confirm_configuration(
            self.context, self._key, made=self.made, servers=servers, confirmed=confirmed
        )
        if loaded and loaded.status is ConditionStatus.TRUE:
            confirmed = self.made.revision or ""
        loaded = await keep_last_good(
            self.context,
            self.plan.stack,
            self.made,
            servers=servers,
            loaded=loaded,
            confirmed=confirmed,
        )
        return loaded, confirmed

    def _findings(self, rows: Sequence[ComponentStatus], loaded: Finding | None) -> list[Finding]:
        applied = self.made.fault or good(APPLIED, "Applied", "every object is as it should be")
        storage = storage_ready(self.plan.volumes, self.refusals)
        found = [applied, storage, available(rows) if rows else None, loaded]
        return [finding for finding in found if finding is not None]


def _own(stack: Stack, servers: Servers) -> Servers:
    """Return the servers that the stack runs; what another's scrapes and keeps is no business of ours."""
    return servers if stack.spec.metrics else Servers()


def _external_url(stack: Stack) -> str | None:
    server = stack.spec.external.prometheus
    return server.url if server else None


def _in_order(findings: Iterable[Finding], *, first: str | None) -> list[Finding]:
    """Return one finding of each type, the worst; Ready says the first that is not as it should be."""
    worst: dict[str, Finding] = {}
    for each in findings:
        known = worst.get(each.type)
        if known is None or known.status is ConditionStatus.TRUE:
            worst[each.type] = each
    return sorted(worst.values(), key=lambda each: each.type != first)


def _plan_findings(plan: Plan, made: Children) -> list[Finding]:
    """Return whether everything that the spec asks for is built, and what it takes is there."""
    left_out = [
        *find_left_out(plan.stack, plan.surroundings),
        *(refused_override(name, why) for name, why in sorted(made.refused.items())),
    ]
    accepted = good(ACCEPTED, "Accepted", "the spec is understood")
    if left_out:
        message = "; ".join(each.message for each in left_out)
        accepted = bad(ACCEPTED, left_out[0].reason, message)
    present = secrets_present(plan.files, plan.surroundings.missing)
    return [accepted, *([present] if present else [])]


def _next_pass(result: Children, findings: Sequence[Finding], *, is_told: bool) -> float | None:
    """Return when to look again: at once while something is under way, else as usual.

    ``is_told`` says whether Prometheus has told all that the status shows of it.
    """
    if any(each.type == LOADED and each.reason == "Reloading" for each in findings):
        return _UNCONFIRMED_SECONDS
    if any(each.type == LOADED and each.reason == CHANGING for each in findings):
        return _CHANGING_SECONDS
    if result.replacing:
        return _REPLACING_SECONDS
    waiting = {(NOTIFYING, "NotConnected"), (GRAFANA_LOADED, "Reloading")}
    if any((each.type, each.reason) in waiting for each in findings):
        return _CONNECTING_SECONDS
    watched = (each for each in findings if each.type in _WATCHED)
    settled = all(each.status is ConditionStatus.TRUE for each in watched)
    if not settled:
        return _NOT_READY_SECONDS
    return None if is_told else _TARGETS_SECONDS

"""What a stack's status says of its notifications, as their own pass has found it."""

from collections.abc import Collection, Iterable

from firewatch.api.conditions import Finding, unknown
from firewatch.api.resource import Key, Object
from firewatch.api.stack import ComponentStatus, MonitoringStackStatus
from firewatch.api.visualization import VisualizationStatus
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.reconcile.context import DASHBOARDS, NOTIFICATIONS, Context, ToldDashboards
from firewatch.reconcile.findings import (
    ALERTMANAGER_LOADED,
    DASHBOARDS_LOADED,
    NOTIFICATION_CONDITIONS,
    read_status,
)


def told_version(context: Context, stack: Stack, rows: Iterable[ComponentStatus]) -> str:
    """Return the version that Alertmanager has said it has; that of its row until it says one."""
    told = context.told.get(Key(NOTIFICATIONS, stack.namespace, stack.name))
    if told and told.version:
        return told.version
    return next((row.version for row in rows if row.name == names.ALERTMANAGER), "")


def told_of_dashboards(context: Context, stack: Stack, live: Object) -> ToldDashboards | None:
    """Return what the pass over the dashboards has found for this very spec; None if there is no Grafana.

    After a restart of the operator what stands in the status holds until that pass has looked.
    """
    if stack.spec.visualization is None and stack.spec.external.grafana is None:
        return None
    metadata = live["metadata"]
    told = context.dashboards.get(Key(DASHBOARDS, stack.namespace, stack.name))
    if told and (told.uid, told.generation) == (metadata["uid"], metadata["generation"]):
        return told
    before = _before(live, {DASHBOARDS_LOADED})
    known = read_status(MonitoringStackStatus, live).visualization or VisualizationStatus()
    waiting = unknown(DASHBOARDS_LOADED, "NotWritten", "they have not been looked at yet")
    return ToldDashboards(
        metadata["uid"],
        metadata["generation"],
        before[0] if before else waiting,
        known.dashboards,
        tuple(known.left_out),
    )


def told_of_notifications(context: Context, stack: Stack, live: Object) -> list[Finding]:
    """Return the conditions that the pass over the notifications has found for this very spec.

    After a restart of the operator those in the status stand until that pass has looked.
    """
    if stack.spec.alerting is None:
        return []
    metadata = live["metadata"]
    form = (metadata["uid"], metadata["generation"])
    told = context.told.get(Key(NOTIFICATIONS, stack.namespace, stack.name))
    if told and (told.uid, told.generation) == form:
        return [*told.findings]
    waiting = unknown(ALERTMANAGER_LOADED, "NotWritten", "the settings have not been written yet")
    return _before(live, NOTIFICATION_CONDITIONS) or [waiting]


def _before(live: Object, types: Collection[str]) -> list[Finding]:
    """Return the conditions of these types that the status has for this very spec."""
    return [
        Finding(each.type, each.status, each.reason, each.message)
        for each in read_status(MonitoringStackStatus, live).conditions
        if each.type in types and each.observed_generation == live["metadata"]["generation"]
    ]

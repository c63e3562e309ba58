"""What a stack's status says of its notifications, as their own pass has found it."""

from collections.abc import Iterable

from firewatch.api.conditions import Finding, unknown
from firewatch.api.resource import Key, Object
from firewatch.api.stack import ComponentStatus, MonitoringStackStatus
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.reconcile.context import NOTIFICATIONS, Context
from firewatch.reconcile.findings import ALERTMANAGER_LOADED, NOTIFICATION_CONDITIONS, read_status


def told_version(context: Context, stack: Stack, rows: Iterable[ComponentStatus]) -> str:
    """Return the version that Alertmanager has said it has; that of its row until it says one."""
    told = context.told.get(Key(NOTIFICATIONS, stack.namespace, stack.name))
    if told and told.version:
        return told.version
    return next((row.version for row in rows if row.name == names.ALERTMANAGER), "")


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
    before = [
        Finding(each.type, each.status, each.reason, each.message)
        for each in read_status(MonitoringStackStatus, live).conditions
        if each.type in NOTIFICATION_CONDITIONS
        and each.observed_generation == metadata["generation"]
    ]
    waiting = unknown(ALERTMANAGER_LOADED, "NotWritten", "the settings have not been written yet")
    return before or [waiting]

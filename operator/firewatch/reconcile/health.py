"""Health checks as the stack's Prometheus has seen them: whether each succeeds, and how often it did."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from firewatch.api.resource import ConditionStatus, Key
from firewatch.api.stack import MonitoringStackStatus
from firewatch.api.synthetic import Availability, HealthCheck, HealthCheckStatus
from firewatch.build import names
from firewatch.cluster.prometheus import Prometheus, PrometheusError
from firewatch.reconcile.context import Context
from firewatch.reconcile.servers import Servers

_EVERY = timedelta(minutes=10)
_WINDOWS = {"day": "24h", "week": "7d", "month": "30d"}
_SERIES = f'job="{names.HEALTH_JOB}"'
_STATUS_CODE = "probe_http_status_code"
_BODY = ("probe_failed_due_to_regex", "probe_failed_due_to_cel")


async def gather_health(
    context: Context,
    key: Key,
    servers: Servers,
    checks: Sequence[HealthCheck],
    before: MonitoringStackStatus,
) -> list[HealthCheckStatus]:
    """Return the rows of a stack's health checks; as they were, if no server can be asked.

    How available what they ask has been is looked at every ten minutes: a status that followed each
    check would never be quiet.
    """
    known = {row.name: row for row in before.health_checks}
    as_before = [known.get(each.name, _unknown(each)) for each in checks]
    if not checks or not servers.ready:
        return as_before
    now = context.clock()
    # After a restart of the operator what is written counts as just looked at.
    last = context.health.setdefault(key, now) if known else context.health.get(key)
    try:
        states = await _states(servers.first.api)
        rows = [_with_state(row, states) for row in as_before]
        if last is None or now - last >= _EVERY or any(map(_is_wanting, rows)):
            shares = await _shares(servers.first.api)
            rows = [_with_shares(row, shares) for row in rows]
            context.health[key] = now
    except PrometheusError:
        return as_before
    return rows


def _is_wanting(row: HealthCheckStatus) -> bool:
    """Tell whether a check has been asked, and nobody has looked how often it succeeded."""
    return row.healthy is not ConditionStatus.UNKNOWN and not row.availability.day


def _unknown(check: HealthCheck) -> HealthCheckStatus:
    message = "it has not been asked yet"
    return HealthCheckStatus(name=check.name, healthy=ConditionStatus.UNKNOWN, message=message)


States = Mapping[str, Mapping[str, float]]
"""What a check came to last, by metric and by name of the check."""


async def _states(api: Prometheus) -> States:
    metrics = ("probe_success", _STATUS_CODE, *_BODY)
    return {
        metric: await api.by_label(f"max by (probe) ({metric}{{{_SERIES}}})", "probe")
        for metric in metrics
    }


async def _shares(api: Prometheus) -> Mapping[str, Mapping[str, float]]:
    return {
        field: await api.by_label(
            f"avg by (probe) (avg_over_time(probe_success{{{_SERIES}}}[{window}]))", "probe"
        )
        for field, window in _WINDOWS.items()
    }


def _with_state(row: HealthCheckStatus, states: States) -> HealthCheckStatus:
    """Return a row with whether the check succeeds, and if not, why."""
    success = states["probe_success"].get(row.name)
    if success is None:
        unknown = {"healthy": ConditionStatus.UNKNOWN, "message": "it has not been asked yet"}
        return row.model_copy(update=unknown)
    if success:
        return row.model_copy(update={"healthy": ConditionStatus.TRUE, "message": ""})
    why = {"healthy": ConditionStatus.FALSE, "message": explain(row.name, states)}
    return row.model_copy(update=why)


def explain(name: str, states: States) -> str:
    """Return why a check fails (pure)."""
    if any(states[metric].get(name) for metric in _BODY):
        return "the body of the answer is not what http expects"
    code = int(states[_STATUS_CODE].get(name, 0))
    if not code:
        return (
            "nothing answers in time, or its certificate is refused; the log of the blackbox exporter"
            " says more"
        )
    return f"it answers with status {code}, or not as http expects"


def _with_shares(
    row: HealthCheckStatus, shares: Mapping[str, Mapping[str, float]]
) -> HealthCheckStatus:
    found = {
        field: f"{100 * by_name[row.name]:.2f}"
        for field, by_name in shares.items()
        if row.name in by_name
    }
    return row.model_copy(update={"availability": Availability.model_validate(found)})

"""Health checks and journeys as Prometheus has seen them: whether each succeeds, and how often it did."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from firewatch.api.resource import ConditionStatus, Key
from firewatch.api.synthetic import Availability, CheckStatus
from firewatch.build import names
from firewatch.build.journey_rules import FAILURE, SUCCESS
from firewatch.cluster.prometheus import Prometheus, PrometheusError
from firewatch.reconcile.context import Context
from firewatch.reconcile.servers import Servers

_EVERY = timedelta(minutes=10)
_WINDOWS = {"day": "24h", "week": "7d", "month": "30d"}
_HEALTH = f'job="{names.HEALTH_JOB}"'
_JOURNEYS = f'job="{names.JOURNEYS_JOB}"'
_STATUS_CODE = "probe_http_status_code"
_BODY = ("probe_failed_due_to_regex", "probe_failed_due_to_cel")
_REASONS = {
    "connection": "there is no connection, or its certificate is refused",
    "timeout": "the answer does not come within timeLimit",
    "status": "it answers with another status code than expected",
    "header": "a header of the answer is not as expected",
    "body": "the body of the answer is not as expected",
    "json": "the JSON of the answer is not as expected",
    "extract": "what later steps need is not in the answer",
    "variable": "a variable has no value; SecretsPresent names the key that is missing",
}


@dataclass(frozen=True)
class CheckKind:
    """A kind of check, and how its series are read."""

    series: str
    """Series that are 1 while a check succeeds and 0 while it fails."""
    label: str
    """Label of the series that is the name of the check."""
    explain: Callable[[Prometheus], Awaitable[Callable[[str], str]]]
    """Asks why checks fail; what it returns says it of each."""


async def gather_checks(
    context: Context,
    key: Key,
    servers: Servers,
    kind: CheckKind,
    *,
    checks: Sequence[str],
    before: Sequence[CheckStatus],
) -> list[CheckStatus]:
    """Return the rows of a stack's checks, by name; as they were, if no server can be asked.

    How often they have succeeded is looked at every ten minutes: a status that followed each check
    would never be quiet.
    """
    known = {row.name: row for row in before}
    as_before = [known.get(name, _unknown(name)) for name in checks]
    if not checks or not servers.ready:
        return as_before
    now, looked = context.clock(), context.checked.setdefault(key, {})
    # After a restart of the operator what is written counts as just looked at.
    last = looked.setdefault(kind.label, now) if known else looked.get(kind.label)
    api = servers.first.api
    try:
        states = await api.by_label(f"max by ({kind.label}) ({kind.series})", kind.label)
        explain = await kind.explain(api)
        rows = [_with_state(row, states.get(row.name), explain) for row in as_before]
        if last is None or now - last >= _EVERY or any(map(_is_wanting, rows)):
            shares = await _shares(api, kind)
            rows = [_with_shares(row, shares) for row in rows]
            looked[kind.label] = now
    except PrometheusError:
        return as_before
    return rows


def _is_wanting(row: CheckStatus) -> bool:
    """Tell whether a check has been made, and nobody has looked how often it succeeded."""
    return row.healthy is not ConditionStatus.UNKNOWN and not row.availability.day


def _unknown(name: str) -> CheckStatus:
    message = "it has not been asked yet"
    return CheckStatus(name=name, healthy=ConditionStatus.UNKNOWN, message=message)


def _with_state(
    row: CheckStatus, success: float | None, explain: Callable[[str], str]
) -> CheckStatus:
    """Return a row with whether the check succeeds, and if not, why."""
    if success is None:
        return _unknown(row.name).model_copy(update={"availability": row.availability})
    if success:
        return row.model_copy(update={"healthy": ConditionStatus.TRUE, "message": ""})
    why = {"healthy": ConditionStatus.FALSE, "message": explain(row.name)}
    return row.model_copy(update=why)


async def _shares(api: Prometheus, kind: CheckKind) -> Mapping[str, Mapping[str, float]]:
    return {
        field: await api.by_label(
            f"avg by ({kind.label}) (avg_over_time({kind.series}[{window}]))", kind.label
        )
        for field, window in _WINDOWS.items()
    }


def _with_shares(row: CheckStatus, shares: Mapping[str, Mapping[str, float]]) -> CheckStatus:
    found = {
        field: f"{100 * by_name[row.name]:.2f}"
        for field, by_name in shares.items()
        if row.name in by_name
    }
    return row.model_copy(update={"availability": Availability.model_validate(found)})


States = Mapping[str, Mapping[str, float]]
"""What health checks came to last, by metric and by name of the check."""


async def _ask_exporter(api: Prometheus) -> Callable[[str], str]:
    states = {
        metric: await api.by_label(f"max by (probe) ({metric}{{{_HEALTH}}})", "probe")
        for metric in (_STATUS_CODE, *_BODY)
    }
    return lambda name: explain_check(name, states)


def explain_check(name: str, states: States) -> str:
    """Return why a health check fails (pure)."""
    if any(states[metric].get(name) for metric in _BODY):
        return "the body of the answer is not what http expects"
    code = int(states[_STATUS_CODE].get(name, 0))
    if not code:
        return (
            "nothing answers in time, or its certificate is refused; the log of the blackbox exporter"
            " says more"
        )
    return f"it answers with status {code}, or not as http expects"


async def _ask_runner(api: Prometheus) -> Callable[[str], str]:
    failures = {
        labels.get("journey", ""): labels
        for labels, _ in await api.samples(f"{FAILURE}{{{_JOURNEYS}}}")
    }
    return lambda name: explain_journey(failures.get(name, {}))


def explain_journey(failure: Mapping[str, str]) -> str:
    """Return why a journey fails, given the labels of its failure (pure)."""
    why = _REASONS.get(failure.get("reason", ""), "it fails")
    return f"step {failure.get('step', '?')}: {why}; the log of the runner says more"


HEALTH = CheckKind(f"probe_success{{{_HEALTH}}}", "probe", _ask_exporter)
JOURNEYS = CheckKind(f"{SUCCESS}{{{_JOURNEYS}}}", "journey", _ask_runner)

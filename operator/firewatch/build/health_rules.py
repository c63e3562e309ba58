"""The rules that a health check brings: three alerts, and an objective with its error budget."""

from collections.abc import Iterable, Iterator

from firewatch.api.resource import Object, parse_duration
from firewatch.api.slos import Gauge, Slo
from firewatch.api.synthetic import HealthCheck
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number, selector
from firewatch.build.rule_text import render_rule_file
from firewatch.build.rules import rule_entry
from firewatch.build.slos import PERIOD_INTERVAL, build_period_rules, build_slo_rules

_DAY = 86_400
_PACK = "health"
"""Label ``pack`` of the alerts, by which they are routed."""
_GROUP = "firewatch:health"


def render_health_rules(stack: Stack) -> str | None:
    """Return the rule file of a stack's health checks; None if there are none."""
    # No policy has a slash in its name.
    owner = f"{stack.namespace}/{stack.name}/health"
    url = stack.spec.packs.runbook_url if stack.spec.packs else None
    checks = stack.spec.synthetic.health_checks
    groups = [group for check in checks for group in _groups(check, owner, url)]
    return render_rule_file(groups) if groups else None


def _groups(check: HealthCheck, owner: str, runbook_url: str | None) -> Iterator[Object]:
    slo = Slo(
        name=check.name,
        objective=check.objective,
        gauge=Gauge(metric=_series("probe_success", check)),
        by=["probe"],
        labels=check.labels,
    )
    period = map(rule_entry, build_period_rules(slo, owner))
    alerts = (alert.rule(_PACK, runbook_url) for alert in health_alerts(check))
    yield _group("alerts", check, alerts)
    yield _group("slo", check, map(rule_entry, build_slo_rules(slo, owner)))
    yield _group("slo-period", check, period, interval=PERIOD_INTERVAL)


def _group(what: str, check: HealthCheck, rules: Iterable[Object], **header: str) -> Object:
    return {"name": f"{_GROUP}:{what}:{check.name}", **header, "rules": [*rules]}


def health_alerts(check: HealthCheck) -> Iterator[Alert]:
    """Yield the alerts of a health check."""
    success, duration = _series("probe_success", check), _series("probe_duration_seconds", check)
    ends = _series("probe_ssl_earliest_cert_expiry", check)
    yield Alert(
        "HealthCheckFailing",
        f"{success} == 0",
        check.down_for,
        CRITICAL,
        "Health check {{ $labels.probe }} fails.",
        f"{{{{ $labels.instance }}}} has not answered as it should for {check.down_for};"
        " status.healthChecks of the MonitoringStack says why.",
    )
    yield Alert(
        "HealthCheckSlow",
        f"avg_over_time({duration}[5m]) > {number(parse_duration(check.slow_above))}"
        f" and {success} == 1",
        "2m",
        WARNING,
        "Health check {{ $labels.probe }} is slow.",
        "{{ $labels.instance }} takes {{ $value | humanizeDuration }} on average;"
        f" {check.slow_above} is the limit.",
    )
    yield Alert(
        "HealthCheckCertificateEnds",
        f"({ends} - time()) / {_DAY} < {check.certificate_days}",
        "5m",
        WARNING,
        "The certificate of health check {{ $labels.probe }} ends soon.",
        'That of {{ $labels.instance }} is valid for {{ $value | printf "%.1f" }} more days.',
    )


def _series(metric: str, check: HealthCheck) -> str:
    return selector(metric, [f'job="{names.HEALTH_JOB}"', f'probe="{check.name}"'])

"""The rules that a health check brings: three alerts, and an objective with its error budget."""

from collections.abc import Iterator

from firewatch.api.resource import parse_duration
from firewatch.api.slos import Gauge, Slo
from firewatch.api.synthetic import HealthCheck
from firewatch.build import names
from firewatch.build.check_rules import Check, render_check_rules
from firewatch.build.objects import Stack
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number, selector

_DAY = 86_400


def render_health_rules(stack: Stack) -> str | None:
    """Return the rule file of a stack's health checks; None if there are none."""
    return render_check_rules(stack, "health", map(_check, stack.spec.synthetic.health_checks))


def _check(check: HealthCheck) -> Check:
    slo = Slo(
        name=check.name,
        objective=check.objective,
        gauge=Gauge(metric=_series("probe_success", check)),
        by=["probe"],
        labels=check.labels,
    )
    return Check(slo, tuple(health_alerts(check)))


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

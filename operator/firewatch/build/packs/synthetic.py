"""Alerts on what is probed from outside."""

from collections.abc import Iterator

from firewatch.api.packs import SyntheticPack
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number

_JOB = 'job="blackbox"'
_DAY = 86_400


def synthetic_alerts(wanted: SyntheticPack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``synthetic``."""
    yield Alert(
        "ProbeFailing",
        f"probe_success{{{_JOB}}} == 0",
        wanted.down_for,
        CRITICAL,
        "Probe {{ $labels.probe }} of {{ $labels.instance }} fails.",
        f"It has failed for {wanted.down_for}.",
    )
    yield Alert(
        "ProbeSlow",
        f"avg_over_time(probe_duration_seconds{{{_JOB}}}[5m]) > {number(wanted.slow_seconds)}"
        f" and probe_success{{{_JOB}}} == 1",
        "5m",
        WARNING,
        "Probe {{ $labels.probe }} of {{ $labels.instance }} is slow.",
        'It takes {{ $value | printf "%.1f" }} seconds.',
    )
    yield Alert(
        "CertificateEnds",
        f"(probe_ssl_earliest_cert_expiry{{{_JOB}}} - time()) / {_DAY} < {wanted.certificate_days}",
        "5m",
        WARNING,
        "A certificate of {{ $labels.instance }} ends soon.",
        'It is valid for {{ $value | printf "%.1f" }} more days.',
    )

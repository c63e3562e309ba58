"""Alerts on monitoring itself: Prometheus, Alertmanager, and whether anything is scraped at all."""

from collections.abc import Iterator

from firewatch.api.packs import AlertmanagerPack, PrometheusPack, WatchdogPack
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number

_PROMETHEUS = 'job="prometheus"'
_ALERTMANAGER = 'job="alertmanager"'


def prometheus_alerts(_wanted: PrometheusPack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``prometheus``."""
    yield Alert(
        "PrometheusStorageFailing",
        f"increase(prometheus_tsdb_compactions_failed_total{{{_PROMETHEUS}}}[3h])"
        f" + increase(prometheus_tsdb_reloads_failures_total{{{_PROMETHEUS}}}[3h])"
        f" + increase(prometheus_tsdb_wal_truncations_failed_total{{{_PROMETHEUS}}}[3h]) > 0",
        "5m",
        WARNING,
        "{{ $labels.instance }} cannot tidy its storage.",
        "Its volume may be full or broken; samples may be lost.",
    )
    yield Alert(
        "PrometheusSamplesThrownAway",
        f"increase(prometheus_target_scrapes_sample_duplicate_timestamp_total{{{_PROMETHEUS}}}[10m])"
        f" + increase(prometheus_target_scrapes_sample_out_of_order_total{{{_PROMETHEUS}}}[10m])"
        f" + increase(prometheus_target_scrapes_sample_out_of_bounds_total{{{_PROMETHEUS}}}[10m]) > 0",
        "15m",
        WARNING,
        "{{ $labels.instance }} throws samples away.",
        'In ten minutes {{ $value | printf "%.0f" }} came twice, late or too late: two targets have the'
        " same labels, or a clock is off.",
    )
    yield Alert(
        "PrometheusRestarts",
        f"changes(process_start_time_seconds{{{_PROMETHEUS}}}[30m]) > 2",
        "0s",
        WARNING,
        "{{ $labels.instance }} starts again and again.",
        "It has started {{ $value }} times in half an hour; meanwhile nothing is seen.",
    )


def alertmanager_alerts(_wanted: AlertmanagerPack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``alertmanager``."""
    yield Alert(
        "AlertmanagerReloadFailed",
        f"max_over_time(alertmanager_config_last_reload_successful{{{_ALERTMANAGER}}}[5m]) == 0",
        "5m",
        CRITICAL,
        "{{ $labels.instance }} refuses its new settings.",
        "It runs the last ones that it took.",
    )
    yield Alert(
        "AlertmanagerNotificationsFailing",
        f"100 * sum by (integration)"
        f" (rate(alertmanager_notifications_failed_total{{{_ALERTMANAGER}}}[15m]))"
        f" / sum by (integration) (rate(alertmanager_notifications_total{{{_ALERTMANAGER}}}[15m])) > 1",
        "5m",
        CRITICAL,
        "Messages by {{ $labels.integration }} do not arrive.",
        '{{ $value | printf "%.0f" }} percent fail.',
    )
    yield Alert(
        "AlertmanagerMembersMissing",
        f"max_over_time(alertmanager_cluster_members{{{_ALERTMANAGER}}}[5m])"
        f" < on () group_left () count(up{{{_ALERTMANAGER}}})",
        "15m",
        WARNING,
        "{{ $labels.instance }} does not see all of its peers.",
        "It sees {{ $value }}. People may be told twice, and silences are not shared.",
    )


def watchdog_alerts(wanted: WatchdogPack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``watchdog``."""
    yield from _scrape_alerts(wanted)
    yield from _rule_alerts()
    yield from _delivery_alerts(wanted)


def _scrape_alerts(wanted: WatchdogPack) -> Iterator[Alert]:
    # A probe that fails is a target that answers; the job of the databases has pg_up.
    yield Alert(
        "TargetDown",
        "up == 0",
        wanted.down_for,
        WARNING,
        "{{ $labels.instance }} of job {{ $labels.job }} cannot be scraped.",
        "Alerts on it cannot fire.",
    )
    yield Alert(
        "JobSilent",
        f"group by (job) (present_over_time(up[{wanted.silent_within}])) unless group by (job) (up)",
        "10m",
        WARNING,
        "Job {{ $labels.job }} has no targets any more.",
        f"Within the last {wanted.silent_within} it had some.",
    )
    yield Alert(
        "ScrapeSlow",
        f"avg_over_time(scrape_duration_seconds[5m]) > {number(wanted.scrape_seconds)}",
        "10m",
        WARNING,
        "{{ $labels.instance }} of job {{ $labels.job }} answers slowly.",
        'A scrape takes {{ $value | printf "%.1f" }} seconds.',
    )
    yield Alert(
        "ScrapesOverLimit",
        f"increase(prometheus_target_scrapes_exceeded_sample_limit_total{{{_PROMETHEUS}}}[10m])"
        f" + increase(prometheus_target_scrape_pool_exceeded_label_limits_total{{{_PROMETHEUS}}}[10m])"
        f" + increase(prometheus_target_scrape_pool_exceeded_target_limit_total{{{_PROMETHEUS}}}[10m])"
        " > 0",
        "5m",
        WARNING,
        "{{ $labels.instance }} refuses what targets bring.",
        "Some pass a limit of samples, labels or targets; status.jobs of the stack names them.",
    )


def _rule_alerts() -> Iterator[Alert]:
    yield Alert(
        "RuleFailing",
        f"increase(prometheus_rule_evaluation_failures_total{{{_PROMETHEUS}}}[5m]) > 0",
        "5m",
        CRITICAL,
        "Rules of {{ $labels.rule_group }} fail on {{ $labels.instance }}.",
        "Their alerts cannot fire.",
    )
    yield Alert(
        "RulesSlow",
        f"prometheus_rule_group_last_duration_seconds{{{_PROMETHEUS}}}"
        f" > prometheus_rule_group_interval_seconds{{{_PROMETHEUS}}}",
        "10m",
        WARNING,
        "Rules of {{ $labels.rule_group }} take longer than their interval.",
        'They take {{ $value | printf "%.1f" }} seconds; evaluations are left out.',
    )
    yield Alert(
        "PrometheusReloadFailed",
        f"max_over_time(prometheus_config_last_reload_successful{{{_PROMETHEUS}}}[5m]) == 0",
        "5m",
        CRITICAL,
        "{{ $labels.instance }} refuses its new configuration or rules.",
        "It runs the last ones that it took.",
    )


def _delivery_alerts(wanted: WatchdogPack) -> Iterator[Alert]:
    yield Alert(
        "NotificationsFailing",
        f"100 * rate(prometheus_notifications_errors_total{{{_PROMETHEUS}}}[5m])"
        f" / rate(prometheus_notifications_sent_total{{{_PROMETHEUS}}}[5m]) > 1",
        "5m",
        CRITICAL,
        "{{ $labels.instance }} cannot tell {{ $labels.alertmanager }} of its alerts.",
        '{{ $value | printf "%.0f" }} percent of what it sends there fails.',
    )
    yield Alert(
        "RemoteWriteBehind",
        f"prometheus_remote_storage_queue_highest_timestamp_seconds{{{_PROMETHEUS}}}"
        f" - prometheus_remote_storage_queue_highest_sent_timestamp_seconds{{{_PROMETHEUS}}}"
        f" > {number(wanted.remote_write_lag_seconds)}",
        "10m",
        WARNING,
        "Remote write {{ $labels.remote_name }} of {{ $labels.instance }} is behind.",
        'What arrives there is {{ $value | printf "%.0f" }} seconds old.',
    )
    yield Alert(
        "RemoteWriteFailing",
        f"100 * rate(prometheus_remote_storage_samples_failed_total{{{_PROMETHEUS}}}[5m])"
        f" / (rate(prometheus_remote_storage_samples_total{{{_PROMETHEUS}}}[5m]) > 0) > 1",
        "10m",
        CRITICAL,
        "Remote write {{ $labels.remote_name }} of {{ $labels.instance }} fails.",
        '{{ $value | printf "%.0f" }} percent of the samples are refused for good.',
    )

"""Alerts on PostgreSQL, by the names of postgres_exporter."""

from collections.abc import Iterator

from firewatch.api.packs import DatabasePack
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number

_JOB = 'job="postgres"'


def database_alerts(wanted: DatabasePack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``database``."""
    yield Alert(
        "DatabaseDown",
        f"pg_up{{{_JOB}}} == 0",
        "2m",
        CRITICAL,
        "The exporter cannot log in to {{ $labels.instance }}.",
        "The server is down, cannot be reached, or does not take the exporter's password.",
    )
    # Some numbers are of the whole server, whose limits its settings tell.
    yield Alert(
        "DatabaseConnectionsHigh",
        f"100 * sum by (instance) (pg_stat_database_numbackends{{{_JOB}}})"
        f" / max by (instance) (pg_settings_max_connections{{{_JOB}}})"
        f" > {number(wanted.connections_percent)}",
        "5m",
        WARNING,
        "{{ $labels.instance }} has few connections left.",
        '{{ $value | printf "%.0f" }} percent of those that its server allows are in use.',
    )
    yield from _transaction_alerts(wanted)
    yield from _delay_alerts(wanted)


def _transaction_alerts(wanted: DatabasePack) -> Iterator[Alert]:
    rolled_back = f"rate(pg_stat_database_xact_rollback{{{_JOB}}}[5m])"
    ended = f"(rate(pg_stat_database_xact_commit{{{_JOB}}}[5m]) + {rolled_back})"
    yield Alert(
        "DatabaseRollbacksHigh",
        f"100 * {rolled_back} / ({ended} > 0.1) > {number(wanted.rollback_percent)}",
        "10m",
        WARNING,
        "Many transactions in {{ $labels.datname }} on {{ $labels.instance }} are rolled back.",
        '{{ $value | printf "%.0f" }} percent are.',
    )
    yield Alert(
        "DatabaseDeadlocks",
        f"increase(pg_stat_database_deadlocks{{{_JOB}}}[10m]) > 0",
        "0s",
        WARNING,
        "Transactions in {{ $labels.datname }} on {{ $labels.instance }} have blocked each other.",
        '{{ $value | printf "%.0f" }} were ended for it in the last ten minutes.',
    )


def _delay_alerts(wanted: DatabasePack) -> Iterator[Alert]:
    yield Alert(
        "DatabaseStatementSlow",
        f"increase(pg_stat_statements_seconds_total{{{_JOB}}}[10m])"
        f" / (increase(pg_stat_statements_calls_total{{{_JOB}}}[10m]) >= 2)"
        f" > {number(wanted.statement_seconds)}",
        "5m",
        WARNING,
        "A statement in {{ $labels.datname }} on {{ $labels.instance }} is slow.",
        'It takes {{ $value | printf "%.1f" }} seconds on average; its text is in pg_stat_statements,'
        " queryid {{ $labels.queryid }}.",
    )
    yield Alert(
        "DatabaseReplicaBehind",
        f"pg_replication_lag_seconds{{{_JOB}}} > {number(wanted.replication_lag_seconds)}"
        f" and on (instance) pg_replication_is_replica{{{_JOB}}} == 1",
        "5m",
        WARNING,
        "Replica {{ $labels.instance }} is behind.",
        'It is {{ $value | printf "%.0f" }} seconds old.',
    )

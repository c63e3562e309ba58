"""PostgreSQL, by postgres_exporter and the runbook's names of statements."""

from dashboards.parts import Board, Lines, Number, Query, Rows, Variable
from dashboards.promql import chosen, rate

_NAMED = 'datname=~"$database"'
_WHERE = "{{instance}} {{datname}}"


def _database(metric: str) -> str:
    return rate(f"pg_stat_database_{metric}", _NAMED)


POSTGRESQL = Board(
    "firewatch-postgresql",
    "PostgreSQL",
    "How much a database is asked, what it waits for, and which statements take its time.",
    "whoever is on call for databases, and who writes the statements.",
    "pg_up",
    [
        (
            "At a glance",
            [
                Number(
                    "Exporter logged in",
                    "Whether the exporter can log in to the server.",
                    "none",
                    [Query(chosen("pg_up"), "{{instance}}")],
                    states=(("0", "no", "red"), ("1", "yes", "green")),
                ),
                Number(
                    "Connections in use",
                    "Connections, of those that the server allows.",
                    "percent",
                    [
                        Query(
                            "100 * sum by (instance)"
                            f" ({chosen('pg_stat_database_numbackends')})"
                            " / max by (instance)"
                            f" ({chosen('pg_settings_max_connections')})",
                            "{{instance}}",
                        )
                    ],
                    limits=(70, 80),
                ),
                Number(
                    "Read from memory",
                    "Share of blocks that were found in PostgreSQL's own memory.",
                    "percentunit",
                    [
                        Query(
                            f"sum by (instance) ({chosen('pg_stat_database_blks_hit')}) / ("
                            f"sum by (instance) ({chosen('pg_stat_database_blks_hit')})"
                            f" + sum by (instance) ({chosen('pg_stat_database_blks_read')}))",
                            "{{instance}}",
                        )
                    ],
                    limits=(0.99, 0.95),
                ),
            ],
        ),
        (
            "Connections and transactions",
            [
                Lines(
                    "Connections",
                    "Connections by database.",
                    "short",
                    [Query(chosen("pg_stat_database_numbackends", _NAMED), _WHERE)],
                ),
                Lines(
                    "Transactions",
                    "Transactions that were committed and rolled back.",
                    "ops",
                    [
                        Query(_database("xact_commit"), f"{_WHERE} committed"),
                        Query(_database("xact_rollback"), f"{_WHERE} rolled back"),
                    ],
                ),
                Lines(
                    "Deadlocks",
                    "Transactions that have blocked each other, in an hour.",
                    "short",
                    [
                        Query(
                            f"increase({chosen('pg_stat_database_deadlocks', _NAMED)}[1h])",
                            _WHERE,
                        )
                    ],
                ),
            ],
        ),
        (
            "Data",
            [
                Lines(
                    "Size",
                    "Size of a database on disk.",
                    "bytes",
                    [Query(chosen("pg_database_size_bytes", _NAMED), _WHERE)],
                ),
                Lines(
                    "Rows changed",
                    "Rows that were inserted, updated and deleted.",
                    "ops",
                    [
                        Query(
                            f"sum by (instance) ({rate(f'pg_stat_user_tables_n_tup_{what}')})",
                            f"{{{{instance}}}} {what}",
                        )
                        for what in ("ins", "upd", "del")
                    ],
                ),
                Lines(
                    "Locks",
                    "Locks that are held, by mode.",
                    "short",
                    [
                        Query(
                            f"sum by (instance, mode) ({chosen('pg_locks_count', _NAMED)})",
                            "{{instance}} {{mode}}",
                        )
                    ],
                ),
            ],
        ),
        (
            "Statements",
            [
                Rows(
                    "Statements that take most time",
                    "Mean duration in milliseconds; pg_stat_statements has the text of a queryid.",
                    "ms",
                    [
                        Query(
                            "topk(10, sum by (instance, datname, queryid)"
                            f" ({chosen('pg_stat_statements_mean_time')}))"
                        )
                    ],
                ),
                Lines(
                    "Time of statements",
                    "Time that statements take, in seconds of each second.",
                    "short",
                    [
                        Query(
                            "sum by (instance, datname)"
                            f" ({rate('pg_stat_statements_seconds_total', _NAMED)})",
                            _WHERE,
                        )
                    ],
                ),
                Lines(
                    "Calls of statements",
                    "Statements that were called.",
                    "ops",
                    [
                        Query(
                            "sum by (instance, datname)"
                            f" ({rate('pg_stat_statements_calls_total', _NAMED)})",
                            _WHERE,
                        )
                    ],
                ),
            ],
        ),
    ],
    [
        Variable(
            "database",
            "Database",
            'label_values(pg_stat_database_numbackends{job=~"$job", instance=~"$instance"},'
            " datname)",
        )
    ],
)

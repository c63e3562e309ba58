"""The dashboard to begin with: one panel for each subject, which leads to its details."""

from dashboards.parts import Board, Lines, Number, Query
from dashboards.promql import (
    COORDINATION_SUCCESS,
    CPU_IN_USE,
    MEMORY_IN_USE,
    chosen,
    error_ratio,
    quantile,
    total,
)

_UP_STATES = (("0", "down", "red"), ("1", "up", "green"))
_CONNECTIONS = chosen("pg_stat_database_numbackends", 'datname!=""')

OVERVIEW = Board(
    "firewatch-overview",
    "System Overview",
    "Whether anything is wrong, and where to look next.",
    "whoever is on call, first.",
    "up",
    [
        (
            "Health",
            [
                Number(
                    "System Health",
                    "Whether every target of a job answers Prometheus.",
                    "none",
                    [Query(f"min by (job) ({chosen('up')})", "{{job}}")],
                    link="firewatch-monitoring",
                    states=_UP_STATES,
                ),
                Number(
                    "Errors of the API",
                    "Share of answers with a status from 500 on: all errors by all requests, not each"
                    " series by itself.",
                    "percentunit",
                    [Query(error_ratio())],
                    link="firewatch-api",
                    limits=(0.01, 0.05),
                ),
                Number(
                    "Successful coordination",
                    "Share of the agents' attempts to coordinate that succeed.",
                    "percentunit",
                    [Query(COORDINATION_SUCCESS)],
                    link="firewatch-coordination",
                    limits=(0.99, 0.95),
                ),
                Number(
                    "Probes that succeed",
                    "Share of the checks from outside that succeed at present.",
                    "percentunit",
                    [Query(f"avg({chosen('probe_success')})")],
                    link="firewatch-probes",
                    limits=(1, 0.99),
                ),
            ],
        ),
        (
            "Machines",
            [
                Lines(
                    "CPU Usage",
                    "Part of the time in which the CPUs of a machine are not idle.",
                    "percent",
                    [
                        Query(
                            CPU_IN_USE,
                            "{{instance}}",
                        )
                    ],
                    link="firewatch-node",
                    limits=(80, 90),
                    most=100,
                ),
                Lines(
                    "Memory Usage",
                    "Memory of a machine that no program could be given.",
                    "percent",
                    [
                        Query(
                            MEMORY_IN_USE,
                            "{{instance}}",
                        )
                    ],
                    link="firewatch-node",
                    limits=(85, 90),
                    most=100,
                ),
            ],
        ),
        (
            "Application",
            [
                Lines(
                    "API Response Time",
                    "95 of 100 requests are answered within this time.",
                    "s",
                    [Query(quantile(0.95, "freeagentics_request_duration_seconds"), "p95")],
                    link="firewatch-api",
                    limits=(0.5, 1),
                ),
                Lines(
                    "Requests",
                    "Requests to the API.",
                    "reqps",
                    [Query(total("freeagentics_requests_total"), "requests")],
                    link="firewatch-api",
                ),
                Lines(
                    "Active users",
                    "Users who have done something lately.",
                    "short",
                    [Query(f"sum({chosen('freeagentics_active_users_total')})", "users")],
                    link="firewatch-business",
                ),
            ],
        ),
        (
            "What it runs on",
            [
                Lines(
                    "Database connections",
                    "Connections to PostgreSQL, by server and database.",
                    "short",
                    [
                        Query(
                            f"sum by (instance, datname) ({_CONNECTIONS})",
                            "{{instance}} {{datname}}",
                        )
                    ],
                    link="firewatch-postgresql",
                ),
                Lines(
                    "Restarts of containers",
                    "Containers that were started again, in an hour.",
                    "short",
                    [
                        Query(
                            "sum by (namespace) (increase("
                            f"{chosen('kube_pod_container_status_restarts_total')}[1h]))",
                            "{{namespace}}",
                        )
                    ],
                    link="firewatch-workloads",
                ),
                Lines(
                    "Firing alerts",
                    "Alerts that Alertmanager has at present.",
                    "short",
                    [
                        Query(
                            f"sum by (state) ({chosen('alertmanager_alerts')})",
                            "{{state}}",
                        )
                    ],
                    link="firewatch-alerts",
                ),
            ],
        ),
    ],
)

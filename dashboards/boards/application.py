"""The application, by the runbook's metric families."""

from dashboards.parts import Board, Lines, Number, Query, Variable
from dashboards.promql import (
    COORDINATED,
    COORDINATION_SUCCESS,
    NOT_COORDINATED,
    chosen,
    error_ratio,
    of,
    percentiles,
    quantile,
    rate,
    total,
)

_REQUESTS = "freeagentics_requests_total"
_DURATION = "freeagentics_request_duration_seconds"
_ENDPOINT = 'endpoint=~"$endpoint"'

API = Board(
    "firewatch-api",
    "API Performance",
    "How fast the API answers, how much it is asked, and what fails.",
    "whoever is on call for the API, and its developers.",
    _REQUESTS,
    [
        (
            "Requests and errors",
            [
                Lines(
                    "Requests by endpoint",
                    "Requests to the API.",
                    "reqps",
                    [Query(total(_REQUESTS, _ENDPOINT, by="endpoint"), "{{endpoint}}")],
                    stacked=True,
                ),
                Lines(
                    "Answers by status",
                    "Requests to the API by the status that they were answered with.",
                    "reqps",
                    [Query(total(_REQUESTS, _ENDPOINT, by="status"), "{{status}}")],
                    stacked=True,
                ),
                Lines(
                    "Error ratio",
                    "Share of answers with a status from 500 on. Both sides are added up first: each"
                    " series by itself would always be 1.",
                    "percentunit",
                    [
                        Query(
                            error_ratio(_ENDPOINT),
                            "errors",
                        )
                    ],
                    limits=(0.01, 0.05),
                ),
            ],
        ),
        (
            "Latency",
            [
                Lines(
                    "Response time",
                    "So many of 100 requests are answered within this time.",
                    "s",
                    [Query(*each) for each in percentiles(_DURATION)],
                    limits=(0.5, 1),
                ),
                Lines(
                    "Response time by endpoint",
                    "95 of 100 requests to an endpoint are answered within this time.",
                    "s",
                    [
                        Query(
                            quantile(0.95, _DURATION, _ENDPOINT, by="endpoint"),
                            "{{endpoint}}",
                        )
                    ],
                    limits=(0.5, 1),
                ),
                Lines(
                    "Where the time goes",
                    "95 of 100 take at most this long, as the application itself measures it.",
                    "s",
                    [
                        Query(quantile(0.95, "freeagentics_api_response_time_seconds"), "API"),
                        Query(
                            quantile(0.95, "freeagentics_database_query_time_seconds"),
                            "database",
                        ),
                        Query(
                            quantile(0.95, "freeagentics_agent_coordination_time_seconds"),
                            "coordination",
                        ),
                    ],
                ),
            ],
        ),
        (
            "Load",
            [
                Lines(
                    "Active connections",
                    "Connections that are open to a copy of the API.",
                    "short",
                    [Query(chosen("freeagentics_active_connections"), "{{instance}}")],
                ),
                Lines(
                    "CPU of the process",
                    "CPU time that a copy of the API uses, in cores.",
                    "short",
                    [Query(of(_REQUESTS, rate("process_cpu_seconds_total")), "{{instance}}")],
                ),
                Lines(
                    "Memory of the process",
                    "Memory that a copy of the API holds.",
                    "bytes",
                    [Query(of(_REQUESTS, chosen("process_resident_memory_bytes")), "{{instance}}")],
                ),
            ],
        ),
    ],
    [
        Variable(
            "endpoint",
            "Endpoint",
            f'label_values({_REQUESTS}{{job=~"$job", instance=~"$instance"}}, endpoint)',
        )
    ],
)

COORDINATION = Board(
    "firewatch-coordination",
    "Agent Coordination",
    "Whether agents coordinate, how long it takes, and how many there are.",
    "whoever is on call for the agents, and their developers.",
    "freeagentics_agent_coordination_success_total",
    [
        (
            "Success",
            [
                Number(
                    "Success rate",
                    "Share of attempts to coordinate that succeed.",
                    "percentunit",
                    [Query(COORDINATION_SUCCESS)],
                    limits=(0.99, 0.95),
                ),
                Lines(
                    "Attempts",
                    "Attempts to coordinate, by how they went.",
                    "ops",
                    [Query(COORDINATED, "successful"), Query(NOT_COORDINATED, "failed")],
                    stacked=True,
                ),
            ],
        ),
        (
            "Time and number",
            [
                Lines(
                    "Coordination time",
                    "So many of 100 attempts take at most this long.",
                    "s",
                    [
                        Query(*each)
                        for each in percentiles("freeagentics_agent_coordination_time_seconds")
                    ],
                ),
                Lines(
                    "Active agents",
                    "Agents that are at work.",
                    "short",
                    [Query(f"sum({chosen('freeagentics_active_agents_total')})", "agents")],
                ),
                Lines(
                    "Actions",
                    "What agents do.",
                    "ops",
                    [
                        Query(
                            f"sum({chosen('freeagentics_agent_actions_per_second')})",
                            "actions",
                        )
                    ],
                ),
            ],
        ),
    ],
)

BUSINESS = Board(
    "firewatch-business",
    "Business Metrics",
    "How many people use the platform, and what for.",
    "product owners; on call, how many people a disturbance concerns.",
    "freeagentics_active_users_total",
    [
        (
            "Users",
            [
                Lines(
                    "Active users",
                    "Users who have done something lately.",
                    "short",
                    [Query(f"sum({chosen('freeagentics_active_users_total')})", "users")],
                ),
                Lines(
                    "New users",
                    "Users who have registered, in an hour.",
                    "short",
                    [
                        Query(
                            f"sum(increase({chosen('freeagentics_new_users_total')}[1h]))",
                            "users",
                        )
                    ],
                ),
                Lines(
                    "Sessions",
                    "Sessions that were begun, in an hour.",
                    "short",
                    [
                        Query(
                            f"sum(increase({chosen('freeagentics_user_sessions_total')}[1h]))",
                            "sessions",
                        )
                    ],
                ),
            ],
        ),
        (
            "Engagement",
            [
                Lines(
                    "Actions",
                    "What users do.",
                    "ops",
                    [
                        Query(
                            total("freeagentics_user_actions_total", by="action"),
                            "{{action}}",
                        )
                    ],
                    stacked=True,
                ),
                Lines(
                    "Features",
                    "Which features are used.",
                    "ops",
                    [
                        Query(
                            total("freeagentics_feature_usage_total", by="feature"),
                            "{{feature}}",
                        )
                    ],
                    stacked=True,
                ),
                Lines(
                    "Length of sessions",
                    "So many of 100 sessions last at most this long.",
                    "s",
                    [Query(*each) for each in percentiles("freeagentics_session_duration_seconds")],
                ),
            ],
        ),
        (
            "Throughput",
            [
                Lines(
                    "Throughput",
                    "What the platform does in a second, by the runbook's names.",
                    "ops",
                    [
                        Query(f"sum({chosen(f'freeagentics_{what}_per_second')})", what)
                        for what in ("requests", "transactions", "agent_actions")
                    ],
                ),
            ],
        ),
    ],
)

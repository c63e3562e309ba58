"""Monitoring itself: alerts, the stack's own servers, and the operator."""

from dashboards.parts import Board, Lines, Number, Query, Rows
from dashboards.promql import chosen, of, quantile, rate, total

_SERVERS = 'job=~"prometheus|alertmanager|grafana"'
_INTEGRATION = "{{integration}} {{receiver_name}}"

ALERTS = Board(
    "firewatch-alerts",
    "Alerts",
    "What fires, since when, and whether people were told.",
    "whoever is on call.",
    "",
    [
        (
            "What fires",
            [
                Rows(
                    "Firing",
                    "Alerts that fire at present.",
                    "none",
                    [
                        Query(
                            "sum by (alertname, severity, namespace, instance)"
                            ' (ALERTS{alertstate="firing"})'
                        )
                    ],
                    empty="nothing fires",
                ),
                Lines(
                    "Alerts over time",
                    "Alerts that fire or are about to, by severity.",
                    "short",
                    [
                        Query(
                            "sum by (alertstate, severity) (ALERTS)",
                            "{{alertstate}} {{severity}}",
                        )
                    ],
                    stacked=True,
                ),
            ],
        ),
        (
            "What was told",
            [
                Lines(
                    "Notifications",
                    "Notifications that were tried, by the way on which people are told.",
                    "ops",
                    [
                        Query(
                            "sum by (integration, receiver_name)"
                            " (rate(alertmanager_notifications_total[$__rate_interval]))",
                            _INTEGRATION,
                        )
                    ],
                ),
                Lines(
                    "Failed notifications",
                    "Notifications that could not be delivered.",
                    "ops",
                    [
                        Query(
                            "sum by (integration, receiver_name)"
                            " (rate(alertmanager_notifications_failed_total[$__rate_interval]))",
                            _INTEGRATION,
                        )
                    ],
                ),
                Lines(
                    "Time of notifications",
                    "95 of 100 are delivered within this time.",
                    "s",
                    [
                        Query(
                            "histogram_quantile(0.95, sum by (le, integration)"
                            " (rate(alertmanager_notification_latency_seconds_bucket"
                            "[$__rate_interval])))",
                            "{{integration}}",
                        )
                    ],
                    empty="nobody has been told anything lately",
                ),
            ],
        ),
        (
            "Rules",
            [
                Lines(
                    "Rules that cannot be evaluated",
                    "Evaluations of rules that fail: what they watch is not watched.",
                    "ops",
                    [
                        Query(
                            "sum by (rule_group)"
                            " (rate(prometheus_rule_evaluation_failures_total[$__rate_interval]))",
                            "{{rule_group}}",
                        )
                    ],
                ),
            ],
        ),
    ],
)

MONITORING = Board(
    "firewatch-monitoring",
    "Monitoring",
    "Whether Prometheus, Alertmanager and the exporters do their work.",
    "whoever runs the monitoring.",
    "up",
    [
        (
            "Targets",
            [
                Lines(
                    "Targets that answer",
                    "Share of a job's targets that answer.",
                    "percentunit",
                    [Query(f"avg by (job) ({chosen('up')})", "{{job}}")],
                    most=1,
                ),
                Lines(
                    "Duration of scrapes",
                    "Longest scrape of a job.",
                    "s",
                    [Query(f"max by (job) ({chosen('scrape_duration_seconds')})", "{{job}}")],
                    limits=(5, 8),
                ),
                Lines(
                    "Samples by job",
                    "Samples that a scrape of a job brings, after relabeling.",
                    "short",
                    [
                        Query(
                            f"sum by (job) ({chosen('scrape_samples_post_metric_relabeling')})",
                            "{{job}}",
                        )
                    ],
                    stacked=True,
                ),
            ],
        ),
        (
            "Prometheus",
            [
                Lines(
                    "Series in memory",
                    "Series to which Prometheus writes at present.",
                    "short",
                    [Query(chosen("prometheus_tsdb_head_series"), "{{instance}}")],
                ),
                Lines(
                    "Samples",
                    "Samples that Prometheus takes in.",
                    "cps",
                    [
                        Query(
                            total("prometheus_tsdb_head_samples_appended_total", by="instance"),
                            "{{instance}}",
                        )
                    ],
                ),
                Lines(
                    "Evaluation of rules",
                    "Time that the last evaluation of a group took, of the ten slowest.",
                    "s",
                    [
                        Query(
                            "topk(10, max by (rule_group)"
                            f" ({chosen('prometheus_rule_group_last_duration_seconds')}))",
                            "{{rule_group}}",
                        )
                    ],
                ),
            ],
        ),
        (
            "Resources",
            [
                Lines(
                    "Memory",
                    "Memory that a server of the monitoring holds.",
                    "bytes",
                    [
                        Query(
                            chosen("process_resident_memory_bytes", _SERVERS),
                            "{{job}} {{instance}}",
                        )
                    ],
                ),
                Lines(
                    "CPU",
                    "CPU time that a server of the monitoring uses, in cores.",
                    "short",
                    [
                        Query(
                            rate("process_cpu_seconds_total", _SERVERS),
                            "{{job}} {{instance}}",
                        )
                    ],
                ),
                Lines(
                    "Storage",
                    "What Prometheus keeps on its volume.",
                    "bytes",
                    [
                        Query(
                            f"{chosen('prometheus_tsdb_storage_blocks_bytes')}"
                            f" + {chosen('prometheus_tsdb_wal_storage_size_bytes')}",
                            "{{instance}}",
                        )
                    ],
                ),
            ],
        ),
        (
            "Alertmanager",
            [
                Lines(
                    "Alerts",
                    "Alerts that Alertmanager has.",
                    "short",
                    [Query(f"sum by (state) ({chosen('alertmanager_alerts')})", "{{state}}")],
                ),
                Lines(
                    "Alerts that did not arrive",
                    "Alerts that Prometheus could not hand over, or had to drop.",
                    "ops",
                    [
                        Query(
                            total("prometheus_notifications_errors_total", by="alertmanager"),
                            "{{alertmanager}} failed",
                        ),
                        Query(
                            total("prometheus_notifications_dropped_total", by="instance"),
                            "{{instance}} dropped",
                        ),
                    ],
                ),
                Number(
                    "Configuration is current",
                    "Whether the last reload succeeded.",
                    "none",
                    [
                        Query(
                            chosen(f"{server}_config_last_reload_successful"),
                            f"{server} {{{{instance}}}}",
                        )
                        for server in ("prometheus", "alertmanager")
                    ],
                    states=(("0", "no", "red"), ("1", "yes", "green")),
                ),
            ],
        ),
    ],
)

FIREWATCH = Board(
    "firewatch-operator",
    "Firewatch",
    "What the operator has done by itself, how fast, and what it refused.",
    "whoever lets it act; after an episode, everybody.",
    "firewatch_leading",
    [
        (
            "At a glance",
            [
                Number(
                    "Episodes",
                    "Targets that are changed at present because an alert fires.",
                    "short",
                    [
                        Query(
                            f"max({chosen('firewatch_response_open_episodes')})",
                            "open",
                        )
                    ],
                ),
                Number(
                    "Replicas that lead",
                    "There should be one: without one nothing is done.",
                    "short",
                    [Query(f"sum({chosen('firewatch_leading')})", "leading")],
                    states=(("0", "none", "red"), ("1", "one", "green")),
                ),
                Number(
                    "Namespaces on hold",
                    "Namespaces in which nothing more is begun until somebody resets it.",
                    "short",
                    [
                        Query(
                            f"sum({chosen('firewatch_response_tripped')}) or vector(0)",
                            "on hold",
                        )
                    ],
                    limits=(1, 2),
                ),
                Number(
                    "Sources that answer",
                    "Prometheus servers that can be asked for their alerts.",
                    "percentunit",
                    [Query(f"avg({chosen('firewatch_alert_source_up')})", "answering")],
                    limits=(1, 0.99),
                    empty="no AutoResponse listens to any",
                ),
            ],
        ),
        (
            "Responses",
            [
                Lines(
                    "What it did and refused",
                    "Events of AutoResponses, in an hour.",
                    "short",
                    [
                        Query(
                            "sum by (event, mode) (increase("
                            f"{chosen('firewatch_response_actions_total')}[1h]))",
                            "{{event}} {{mode}}",
                        )
                    ],
                    empty="no AutoResponse has done anything yet",
                ),
                Lines(
                    "From firing to changed",
                    "95 of 100 changes were made within this time after the alert began to fire.",
                    "s",
                    [
                        Query(
                            quantile(0.95, "firewatch_response_latency_seconds"),
                            "changed",
                        ),
                        Query(
                            quantile(0.95, "firewatch_response_detection_seconds"),
                            "heard",
                        ),
                    ],
                    empty="no AutoResponse has done anything lately",
                ),
                Lines(
                    "Messages to people",
                    "Messages by how they went, in an hour.",
                    "short",
                    [
                        Query(
                            "sum by (moment, result) (increase("
                            f"{chosen('firewatch_notices_total')}[1h]))",
                            "{{moment}} {{result}}",
                        )
                    ],
                    empty="nobody has been told anything yet",
                ),
            ],
        ),
        (
            "The operator itself",
            [
                Lines(
                    "Passes",
                    "Passes of its loops, by kind and result.",
                    "ops",
                    [
                        Query(
                            total("firewatch_passes_total", by="kind, result"),
                            "{{kind}} {{result}}",
                        )
                    ],
                ),
                Lines(
                    "Writes",
                    "Writes to the Kubernetes API.",
                    "wps",
                    [
                        Query(
                            total("firewatch_api_writes_total", by="kind, result"),
                            "{{kind}} {{result}}",
                        )
                    ],
                    empty="nothing had to be written yet",
                ),
                Lines(
                    "Memory",
                    "Memory that a replica holds.",
                    "bytes",
                    [
                        Query(
                            of("firewatch_leading", chosen("process_resident_memory_bytes")),
                            "{{instance}}",
                        )
                    ],
                ),
            ],
        ),
    ],
)

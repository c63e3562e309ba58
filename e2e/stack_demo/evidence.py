"""What proves that each part of the stack is at work: a query to its Prometheus that has to have a result."""

from dataclasses import dataclass

from e2e.kubectl import Object, wait_for
from e2e.stack_demo.stage import API, NAMESPACE, Stage

QUERIES = {
    "prometheus": 'prometheus_tsdb_head_series{job="prometheus"} > 0',
    "alertmanager": 'alertmanager_alerts_received_total{job="alertmanager",status="firing"} > 0',
    "node-exporter": 'count(node_cpu_seconds_total{job="node"}) > 0',
    "blackbox-exporter": 'probe_success{job="health",probe="agents"} == 1',
    "kube-state-metrics": (
        "kube_deployment_status_replicas_available"
        f'{{namespace="{NAMESPACE}",deployment="{API}"}} == 1'
    ),
    "postgres-exporter-shop": 'count(pg_stat_statements_calls{job="postgres"}) > 0',
    "journeys": 'sum(firewatch_journey_step_success{journey="converse"}) == 5',
    "rum": (
        'sum(rum_page_load_seconds_count{page="/agents/:id"})'
        " + sum(rum_largest_contentful_paint_seconds_count) == 2"
    ),
}
"""By program, as the stack's status names it."""
_FURTHER = {
    "postgresql": ('pg_up{job="postgres"} == 1', 'pg_static{job="postgres"}', "short_version"),
    "example application": (
        'sum(rate(freeagentics_requests_total{job="api"}[30s])) > 0',
        "",
        "",
    ),
}
"""What is watched: a query that proves it, and a series with a label that says its version."""


@dataclass(frozen=True)
class Row:
    """A part of the stack, or of what it watches."""

    component: str
    version: str
    ready: bool
    query: str
    value: float
    """Value of the first series of the query's result."""


def gather(stage: Stage) -> list[Row]:
    """Return a row for each part; ``NeverError`` if one has no data."""
    status: Object = stage.stack()["status"]
    programs = {row["name"]: row for row in status["components"]}
    missing = programs.keys() ^ QUERIES.keys()
    assert not missing, f"no query is known for what runs here, or the other way round: {missing}"
    rows = []
    for name, query in QUERIES.items():
        is_ready = programs[name]["ready"] == "True"
        rows.append(Row(name, programs[name]["version"], is_ready, query, _value(stage, query)))
    for name, (query, series, label) in _FURTHER.items():
        version = stage.station.query(series)[0]["metric"][label] if series else ""
        rows.append(Row(name, version, True, query, _value(stage, query)))
    return rows


def _value(stage: Stage, query: str) -> float:
    found = wait_for(query, lambda: stage.station.query(query), seconds=90)
    return float(found[0]["value"][1])

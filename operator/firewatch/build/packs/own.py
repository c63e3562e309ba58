"""Alerts on what Firewatch brings beside Prometheus and Alertmanager: Grafana, and the operator itself."""

from collections.abc import Iterator

from firewatch.api.packs import FirewatchPack, GrafanaPack
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number

LEADING = "firewatch_leading"
_GRAFANA = 'job="grafana"'
_ANSWERS = "grafana_http_request_duration_seconds_count"
_ASKED = "grafana_datasource_request_total"


def grafana_alerts(wanted: GrafanaPack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``grafana``."""
    errors = f'rate({_ANSWERS}{{{_GRAFANA}, status_code=~"5.."}}[5m])'
    yield Alert(
        "GrafanaErrorsHigh",
        f"100 * sum by (instance) ({errors})"
        f" / sum by (instance) (rate({_ANSWERS}{{{_GRAFANA}}}[5m]))"
        f" > {number(wanted.error_percent)}",
        "5m",
        WARNING,
        "Grafana at {{ $labels.instance }} answers many requests with errors.",
        '{{ $value | printf "%.0f" }} percent of its answers have a status from 500 on.',
    )
    failed = f'rate({_ASKED}{{{_GRAFANA}, code=~"5.."}}[5m])'
    yield Alert(
        "GrafanaDataSourceFailing",
        f"100 * sum by (datasource) ({failed})"
        f" / sum by (datasource) (rate({_ASKED}{{{_GRAFANA}}}[5m]))"
        f" > {number(wanted.error_percent)}",
        "5m",
        WARNING,
        "The data source {{ $labels.datasource }} of Grafana fails.",
        '{{ $value | printf "%.0f" }} percent of what it is asked; dashboards stay empty.',
    )


def firewatch_alerts(_wanted: FirewatchPack) -> Iterator[Alert]:
    """Yield the alerts of the pack ``firewatch``."""
    yield from _acting_alerts()
    yield from _hearing_alerts()


def _acting_alerts() -> Iterator[Alert]:
    """Yield the alerts on whether anything is done."""
    yield Alert(
        "FirewatchNotActing",
        f"group by (job) (present_over_time({LEADING}[1h])) unless group by (job) ({LEADING} == 1)",
        "2m",
        CRITICAL,
        "No replica of Firewatch leads.",
        "Alerts are answered by nobody, and what is changed is not put back.",
    )
    yield Alert(
        "FirewatchOnHold",
        "firewatch_response_tripped == 1",
        "0s",
        WARNING,
        "Firewatch begins nothing more in namespace {{ $labels.namespace }}.",
        "Episodes there have ended badly one after the other; somebody has to look, and reset it.",
    )


def _hearing_alerts() -> Iterator[Alert]:
    """Yield the alerts on what comes in, and on what people are told."""
    yield Alert(
        "FirewatchSourceDown",
        "firewatch_alert_source_up == 0",
        "5m",
        WARNING,
        "Firewatch cannot ask the Prometheus of {{ $labels.stack }} in namespace"
        " {{ $labels.namespace }}.",
        "What is changed is held, and nothing is begun for what it does not push.",
    )
    yield Alert(
        "FirewatchMessagesFailing",
        'sum by (job) (increase(firewatch_notices_total{result!="delivered"}[15m])) > 0',
        "0s",
        WARNING,
        "Messages of Firewatch to people do not arrive.",
        '{{ $value | printf "%.0f" }} tries have failed in the last 15 minutes.',
    )
    yield Alert(
        "FirewatchPushesRefused",
        'sum by (job) (rate(firewatch_receiver_requests_total{result="unauthenticated"}[5m])) > 0',
        "5m",
        WARNING,
        "Somebody posts alerts to Firewatch with a token that is not valid.",
        "If it is your Alertmanager, its alerts are heard late, by the next poll.",
    )

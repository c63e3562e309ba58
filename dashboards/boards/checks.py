"""Checks from outside, and objectives."""

from dashboards.parts import Board, Lines, Number, Query, Rows
from dashboards.promql import chosen

_DAY = 86_400
_BY = "{{probe}} {{instance}}"


def _available(window: str) -> str:
    return f"avg by (probe, instance) (avg_over_time({chosen('probe_success')}[{window}]))"


PROBES = Board(
    "firewatch-probes",
    "Synthetic Checks",
    "Whether what people use can be reached, how fast, and for how long its certificates hold.",
    "whoever is on call for anything that people use.",
    "probe_success",
    [
        (
            "Availability",
            [
                Number(
                    "At present",
                    "Whether the last check succeeded.",
                    "none",
                    [Query(chosen("probe_success"), _BY)],
                    states=(("0", "fails", "red"), ("1", "succeeds", "green")),
                ),
                *(
                    Number(
                        f"Over {words}",
                        f"Share of the checks that succeeded within {words}.",
                        "percentunit",
                        [Query(_available(window), _BY)],
                        limits=(0.999, 0.99),
                    )
                    for window, words in (("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"))
                ),
            ],
        ),
        (
            "Duration",
            [
                Lines(
                    "Duration",
                    "How long a check takes.",
                    "s",
                    [Query(chosen("probe_duration_seconds"), _BY)],
                ),
                Lines(
                    "Duration by phase",
                    "How long each part of an HTTP check takes.",
                    "s",
                    [
                        Query(
                            f"avg by (phase) ({chosen('probe_http_duration_seconds')})",
                            "{{phase}}",
                        )
                    ],
                    stacked=True,
                ),
            ],
        ),
        (
            "Answers",
            [
                Lines(
                    "HTTP status",
                    "Status of the last answer.",
                    "short",
                    [Query(chosen("probe_http_status_code"), _BY)],
                ),
                Rows(
                    "Certificates",
                    "Days until the first certificate of a chain ends.",
                    "d",
                    [
                        Query(
                            "min by (probe, instance)"
                            f" ({chosen('probe_ssl_earliest_cert_expiry')} - time()) / {_DAY}"
                        )
                    ],
                    empty="nothing is checked by HTTPS",
                ),
            ],
        ),
    ],
)

_BUDGET = "slo:error_budget_remaining:ratio"
_NAME = "{{slo_policy}} {{slo}}"

OBJECTIVES = Board(
    "firewatch-objectives",
    "Objectives",
    "Whether what was promised is kept, and how fast the error budget is used up.",
    "owners of services; whether there is room for a risk.",
    "",
    [
        (
            "Error budget",
            [
                Number(
                    "Left",
                    "Share of the error budget that is left in the objective's window.",
                    "percentunit",
                    [Query(f"min by (slo_policy, slo) ({_BUDGET})", _NAME)],
                    limits=(0.5, 0.1),
                    least=None,
                ),
                Lines(
                    "Left over time",
                    "Share of the error budget that is left; below 0 the objective is missed.",
                    "percentunit",
                    [Query(f"min by (slo_policy, slo) ({_BUDGET})", _NAME)],
                    least=None,
                ),
            ],
        ),
        (
            "Errors",
            [
                Lines(
                    "Error ratio",
                    "Share of events that were bad in the last five minutes.",
                    "percentunit",
                    [
                        Query(
                            "sum by (slo_policy, slo) (slo:errors:rate5m)"
                            " / (sum by (slo_policy, slo) (slo:events:rate5m) > 0)",
                            _NAME,
                        )
                    ],
                ),
                Rows(
                    "Error ratio by window",
                    "Share of events that were bad, over each window for which it is recorded.",
                    "percentunit",
                    [Query("max by (slo_policy, slo, window) (slo:error:ratio)")],
                ),
                Rows(
                    "Objectives",
                    "What was promised.",
                    "percentunit",
                    [Query("max by (slo_policy, slo) (slo:objective:ratio)")],
                ),
                Lines(
                    "Events",
                    "Events that the objectives count.",
                    "ops",
                    [Query("sum by (slo_policy, slo) (slo:events:rate5m)", _NAME)],
                ),
            ],
        ),
    ],
)

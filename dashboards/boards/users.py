"""What users go through: journeys that are taken for them, and what their own browsers tell."""

from dashboards.parts import Board, Lines, Number, Query, Rows
from dashboards.promql import chosen, quantile, total

_JOURNEY = "{{journey}}"
_STEP = "{{journey}} {{step}}"

JOURNEYS = Board(
    "firewatch-journeys",
    "User Journeys",
    "Whether users can do what they come for, at which step not, and how long it takes them.",
    "whoever is on call for anything that people use.",
    "firewatch_journey_success",
    [
        (
            "Availability",
            [
                Number(
                    "At present",
                    "Whether the last run succeeded.",
                    "none",
                    [Query(f"min by (journey) ({chosen('firewatch_journey_success')})", _JOURNEY)],
                    states=(("0", "fails", "red"), ("1", "succeeds", "green")),
                ),
                Number(
                    "Over 24 hours",
                    "Share of the time within 24 hours in which it succeeded.",
                    "percentunit",
                    [
                        Query(
                            "avg by (journey) (avg_over_time("
                            f"{chosen('firewatch_journey_success')}[24h]))",
                            _JOURNEY,
                        )
                    ],
                    limits=(0.999, 0.99),
                ),
                Rows(
                    "What fails",
                    "First step of the last run that failed, and why.",
                    "none",
                    [
                        Query(
                            "max by (journey, step, reason)"
                            f" ({chosen('firewatch_journey_failure')})"
                        )
                    ],
                    empty="no journey fails",
                ),
            ],
        ),
        (
            "Duration",
            [
                Lines(
                    "Duration",
                    "How long the last run of a journey took.",
                    "s",
                    [
                        Query(
                            f"max by (journey) ({chosen('firewatch_journey_duration_seconds')})",
                            _JOURNEY,
                        )
                    ],
                ),
                Lines(
                    "Duration by step",
                    "How long each step of the last run took.",
                    "s",
                    [
                        Query(
                            "max by (journey, step)"
                            f" ({chosen('firewatch_journey_step_duration_seconds')})",
                            _STEP,
                        )
                    ],
                    stacked=True,
                ),
            ],
        ),
        (
            "Runs",
            [
                Lines(
                    "Runs",
                    "Runs per second.",
                    "ops",
                    [Query(total("firewatch_journey_runs_total", by="journey"), _JOURNEY)],
                ),
                Lines(
                    "Failures by step",
                    "Failures per second, by step and reason.",
                    "ops",
                    [
                        Query(
                            total(
                                "firewatch_journey_step_failures_total", by="journey, step, reason"
                            ),
                            "{{journey}} {{step}} {{reason}}",
                        )
                    ],
                    empty="no step has failed",
                ),
            ],
        ),
    ],
)

_PAGE = "{{service}} {{page}}"


def _percentile(family: str) -> str:
    """Return the 75th percentile by page, by which web vitals are judged."""
    return quantile(0.75, family, by="service, page")


def _vital(title: str, description: str, family: str, *, good: float, poor: float) -> Lines:
    return Lines(
        title,
        f"{description}, at the 75th percentile; above the second line it is poor.",
        "s",
        [Query(_percentile(family), _PAGE)],
        limits=(good, poor),
    )


REAL_USERS = Board(
    "firewatch-real-users",
    "Real Users",
    "How pages load and respond in the browsers of those who use them.",
    "developers of pages, and whoever is on call for them.",
    "rum_page_load_seconds_count",
    [
        (
            "Use",
            [
                Lines(
                    "Page loads",
                    "Pages that have loaded, per second.",
                    "ops",
                    [
                        Query(
                            total("rum_page_load_seconds_count", by="service, page"),
                            _PAGE,
                        )
                    ],
                    stacked=True,
                ),
                Lines(
                    "Clicks",
                    "Clicks per second, by element.",
                    "ops",
                    [
                        Query(
                            total("rum_interactions_total", by="service, target"),
                            "{{service}} {{target}}",
                        )
                    ],
                    stacked=True,
                ),
                Lines(
                    "Scripts that fail",
                    "Failures of scripts, per second.",
                    "ops",
                    [Query(total("rum_script_errors_total", by="service, page"), _PAGE)],
                    empty="no script has failed",
                ),
            ],
        ),
        (
            "Loading",
            [
                _vital(
                    "Largest contentful paint",
                    "Until the largest part of a page is shown",
                    "rum_largest_contentful_paint_seconds",
                    good=2.5,
                    poor=4,
                ),
                _vital(
                    "First contentful paint",
                    "Until something of a page is shown",
                    "rum_first_contentful_paint_seconds",
                    good=1.8,
                    poor=3,
                ),
                _vital(
                    "Time to first byte",
                    "Until the first byte of a page arrives",
                    "rum_time_to_first_byte_seconds",
                    good=0.8,
                    poor=1.8,
                ),
            ],
        ),
        (
            "Using",
            [
                _vital(
                    "Interaction to next paint",
                    "From an action to what it shows",
                    "rum_interaction_to_next_paint_seconds",
                    good=0.2,
                    poor=0.5,
                ),
                Lines(
                    "Cumulative layout shift",
                    "How much of a page moves by itself, as a score at the 75th percentile; above the"
                    " second line it is poor.",
                    "none",
                    [Query(_percentile("rum_cumulative_layout_shift"), _PAGE)],
                    limits=(0.1, 0.25),
                ),
                Lines(
                    "Page load",
                    "Until a page has loaded, at the 75th percentile.",
                    "s",
                    [Query(_percentile("rum_page_load_seconds"), _PAGE)],
                ),
            ],
        ),
        (
            "Events of one's own",
            [
                Lines(
                    "Events",
                    "Events per second, by name.",
                    "ops",
                    [
                        Query(
                            total("rum_custom_events_total", by="service, name"),
                            "{{service}} {{name}}",
                        )
                    ],
                    empty="there are none",
                ),
                Lines(
                    "What is taken in",
                    "Requests of browsers per second, by result.",
                    "ops",
                    [Query(total("rum_requests_total", by="result"), "{{result}}")],
                ),
                Lines(
                    "What is dropped",
                    "Events per second that are not counted, by reason.",
                    "ops",
                    [Query(total("rum_events_dropped_total", by="reason"), "{{reason}}")],
                    empty="nothing is dropped",
                ),
            ],
        ),
    ],
)

"""The rules that a user journey brings: three alerts, and an objective with its error budget."""

from collections.abc import Iterator

from firewatch.api.journeys import Journey
from firewatch.api.resource import parse_duration
from firewatch.api.slos import Gauge, Slo
from firewatch.build import names
from firewatch.build.check_rules import Check, render_check_rules
from firewatch.build.objects import Stack
from firewatch.build.packs.alert import CRITICAL, WARNING, Alert
from firewatch.build.promql import number, selector
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import usable_journeys

SUCCESS = "firewatch_journey_success"
FAILURE = "firewatch_journey_failure"
_DURATION = "firewatch_journey_duration_seconds"
_LAST_RUN = "firewatch_journey_last_run_timestamp_seconds"
_MISSED_RUNS = 5


def render_journey_rules(stack: Stack, surroundings: Surroundings) -> str | None:
    """Return the rule file of a stack's journeys; None if there are none."""
    journeys = usable_journeys(stack, surroundings)
    return render_check_rules(stack, "journeys", map(_check, journeys))


def _check(journey: Journey) -> Check:
    slo = Slo(
        name=journey.name,
        objective=journey.objective,
        gauge=Gauge(metric=_series(SUCCESS, journey)),
        by=["journey"],
        labels=journey.labels,
    )
    # Its series come from the runner, which knows nothing of labels.
    return Check(slo, tuple(journey_alerts(journey)), alert_labels=journey.labels)


def journey_alerts(journey: Journey) -> Iterator[Alert]:
    """Yield the alerts of a journey."""
    success = _series(SUCCESS, journey)
    failure = f'printf `{FAILURE}{{journey="%s"}}` $labels.journey | query'
    yield Alert(
        "JourneyFailing",
        f"max by (journey) ({success}) == 0",
        journey.down_for,
        CRITICAL,
        "Journey {{ $labels.journey }} fails.",
        f"It has failed for {journey.down_for}"
        f"{{{{ range {failure} }}}}, now at step {{{{ .Labels.step }}}} ({{{{ .Labels.reason }}}}){{{{ end }}}};"
        " status.journeys of the MonitoringStack says more.",
    )
    duration = f"avg_over_time({_series(_DURATION, journey)}[5m])"
    yield Alert(
        "JourneySlow",
        f"max by (journey) ({duration} > {number(parse_duration(journey.slow_above))}"
        f" and {success} == 1)",
        "2m",
        WARNING,
        "Journey {{ $labels.journey }} is slow.",
        f"It takes {{{{ $value | humanizeDuration }}}} on average; {journey.slow_above} is the limit.",
    )
    late = _MISSED_RUNS * parse_duration(journey.interval)
    yield Alert(
        "JourneyNotRun",
        f"max by (journey) (time() - {_series(_LAST_RUN, journey)} > {number(late)}"
        f" or absent({success}))",
        "5m",
        WARNING,
        "Journey {{ $labels.journey }} is not taken.",
        f"It should be taken every {journey.interval}; its runner is gone, or hangs.",
    )


def _series(metric: str, journey: Journey) -> str:
    return selector(metric, [f'job="{names.JOURNEYS_JOB}"', f'journey="{journey.name}"'])

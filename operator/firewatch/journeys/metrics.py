"""What journeys come to, as metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.process_collector import ProcessCollector

from firewatch.journeys.answers import Reason


@dataclass(frozen=True)
class StepResult:
    """How a step went."""

    step: str
    seconds: float
    failure: Reason | None = None
    detail: str = ""


@dataclass(frozen=True)
class RunResult:
    """How a run of a journey went: the steps that were taken, in their order."""

    journey: str
    ended: float
    """When it ended, in seconds since 1970."""
    seconds: float
    steps: Sequence[StepResult]

    @property
    def failure(self) -> StepResult | None:
        """Return the first step that failed."""
        return next((step for step in self.steps if step.failure), None)


class Metrics:
    """The families of the runner, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            full = f"firewatch_journey_{name}"
            return Gauge(full, text, ["journey", *labels], registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            full = f"firewatch_journey_{name}"
            return Counter(full, text, ["journey", *labels], registry=registry)

        self._success = gauge("success", "Whether the last run of a journey succeeded")
        self._failure = gauge(
            "failure", "1 for the first step of the last run that failed, and why", "step", "reason"
        )
        self._duration = gauge("duration_seconds", "How long the last run of a journey took")
        self._last_run = gauge("last_run_timestamp_seconds", "When the last run of a journey ended")
        self._step_success = gauge(
            "step_success",
            "Whether a step of the last run succeeded; no series for one that was not taken",
            "step",
        )
        self._step_duration = gauge(
            "step_duration_seconds", "How long a step of the last run took", "step"
        )
        self._runs = counter("runs", "Runs of a journey")
        self._failures = counter("step_failures", "Steps that failed, and why", "step", "reason")

    def note(self, result: RunResult) -> None:
        """Take in a run."""
        journey = result.journey
        of_journey = {"journey": journey}
        for family in (self._failure, self._step_success, self._step_duration):
            family.remove_by_labels(of_journey)
        for step in result.steps:
            self._step_success.labels(journey, step.step).set(step.failure is None)
            self._step_duration.labels(journey, step.step).set(step.seconds)
            if step.failure:
                self._failures.labels(journey, step.step, step.failure.value).inc()
        if (first := result.failure) and first.failure:
            self._failure.labels(journey, first.step, first.failure.value).set(1)
        self._success.labels(journey).set(result.failure is None)
        self._duration.labels(journey).set(result.seconds)
        self._last_run.labels(journey).set(result.ended)
        self._runs.labels(journey).inc()

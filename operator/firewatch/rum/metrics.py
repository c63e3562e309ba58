"""What browsers tell, as metrics."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.process_collector import ProcessCollector

from firewatch.rum.events import (
    Custom,
    Drop,
    Failure,
    Happening,
    Interaction,
    Origin,
    PageLoad,
    Vital,
    VitalMeasured,
)

_ORIGIN = ("service", "environment", "page")
# Buckets end where a vital stops being good and where it begins to be poor (web.dev/articles/vitals).
_VITALS = {
    Vital.LCP: (
        "rum_largest_contentful_paint_seconds",
        "Time until the largest part of a page was shown",
        (0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 10, 30),
    ),
    Vital.FCP: (
        "rum_first_contentful_paint_seconds",
        "Time until something of a page was shown",
        (0.25, 0.5, 1, 1.8, 2.5, 3, 5, 10, 30),
    ),
    Vital.INP: (
        "rum_interaction_to_next_paint_seconds",
        "Time from a user's action to what it showed",
        (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5),
    ),
    Vital.TTFB: (
        "rum_time_to_first_byte_seconds",
        "Time until the first byte of a page arrived",
        (0.05, 0.1, 0.25, 0.5, 0.8, 1.2, 1.8, 3, 10),
    ),
    Vital.CLS: (
        "rum_cumulative_layout_shift",
        "How much of a page has moved without a user's doing, as a score",
        (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1),
    ),
}
_LOADS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 10, 30)


class Metrics:
    """The families, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "rum_requests", "Requests of browsers, by result", ["result"], registry=registry
        )
        self._dropped = Counter(
            "rum_events_dropped",
            "Events that are not counted, and why",
            ["reason"],
            registry=registry,
        )
        self._loads = Histogram(
            "rum_page_load_seconds",
            "Time until a page had loaded",
            _ORIGIN,
            buckets=_LOADS,
            registry=registry,
        )
        self._vitals = {
            vital: Histogram(name, text, _ORIGIN, buckets=buckets, registry=registry)
            for vital, (name, text, buckets) in _VITALS.items()
        }
        self._interactions = Counter(
            "rum_interactions", "Clicks, by element", [*_ORIGIN, "target"], registry=registry
        )
        self._errors = Counter(
            "rum_script_errors", "Scripts that failed", _ORIGIN, registry=registry
        )
        self._custom = Counter(
            "rum_custom_events", "Events of one's own", [*_ORIGIN, "name"], registry=registry
        )
        self._custom_seconds = Histogram(
            "rum_custom_event_seconds",
            "Duration of events of one's own",
            [*_ORIGIN, "name"],
            buckets=_LOADS,
            registry=registry,
        )

    def note(self, happening: Happening | Drop) -> None:
        """Take in an event, or that one was dropped."""
        match happening:
            case Drop():
                self._dropped.labels(happening.value).inc()
            case PageLoad(origin, seconds):
                self._loads.labels(*_labels(origin)).observe(seconds)
            case VitalMeasured(origin, vital, value):
                self._vitals[vital].labels(*_labels(origin)).observe(value)
            case Interaction(origin, target):
                self._interactions.labels(*_labels(origin), target).inc()
            case Failure(origin):
                self._errors.labels(*_labels(origin)).inc()
            case Custom(origin, name, seconds):
                self._custom.labels(*_labels(origin), name).inc()
                if seconds is not None:
                    self._custom_seconds.labels(*_labels(origin), name).observe(seconds)


def _labels(origin: Origin) -> tuple[str, str, str]:
    return origin.service, origin.environment, origin.page

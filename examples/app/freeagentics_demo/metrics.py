"""The metric families: the runbook's five, a gauge that a request sets, and what a visitor sees."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """The families of one copy of the application, in a registry of their own.

    Names, help texts, types and labels of the first five are those of the runbook's section
    "API Metrics".
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "freeagentics_requests_total",
            "Total HTTP requests",
            ["method", "endpoint", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "freeagentics_request_duration_seconds",
            "HTTP request duration",
            ["method", "endpoint"],
            registry=self.registry,
        )
        self.active_connections = Gauge(
            "freeagentics_active_connections",
            "Number of active connections",
            registry=self.registry,
        )
        self.coordination_success = Counter(
            "freeagentics_agent_coordination_success_total",
            "Successful agent coordination attempts",
            registry=self.registry,
        )
        self.coordination_failures = Counter(
            "freeagentics_agent_coordination_failures_total",
            "Failed agent coordination attempts",
            registry=self.registry,
        )
        self.demo_load = Gauge(
            "freeagentics_demo_load",
            "A value that PUT /gauge sets",
            registry=self.registry,
        )
        self.visits = Counter(
            "freeagentics_demo_visits",
            "Requests that a visitor has sent, by how they went",
            ["outcome"],
            registry=self.registry,
        )

"""The metric families: the runbook's, a gauge that a request sets, and what a visitor sees."""

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
        self._add_users()
        self._add_times()
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

    def _add_users(self) -> None:
        """Add the families of the runbook's section "User Metrics"."""
        registry = self.registry
        self.active_users = Gauge(
            "freeagentics_active_users_total", "Users with a session", registry=registry
        )
        self.new_users = Counter(
            "freeagentics_new_users_total", "Users who were seen first", registry=registry
        )
        self.user_sessions = Counter(
            "freeagentics_user_sessions_total", "Sessions that have begun", registry=registry
        )
        self.user_actions = Counter(
            "freeagentics_user_actions_total", "What users did", ["action"], registry=registry
        )
        self.feature_usage = Counter(
            "freeagentics_feature_usage_total",
            "Features that were used",
            ["feature"],
            registry=registry,
        )
        self.session_seconds = Histogram(
            "freeagentics_session_duration_seconds",
            "How long sessions lasted",
            buckets=(1, 10, 30, 60, 300, 900, 1800, 3600),
            registry=registry,
        )

    def _add_times(self) -> None:
        """Add the families of "Performance Metrics", and the counters that its rates are made of."""
        registry = self.registry
        self.api_seconds = Histogram(
            "freeagentics_api_response_time_seconds", "Time of answers", registry=registry
        )
        self.query_seconds = Histogram(
            "freeagentics_database_query_time_seconds", "Time of queries", registry=registry
        )
        self.coordination_seconds = Histogram(
            "freeagentics_agent_coordination_time_seconds",
            "Time of agent coordination attempts",
            registry=registry,
        )
        self.active_agents = Gauge(
            "freeagentics_active_agents_total", "Agents that are at work", registry=registry
        )
        self.transactions = Counter(
            "freeagentics_transactions_total", "Requests that were carried out", registry=registry
        )
        self.agent_actions = Counter(
            "freeagentics_agent_actions_total", "What agents did", registry=registry
        )

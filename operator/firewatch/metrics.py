"""What the operator tells Prometheus about itself."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class LoopMetrics:
    """The reconcile loops."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.passes = Counter(
            "firewatch_passes_total",
            "Passes of the reconcile loops.",
            ["kind", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            "firewatch_pass_duration_seconds",
            "How long a pass of a reconcile loop took.",
            ["kind"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.keys = Gauge(
            "firewatch_keys", "Keys that the reconcile loops know.", ["kind"], registry=registry
        )


class AlertMetrics:
    """How alerts come in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "firewatch_receiver_requests_total",
            "Requests to the alert receiver.",
            ["result"],
            registry=registry,
        )
        self.received = Counter(
            "firewatch_receiver_alerts_total",
            "Alerts that the receiver took in.",
            ["state"],
            registry=registry,
        )
        self.certificate_usable = Gauge(
            "firewatch_receiver_certificate_usable",
            "Whether the certificate that is mounted for the receiver can be used; 0 without TLS.",
            registry=registry,
        )
        self.source_up = Gauge(
            "firewatch_alert_source_up",
            "Whether the last poll of a stack's Prometheus succeeded.",
            ["namespace", "stack"],
            registry=registry,
        )


class ResponseMetrics:
    """What AutoResponses do."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.actions = Counter(
            "firewatch_response_actions_total",
            "Things that AutoResponses did or refused to do.",
            ["event", "mode"],
            registry=registry,
        )
        self.latency_seconds = Histogram(
            "firewatch_response_latency_seconds",
            "From an alert's startsAt until the API server had accepted the change.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.detection_seconds = Histogram(
            "firewatch_response_detection_seconds",
            "From an alert's startsAt until its push had arrived.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.open_episodes = Gauge(
            "firewatch_response_open_episodes",
            "Targets that are changed at present.",
            registry=registry,
        )
        self.tripped = Gauge(
            "firewatch_response_tripped",
            "Whether nothing more is begun in a namespace until somebody resets it.",
            ["namespace"],
            registry=registry,
        )


class NoticeMetrics:
    """Messages to people."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "firewatch_notices_total",
            "Messages to people that were delivered, failed, or given up, each time they were tried.",
            ["moment", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            "firewatch_notice_delay_seconds",
            "From what a message tells of until it was taken.",
            buckets=_SECONDS,
            registry=registry,
        )


class Metrics:
    """The operator's own metric families, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.writes = Counter(
            "firewatch_api_writes_total",
            "Writes sent to the Kubernetes API.",
            ["verb", "kind", "result"],
            registry=self.registry,
        )
        self.leading = Gauge(
            "firewatch_leading",
            "Whether this replica holds the Lease, and so acts.",
            registry=self.registry,
        )
        self.loop = LoopMetrics(self.registry)
        self.alerts = AlertMetrics(self.registry)
        self.responses = ResponseMetrics(self.registry)
        self.notices = NoticeMetrics(self.registry)

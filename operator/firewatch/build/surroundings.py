"""What the objects of a stack depend on besides its own spec."""

from dataclasses import dataclass

from firewatch.build.retention import RetentionInForce


@dataclass(frozen=True)
class Surroundings:
    """Inputs that come from the operator's settings and from other resources."""

    receiver: str
    """``host:port`` at which Prometheus reaches the operator's alert receiver."""
    retention: RetentionInForce | None = None
    """What Prometheus keeps, where a RetentionPolicy decides it; else the stack itself does."""

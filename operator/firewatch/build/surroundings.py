"""What the objects of a stack depend on besides its own spec."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Surroundings:
    """Inputs that come from the operator's settings and from other resources."""

    receiver: str
    """``host:port`` at which Prometheus reaches the operator's alert receiver."""

"""Which alerts start an AutoResponse."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from firewatch.api.resource import LabelName, Model, Rule, rules


class Preset(StrEnum):
    """A class of alerts, whatever they are called."""

    CPU_HIGH = "cpu_high"
    MEMORY_HIGH = "memory_high"
    DISK_LOW = "disk_low"
    ERROR_RATE_HIGH = "error_rate_high"
    FAILURE_RATE_HIGH = "failure_rate_high"
    ALERT_CREATED = "alert_created"


class Trigger(
    Model,
    json_schema_extra=rules(
        Rule("has(self.alert) != has(self.preset)", "set exactly one of alert and preset")
    ),
):
    """Which alerts of the stack's Prometheus start the response."""

    alert: str | None = Field(default=None, min_length=1, max_length=256)
    """Name of the alert (the label ``alertname``)."""
    preset: Preset | None = None
    """Alerts labelled ``firewatch_preset`` with this value, as thresholds write it, and the
    runbook's alert of that meaning. ``cpu_high``: signal cpu, HighCPUUsage. ``memory_high``: signal
    memory, HighMemoryUsage. ``disk_low``: signal disk, DiskSpaceLow. ``error_rate_high``: signal
    errorRate, APIHighErrorRate. ``failure_rate_high``: signal failureRate,
    AgentCoordinationFailures. ``alert_created``: every alert there is but the Watchdog and
    Firewatch's own, for responses that only notify.
    """
    labels: dict[LabelName, Annotated[str, Field(max_length=1024)]] = Field(
        default={}, max_length=32
    )
    """Labels that the alert must carry besides. An alert whose label ``namespace`` names another namespace
    than this one changes nothing here unless that label is asked for.
    """

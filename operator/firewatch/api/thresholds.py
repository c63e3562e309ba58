"""The short form of an alerting rule: what is watched, and how much of it is too much."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from firewatch.api.resource import Duration, Interval, LabelName, Model, Rule, rules

MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=256)]
"""The name of a metric."""
Percent = Annotated[float, Field(ge=0, le=100)]
"""A share of a whole, from 0 to 100."""
_Value = Annotated[str, Field(min_length=1, max_length=256)]

PSEUDO_FILE_SYSTEMS = (
    *("tmpfs", "ramfs", "devtmpfs", "overlay", "squashfs", "iso9660", "erofs", "autofs"),
    *("nsfs", "proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "fuse.lxcfs"),
)
"""Types of file systems that are in memory, are full by nature, or show another one's space."""


class Signal(StrEnum):
    """What a threshold watches."""

    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    ERROR_RATE = "errorRate"
    FAILURE_RATE = "failureRate"


class Severity(StrEnum):
    """How bad it is; it becomes the label ``severity``."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class FileSystems(Model):
    """Which file systems the signal ``disk`` watches; read-only ones never count."""

    ignore_types: list[_Value] = Field(default=[*PSEUDO_FILE_SYSTEMS], max_length=64)
    """Types of file systems that do not count; by default those in memory, those that are always
    full, and those that show the space of another one. ``[]`` counts all.
    """
    mount_points: list[_Value] = Field(default=[], max_length=64)
    """Mount points that count; all when left out."""
    ignore_mount_points: list[_Value] = Field(default=[], max_length=64)
    """Mount points that do not count."""


class Ratio(Model):
    """What the signals that are shares of events have in common."""

    by: list[LabelName] = Field(default=["job"], max_length=8)
    """Labels that tell apart what is judged by itself, and what the alert carries; with ``[]`` all
    is judged as one.
    """
    min_rate: float = Field(default=0.05, ge=0, le=1e9)
    """Events per second below which nothing fires, whatever the share: one failed request at night
    is 100 percent. The default is three a minute; 0 has no such guard.
    """


class Requests(Ratio):
    """Where the signal ``errorRate`` finds requests and errors."""

    metric: MetricName = "freeagentics_requests_total"
    """Counter of all requests; the runbook's when left out."""
    error_label: LabelName = "status"
    """Label of the counter that holds the outcome of a request."""
    error_pattern: str = Field(default="5..", min_length=1, max_length=256)
    """Regular expression (RE2) that the label matches as a whole if the request failed."""


class Outcomes(Ratio):
    """Where the signal ``failureRate`` finds what went well and what did not."""

    failures: MetricName = "freeagentics_agent_coordination_failures_total"
    """Counter of attempts that failed; the runbook's agent coordination when left out."""
    successes: MetricName = "freeagentics_agent_coordination_success_total"
    """Counter of attempts that succeeded; the runbook's agent coordination when left out."""


class Threshold(
    Model,
    json_schema_extra=rules(
        Rule(
            "self.signal == 'disk' || has(self.above)",
            "above is needed: percent above which the alert fires",
        ),
        Rule(
            "self.signal != 'disk' || has(self.below)",
            "below is needed for the signal disk: percent of the space that is left",
        ),
        Rule(
            "self.signal != 'disk' || !has(self.above)",
            "above: the signal disk takes below instead, percent of the space that is left",
        ),
        Rule(
            "self.signal == 'disk' || !has(self.below)",
            "below: only the signal disk takes it; use above",
        ),
        Rule(
            "!has(self.window) || !(self.signal in ['memory', 'disk'])",
            "window: the signals memory and disk are not averaged; leave it out and use for",
        ),
        Rule(
            "!has(self.fileSystems) || self.signal == 'disk'",
            "fileSystems: only the signal disk takes it; leave it out",
        ),
        Rule(
            "!has(self.requests) || self.signal == 'errorRate'",
            "requests: only the signal errorRate takes it; leave it out",
        ),
        Rule(
            "!has(self.outcomes) || self.signal == 'failureRate'",
            "outcomes: only the signal failureRate takes it; leave it out",
        ),
    ),
):
    """The short form of an alerting rule."""

    name: str | None = Field(default=None, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=128)
    """Name of the alert. When left out, that of the runbook's rule: HighCPUUsage, HighMemoryUsage,
    DiskSpaceLow, APIHighErrorRate, AgentCoordinationFailures.
    """
    signal: Signal
    """``cpu``: busy CPU of each node. ``memory``: memory of each node that is not available.
    ``disk``: space left on each file system for users other than root. ``errorRate``: requests that
    failed, of all requests. ``failureRate``: attempts that failed, of all attempts. All in percent.
    The first three need ``exporters.node``.

    The alert carries the label ``firewatch_preset``, by which an AutoResponse finds it: ``cpu_high``,
    ``memory_high``, ``disk_low``, ``error_rate_high``, ``failure_rate_high``.
    """
    above: Percent | None = None
    """The alert fires above this many percent."""
    below: Percent | None = None
    """The alert fires when less than this many percent are left (signal ``disk``)."""
    match: dict[LabelName, _Value] = Field(default={}, max_length=16)
    """Labels that the series must have, each with this very value, for example ``job: api``."""
    window: Interval | None = None
    """The time over which a rate is averaged; 5m when left out. At least four scrape intervals are
    sensible.
    """
    for_: Duration = Field(default="4m", alias="for")
    """How long it must last before the alert fires. With the default people are told within five
    minutes.
    """
    severity: Severity = Severity.WARNING
    """critical, warning or info."""
    file_systems: FileSystems | None = None
    """Which file systems count (signal ``disk``)."""
    requests: Requests | None = None
    """Where requests and errors are found (signal ``errorRate``)."""
    outcomes: Outcomes | None = None
    """Where successes and failures are found (signal ``failureRate``)."""

    @model_validator(mode="after")
    def _limit_fits_signal(self) -> Self:
        # As the CEL rules above: the builder relies on it, whoever has read the resource.
        below = self.signal is Signal.DISK
        if (self.below is None) is below or (self.above is None) is not below:
            raise ValueError(
                "the signal disk takes below (percent of the space that is left), every other takes"
                " above"
            )
        return self

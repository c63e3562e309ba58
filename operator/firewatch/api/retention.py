"""RetentionPolicy: how long what a stack has gathered is kept."""

from pydantic import Field

from firewatch.api.resource import (
    Column,
    Conditions,
    CustomKind,
    Interval,
    Model,
    ObjectRef,
    Rule,
    Status,
    rules,
)

DERIVED_PERCENTAGE = 80
"""Share of the volume that metrics may fill when a policy says nothing of size."""


class MetricsRetention(
    Model,
    json_schema_extra=rules(
        Rule(
            "!(has(self.size) && has(self.percentage))",
            "metrics: set size or percentage, not both",
        )
    ),
):
    """How long Prometheus keeps samples; whichever limit is reached first deletes the oldest.

    It is in force without a restart. Without ``size`` and ``percentage`` the samples may fill 80 %
    of the volume; a stack without ``metrics.storage`` has no volume, and then only time counts.
    """

    time: Interval | None = None
    """Oldest sample kept; the stack's ``metrics.retention.time`` when left out."""
    size: str | None = Field(default=None, pattern=r"^[0-9]+(MB|GB|TB|PB)$", max_length=16)
    """Largest total of all blocks, in Prometheus' units, for example ``40GB``."""
    percentage: int | None = Field(default=None, ge=1, le=95)
    """Share of the volume that the samples may fill, in percent. It is counted from the size that
    the volume really has, so it grows with the volume. Above 85 little room is left for a
    compaction, which needs space before it frees some.
    """


class RetentionPolicySpec(
    Model,
    json_schema_extra=rules(
        Rule("has(self.metrics)", "set metrics: an empty policy keeps nothing")
    ),
):
    """How long what a stack has gathered is kept."""

    stack_ref: ObjectRef | None = None
    """The MonitoringStack that it is about; the only one of the namespace when left out. A stack has
    one RetentionPolicy: of two, neither is followed, and what was in force stays so.
    """
    metrics: MetricsRetention | None = None
    """Samples of the stack's Prometheus; wins over the stack's ``metrics.retention``."""


class MetricsUsage(Status):
    """What Prometheus holds, and when it would be full.

    Read every ten minutes, and written at most once an hour, when a figure has moved by a tenth.
    With several replicas it is the fullest one.
    """

    used: str = Field(max_length=32)
    """Bytes of blocks, write-ahead log and head chunks, to three digits, for example ``12.3Gi``."""
    limit: str = Field(default="", max_length=32)
    """Bytes that may be used: the size in force, or else the volume's; empty when nothing limits."""
    oldest_sample: str | None = Field(default=None, max_length=32)
    """Time of the oldest sample (RFC 3339, UTC)."""
    growth_per_day: str | None = Field(default=None, max_length=32)
    """How much the blocks grow in a day: the slope of a straight line through
    ``prometheus_tsdb_storage_blocks_bytes`` of the last day. Known after six hours.
    """
    days_to_full: int | None = Field(default=None, ge=0)
    """Days until the limit is reached: (limit - blocks - the day's largest write-ahead log and head
    chunks) / growthPerDay. Absent while it cannot be told, or when the blocks do not grow, or when
    samples grow older than ``time`` before the limit is reached.
    """
    measured_at: str = Field(max_length=32)
    """When these figures were taken (RFC 3339, UTC)."""


class MetricsRetentionStatus(Status):
    """Retention of metrics as it is in force."""

    time: str = Field(max_length=32)
    """Oldest sample kept."""
    size: str = Field(default="", max_length=32)
    """Largest total of all blocks, in Prometheus' units; empty when only time counts."""
    usage: MetricsUsage | None = None
    """What Prometheus holds, and when it would be full."""


class RetentionPolicyStatus(Status):
    """What the operator has seen and done; written by the operator only."""

    observed_generation: int | None = Field(default=None, ge=0)
    """The ``metadata.generation`` that this status speaks of."""
    conditions: Conditions = Field(default=[])
    """Accepted, Loaded (every Prometheus confirms this retention), Ready (all of them)."""
    stack: str | None = Field(default=None, max_length=253)
    """Name of the MonitoringStack that it is about."""
    metrics: MetricsRetentionStatus | None = None
    """Retention of metrics as it is in force."""


RETENTION_POLICY = CustomKind(
    kind="RetentionPolicy",
    plural="retentionpolicies",
    singular="retentionpolicy",
    short="rpol",
    description="How long what a MonitoringStack has gathered is kept.",
    spec=RetentionPolicySpec,
    status=RetentionPolicyStatus,
    columns=(
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Stack", ".status.stack"),
        Column("Time", ".status.metrics.time"),
        Column("Size", ".status.metrics.size"),
        Column("Used", ".status.metrics.usage.used"),
        Column("DaysToFull", ".status.metrics.usage.daysToFull", type="integer"),
        Column("Oldest", ".status.metrics.usage.oldestSample", type="date", priority=1),
        Column("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
)

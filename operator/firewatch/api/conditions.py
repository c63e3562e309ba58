"""Conditions: how a resource's state is summed up (pure)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from firewatch.api.resource import Condition, ConditionStatus

READY = "Ready"


@dataclass(frozen=True)
class Finding:
    """One aspect as found in this pass: a condition without its times."""

    type: str
    status: ConditionStatus
    reason: str
    message: str


def good(kind: str, reason: str, message: str = "") -> Finding:
    """Return a finding that holds."""
    return Finding(kind, ConditionStatus.TRUE, reason, message)


def bad(kind: str, reason: str, message: str) -> Finding:
    """Return a finding that does not hold; the message says what to do next."""
    return Finding(kind, ConditionStatus.FALSE, reason, message)


def unknown(kind: str, reason: str, message: str) -> Finding:
    """Return a finding that cannot be told yet."""
    return Finding(kind, ConditionStatus.UNKNOWN, reason, message)


def summarize(findings: Iterable[Finding]) -> Finding:
    """Return Ready: the first finding that is False, else the first Unknown, else true."""
    findings = list(findings)
    for status in (ConditionStatus.FALSE, ConditionStatus.UNKNOWN):
        for finding in findings:
            if finding.status is status:
                return Finding(READY, ConditionStatus.FALSE, finding.reason, finding.message)
    return good(READY, "Ready", "everything runs as written")


def merge_conditions(
    previous: Iterable[Condition],
    findings: Iterable[Finding],
    *,
    generation: int,
    now: datetime,
) -> list[Condition]:
    """Return Ready and the findings as conditions, Ready first.

    ``lastTransitionTime`` is taken over while ``status`` stays the same, so that an unchanged
    resource has an unchanged status.
    """
    before = {condition.type: condition for condition in previous}
    findings = list(findings)
    return [
        Condition(
            type=finding.type,
            status=finding.status,
            observed_generation=generation,
            last_transition_time=_transition(before.get(finding.type), finding, now),
            reason=finding.reason,
            message=finding.message[:4096],
        )
        for finding in (summarize(findings), *findings)
    ]


def _transition(previous: Condition | None, finding: Finding, now: datetime) -> str:
    if previous and previous.status is finding.status and previous.last_transition_time:
        return previous.last_transition_time
    return format_time(now)


def format_time(moment: datetime) -> str:
    """Return a time as the Kubernetes API writes it, in whole seconds of UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_instant(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds, for records that measure with it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Return the time that an RFC 3339 text names; ``ValueError`` if it is none."""
    return datetime.fromisoformat(text)

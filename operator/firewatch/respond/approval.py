"""Approval (pure): a request for each time an alert fires, and what people have said of it.

A request has an id of its own, so that nobody approves what has changed since they looked.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from firewatch.api.conditions import format_instant, format_time, parse_time
from firewatch.api.resource import Object, parse_duration
from firewatch.api.responses import APPROVED, REJECTED, Request
from firewatch.build.names import short_hash


class Verdict(StrEnum):
    """What people have said of a request."""

    NONE = "None"
    APPROVED = "Approved"
    REJECTED = "Rejected"


def find_verdict(live: Object, request: Request | None, now: datetime) -> Verdict:
    """Return what the annotations of an AutoResponse say of its present request."""
    if request is None:
        return Verdict.NONE
    annotations = live["metadata"].get("annotations") or {}
    if annotations.get(REJECTED) == request.id:
        return Verdict.REJECTED
    in_time = now < parse_time(request.expires_at)
    if annotations.get(APPROVED) == request.id and in_time:
        return Verdict.APPROVED
    return Verdict.NONE


def make_request(
    uid: str, alert: str, identity: str, message: str, *, expires: str, now: datetime
) -> Request:
    """Return a request to do something about an alert that fires."""
    return Request(
        id=short_hash(f"{uid}/{identity}/{format_instant(now)}", 12),
        alert=alert[:256],
        message=message[:1024],
        since=format_instant(now),
        expires_at=format_time(now + timedelta(seconds=parse_duration(expires))),
    )

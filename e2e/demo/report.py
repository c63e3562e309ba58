"""The figures of the episode, from those who know: Prometheus and the API server's audit log."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from e2e.audit import AuditLog
from e2e.cluster.interface import Cluster
from e2e.demo.api import Prometheus
from e2e.demo.episode import Outcome
from e2e.demo.messages import GROUP_WAIT, Delivery
from e2e.demo.names import ALERT, BUILD, NAMESPACE, TARGET, DemoError
from e2e.demo.watching import Watcher
from e2e.kubectl import Object

REPORT = BUILD / "report.json"
_WINDOW = "15m"
_CONTROLLER = "system:serviceaccount:kube-system:deployment-controller"
_GAP = 3
"""Evaluations that a run of an alert's samples may lack."""


@dataclass(frozen=True)
class Firing:
    """When the alert did what, by the clock of Prometheus' evaluations."""

    above_since: datetime
    """The first evaluation that found the value above the threshold."""
    fired: datetime
    """The first that let the alert fire: its ``startsAt``."""
    resolved: datetime
    """The first that no longer found it."""


@dataclass(frozen=True)
class Figures:
    """What the report says of time."""

    threshold_to_firing_s: float
    firing_to_patched_s: float
    patched_to_ready_s: float
    restored_after_resolve_s: float


def read_firing(prometheus: Prometheus, interval: float) -> Firing:
    """Read the alert's last run from the series that Prometheus writes for it."""
    firing = _last_run(_moments(prometheus, "firing"), interval)
    if not firing:
        raise DemoError(f"Prometheus has no sample of {ALERT} firing.")
    earlier = [moment for moment in _moments(prometheus, "pending") if moment < firing[0]]
    pending = _last_run(earlier, interval)
    is_joined = bool(pending) and firing[0] - pending[-1] <= _GAP * interval
    return Firing(
        above_since=_time(pending[0] if is_joined else firing[0]),
        fired=_time(firing[0]),
        resolved=_time(firing[-1] + interval),
    )


def _moments(prometheus: Prometheus, state: str) -> list[float]:
    selector = f'ALERTS{{alertname="{ALERT}",alertstate="{state}"}}'
    return prometheus.moments(selector, _WINDOW)


def _last_run(moments: Sequence[float], interval: float) -> list[float]:
    """Return the last moments that follow each other without a gap."""
    run: list[float] = []
    for moment in reversed(moments):
        if run and run[0] - moment > _GAP * interval:
            break
        run.insert(0, moment)
    return run


def _time(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


@dataclass(frozen=True)
class Patches:
    """When the API server had answered the operator's changes of the replicas."""

    first: datetime
    last: datetime
    source: str


def read_patches(audit: AuditLog | None, watcher: Watcher, *, since: datetime) -> Patches:
    """Read them from the audit log or, where there is none, from the AutoResponse's history.

    Only those of the episode that began at ``since`` count: a busy machine may have had one of its
    own while everything was being set up.
    """
    if audit is None:
        history = watcher.response()["status"]["history"]
        times = [entry["time"] for entry in history if entry.get("replicasTo") is not None]
        moments = sorted(datetime.fromisoformat(text) for text in times)
        source = "status.history, which is written after the change"
    else:
        moments = [
            call.answered
            for call in audit.calls()
            if (call.verb, call.resource) == ("patch", "deployments/scale")
            and (call.namespace, call.name) == (NAMESPACE, TARGET)
            and call.code == 200
            and not call.dry_run
        ]
        source = "the API server's audit log"
    moments = [moment for moment in moments if moment >= since]
    if len(moments) < 2:
        raise DemoError(f"{source} shows {len(moments)} changes of the replicas by the operator.")
    return Patches(moments[0], moments[-1], source)


def read_ready(audit: AuditLog | None, patched: datetime, seen: datetime) -> datetime:
    """Return when the Deployment's status said that all replicas are ready.

    The last status that its controller had written before it was seen here, if that is known.
    """
    calls = audit.calls(_CONTROLLER) if audit else []
    moments = [
        call.answered
        for call in calls
        if (call.resource, call.namespace, call.name) == ("deployments/status", NAMESPACE, TARGET)
        and patched < call.answered <= seen
    ]
    return max(moments, default=seen)


def calculate(firing: Firing, patches: Patches, ready: datetime) -> Figures:
    """Return the figures in seconds."""
    return Figures(
        threshold_to_firing_s=_seconds(firing.above_since, firing.fired),
        firing_to_patched_s=_seconds(firing.fired, patches.first),
        patched_to_ready_s=_seconds(patches.first, ready),
        restored_after_resolve_s=_seconds(firing.resolved, patches.last),
    )


def _seconds(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds(), 3)


def build_report(
    figures: Figures, outcome: Outcome, deliveries: Sequence[Delivery], cluster: Cluster
) -> Object:
    """Return the report."""
    return {
        "threshold_to_firing_s": figures.threshold_to_firing_s,
        "firing_to_patched_s": figures.firing_to_patched_s,
        "patched_to_ready_s": figures.patched_to_ready_s,
        "restored_after_resolve_s": figures.restored_after_resolve_s,
        "replicas": {
            "before": outcome.before,
            "peak": outcome.peak,
            "after": outcome.after,
        },
        "restored": outcome.after == outcome.before,
        "messages": [delivery.row for delivery in deliveries],
        "group_wait_s": GROUP_WAIT,
        "alert": ALERT,
        "cluster": {"backend": cluster.backend, "version": cluster.version},
    }


def write_report(report: Any) -> None:
    """Write the report where the demo promises it."""
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

"""The workloads of a stack as rows of its status (pure)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.resource import ConditionStatus, Object
from firewatch.api.stack import ComponentStatus
from firewatch.reconcile.findings import AVAILABLE

_PULL_ERRORS = frozenset(("ErrImagePull", "ImagePullBackOff", "InvalidImageName"))
_ATTEMPT = re.compile(
    r"^(\(combined from similar events\): )?(Error creating: )?(pods \"[^\"]*\" is forbidden: )?"
)
_STARTING = frozenset(("ContainerCreating", "PodInitializing"))


@dataclass(frozen=True)
class Workload:
    """How many pods a workload should have, has, and has ready in their present form."""

    wanted: int
    there: int
    ready: int
    settled: bool
    """Whether the controller has seen the present spec and brought every pod up to it."""

    @property
    def available(self) -> bool:
        """Tell whether every pod that should run is ready and up to date."""
        return self.settled and self.ready >= self.wanted


def stateful_set(live: Object) -> Workload:
    """Read the status of a StatefulSet."""
    status = live.get("status", {})
    wanted: int = live["spec"].get("replicas", 1)
    return Workload(
        wanted=wanted,
        there=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        settled=_is_observed(live) and status.get("updatedReplicas", 0) >= wanted,
    )


def daemon_set(live: Object) -> Workload:
    """Read the status of a DaemonSet."""
    status = live.get("status", {})
    wanted = status.get("desiredNumberScheduled", 0)
    return Workload(
        wanted=wanted,
        there=status.get("currentNumberScheduled", 0),
        ready=status.get("numberReady", 0),
        settled=_is_observed(live) and status.get("updatedNumberScheduled", 0) >= wanted,
    )


def deployment(live: Object) -> Workload:
    """Read the status of a Deployment."""
    status = live.get("status", {})
    wanted: int = live["spec"].get("replicas", 1)
    return Workload(
        wanted=wanted,
        there=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        settled=_is_observed(live) and status.get("updatedReplicas", 0) >= wanted,
    )


def _is_observed(live: Object) -> bool:
    observed: int = live.get("status", {}).get("observedGeneration", 0)
    return bool(observed >= live["metadata"]["generation"])


def row(name: str, workload: Workload, problem: str) -> ComponentStatus:
    """Return the row of a workload."""
    return ComponentStatus(
        name=name,
        ready=ConditionStatus.TRUE if workload.available else ConditionStatus.FALSE,
        pods=f"{min(workload.ready, workload.wanted)}/{workload.wanted}",
        message="" if workload.available else problem[:1024],
    )


def available(rows: Sequence[ComponentStatus]) -> Finding:
    """Return whether every workload has all its pods."""
    behind = [row for row in rows if row.ready is not ConditionStatus.TRUE]
    if not behind:
        return good(AVAILABLE, "Available", "every pod is ready")
    first = behind[0]
    reason = "PodsRefused" if "refused" in first.message else "PodsNotReady"
    return bad(AVAILABLE, reason, f"{first.name}: {first.message}")


def explain_refusal(events: Sequence[Object]) -> str:
    """Return why the pods of a workload are not created, given its Events; empty if unknown.

    Each attempt has an Event of its own that names a pod which never was; without that name the
    text stays the same.
    """
    refusals = [event for event in events if event.get("reason") == "FailedCreate"]
    if not refusals:
        return ""
    latest = max(refusals, key=lambda event: event.get("lastTimestamp") or "")
    text = _ATTEMPT.sub("", latest.get("message", ""))
    if not text.startswith("violates PodSecurity"):
        return f"the pods are refused: {text}"
    return (
        f"the pods are refused: {text}; let the namespace allow them (kubectl label namespace NAME"
        " pod-security.kubernetes.io/enforce=privileged --overwrite), or remove this component from"
        " the stack"
    )


def explain_pods(pods: Sequence[Object]) -> str:
    """Return what keeps pods from being ready, in words that do not change by themselves."""
    problems = filter(None, map(_pod_problem, sorted(pods, key=_name)))
    return next(problems, "waiting for the pods to be ready")


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _pod_problem(pod: Object) -> str:
    status = pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"pod {_name(pod)} cannot be scheduled: {condition.get('message', '')}"
    containers = status.get("containerStatuses") or ()
    return next(filter(None, (_container_problem(_name(pod), each) for each in containers)), "")


def _container_problem(pod: str, container: Object) -> str:
    if container.get("ready"):
        return ""
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting.get("reason", "")
    if reason in _PULL_ERRORS:
        return f"pod {pod}: the image {container.get('image')} cannot be pulled"
    if "not a shared or slave mount" in waiting.get("message", ""):
        return f"pod {pod}: the root of its node is not a shared mount; run mount --make-shared / there"
    if container.get("restartCount"):
        return f"pod {pod} ends again and again; see kubectl logs {pod} --previous"
    return f"pod {pod}: {reason}" if reason and reason not in _STARTING else ""

"""Whether the pods of a target may be renewed one after the other now (pure).

A restart is a rollout. So it must not meet another one, and must be one that the target's strategy and
its PodDisruptionBudgets can take.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.api.restart import RESTARTED_AT
from firewatch.cluster.kinds import DEPLOYMENT, RESTARTED_KINDS, STATEFUL_SET, Kind
from firewatch.respond.selecting import budgets_of


@dataclass(frozen=True)
class Renewal:
    """What a restart has to know of its target."""

    generation: int = 0
    restarted_at: str = ""
    """What our annotation of the pod template says; empty if it is not there."""
    is_annotated: bool = False
    """Whether the pod template has any annotations."""
    is_rolled_out: bool = False
    """Whether all pods are of the present template."""
    obstacle: tuple[str, str] | None = None
    """Why it may not be restarted now: reason, and message with the remedy."""


def find_renewal(kind: Kind, live: Object, budgets: Iterable[Object]) -> Renewal:
    """Return what a restart has to know; ``budgets``: the PodDisruptionBudgets of the namespace."""
    if kind not in RESTARTED_KINDS:
        return Renewal(obstacle=_not_restartable(kind, live))
    metadata = live["spec"]["template"].get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    return Renewal(
        generation=live["metadata"].get("generation", 0),
        restarted_at=annotations.get(RESTARTED_AT, ""),
        is_annotated=bool(annotations),
        is_rolled_out=_is_rolled_out(live),
        obstacle=next(_obstacles(kind, live, budgets), None),
    )


def _not_restartable(kind: Kind, live: Object) -> tuple[str, str]:
    message = (
        f"{kind.kind} {live['metadata']['name']} is neither a Deployment nor a StatefulSet, and what"
        " another pod template would begin there, as a release of a Rollout, is not known; restart it"
        " with its own tool"
    )
    return "NotRestartable", message


def _obstacles(kind: Kind, live: Object, budgets: Iterable[Object]) -> Iterator[tuple[str, str]]:
    who = f"{kind.kind} {live['metadata']['name']}"
    yield from _of_strategy(kind, live, who)
    if not _is_rolled_out(live):
        yield "RolloutInProgress", f"pods of {who} are being renewed already; wait until all are"
    wanted, ready = _wanted(live), live.get("status", {}).get("readyReplicas", 0)
    taken = _taken(kind, live)
    least = wanted - (taken if kind is DEPLOYMENT else 0)
    if ready < least:
        message = (
            f"{ready} of {wanted} pods of {who} are ready, and its strategy keeps {least};"
            " a restart would make them fewer; look after those that are not"
        )
        yield "TooFewReady", message
    for name, allowed in budgets_of(live, budgets):
        if taken > allowed:
            message = (
                f"a restart takes {taken} pods of {who} at a time, and PodDisruptionBudget {name}"
                f" allows {allowed}"
            )
            yield "BudgetExhausted", message


def _of_strategy(kind: Kind, live: Object, who: str) -> Iterator[tuple[str, str]]:
    spec = live["spec"]
    if kind is DEPLOYMENT and (spec.get("strategy") or {}).get("type") == "Recreate":
        yield (
            "AllAtOnce",
            f"{who} ends all pods before it starts others (strategy Recreate); set RollingUpdate",
        )
    update = spec.get("updateStrategy") or {}
    if kind is STATEFUL_SET and update.get("type") == "OnDelete":
        yield (
            "OnDelete",
            f"{who} renews pods only when they are deleted (OnDelete); set RollingUpdate",
        )
    if kind is STATEFUL_SET and (update.get("rollingUpdate") or {}).get("partition", 0) > 0:
        yield "Partitioned", f"{who} renews only pods above its partition; set partition to 0"


def _wanted(live: Object) -> int:
    return int(live["spec"].get("replicas", 1))


def _is_rolled_out(live: Object) -> bool:
    """Tell whether the controller has seen the present template, and all pods are of it."""
    status, wanted = live.get("status", {}), _wanted(live)
    if status.get("observedGeneration", 0) < live["metadata"].get("generation", 0):
        return False
    if status.get("currentRevision") != status.get("updateRevision"):
        return False  # of a StatefulSet; a Deployment has neither
    renewed = status.get("updatedReplicas", 0)
    return bool(renewed >= wanted and status.get("replicas", 0) <= renewed)


def _taken(kind: Kind, live: Object) -> int:
    """Return how many pods a rolling update may have down at a time."""
    spec = live["spec"]
    if kind is STATEFUL_SET:
        rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        return max(1, _share(rolling.get("maxUnavailable", 1), _wanted(live)))
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    taken = _share(rolling.get("maxUnavailable", "25%"), _wanted(live))
    # Where neither is more than none, the Deployment controller takes one.
    return taken or (1 if rolling.get("maxSurge", "25%") in (0, "0%") else 0)


def _share(value: int | str, whole: int) -> int:
    """Return a number, or a percentage rounded down, as the Deployment controller does."""
    return value if isinstance(value, int) else whole * int(value.removesuffix("%")) // 100

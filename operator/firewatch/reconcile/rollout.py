"""Pods that the StatefulSet controller leaves alone: stuck in an old form, or without an owner."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from firewatch.api.conditions import parse_time
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.cluster.apply import delete
from firewatch.cluster.events import post_event
from firewatch.cluster.kinds import POD
from firewatch.reconcile.context import Context
from firewatch.settings import MANAGED_BY, STACK_LABEL

_log = logging.getLogger(__name__)

_REVISION_LABEL = "controller-revision-hash"
_PATIENCE = timedelta(seconds=60)


def stuck_pod(stateful_set: Object, pods: Sequence[Object], now: datetime) -> Object | None:
    """Return the pod of an old revision that is not ready and so holds up the rollout (pure).

    The controller waits for it to become ready before it goes on, which a pod that is broken never
    does. One that is not ready serves nobody, so nothing is lost with it.
    """
    mine = [pod for pod in pods if _owner(pod) == stateful_set["metadata"]["uid"]]
    if any("deletionTimestamp" in pod["metadata"] for pod in mine):
        return None
    stuck = [
        pod
        for pod in mine
        if is_outdated(pod, stateful_set) and _unready_for(pod, now) >= _PATIENCE
    ]
    return max(stuck, key=lambda pod: str(pod["metadata"]["name"]), default=None)


def is_outdated(pod: Object, stateful_set: Object) -> bool:
    """Tell whether a pod has an old form, and the controller is about to renew it (pure)."""
    status = stateful_set.get("status", {})
    update = status.get("updateRevision")
    seen = status.get("observedGeneration", 0) >= stateful_set["metadata"]["generation"]
    mine = pod["metadata"].get("labels", {}).get(_REVISION_LABEL)
    return bool(update and seen and mine != update)


def _owner(pod: Object) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _unready_for(pod: Object, now: datetime) -> timedelta:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "Ready":
            if condition["status"] == "True":
                return timedelta(0)
            if condition.get("lastTransitionTime"):
                return now - parse_time(condition["lastTransitionTime"])
    return now - parse_time(pod["metadata"]["creationTimestamp"])


async def repair_rollout(context: Context, stateful_set: Object, pods: Sequence[Object]) -> None:
    """Delete the pod that holds up a rollout, if there is one: the controller makes it anew."""
    pod = stuck_pod(stateful_set, pods, context.clock())
    if pod is None:
        return
    name = pod["metadata"]["name"]
    _log.info("pod %s holds up the rollout of %s", name, stateful_set["metadata"]["name"])
    await delete(context.cluster, POD, pod)
    await post_event(
        context.cluster,
        {"apiVersion": "apps/v1", "kind": "StatefulSet", **stateful_set},
        reason="RolloutRepaired",
        message=f"pod {name} of an old revision was not ready and held up the rollout: deleted",
        now=context.clock(),
    )


async def remove_orphans(context: Context, namespace: str, stack: str) -> bool:
    """Delete pods of a stack that is gone and that nobody owns; return whether any pod is left.

    There are such pods if the stack goes at the moment when its StatefulSet is made anew.
    """
    labels = {**MANAGED_BY, STACK_LABEL: names.stack_label(stack)}
    pods = await context.cluster.list(POD, namespace, labels)
    for pod in pods:
        if not _owner(pod) and "deletionTimestamp" not in pod["metadata"]:
            await delete(context.cluster, POD, pod)
    return bool(pods)

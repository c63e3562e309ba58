"""How a Job that runs ``promtool`` has ended, and what promtool has said."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from firewatch.api.resource import Object
from firewatch.build.promtool import SECONDS
from firewatch.cluster.client import Cluster
from firewatch.cluster.kinds import POD

_NOT_RUN = frozenset({"StartError", "ContainerCannotRun", "CreateContainerError", "OOMKilled"})


class End(StrEnum):
    """How a Job has ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """promtool has found something."""
    NO_RESULT = "noResult"
    """promtool could not run, or not to its end."""


@dataclass(frozen=True)
class Outcome:
    """What has come of a Job."""

    end: End
    message: str = ""
    """The end of promtool's output, or why there is none."""


async def read_outcome(cluster: Cluster, job: Object) -> Outcome | None:
    """Return what has come of a Job; None while it is under way."""
    conditions = _conditions(job)
    if "Complete" in conditions:
        return Outcome(End.SUCCEEDED)
    if "Failed" not in conditions:
        return None
    if conditions["Failed"] == "DeadlineExceeded":
        message = (
            f"promtool was not done within {SECONDS} s; give it less to do, or see why its pod does"
            " not start (kubectl get events)"
        )
        return Outcome(End.NO_RESULT, message)
    metadata = job["metadata"]
    labels = {"batch.kubernetes.io/job-name": metadata["name"]}
    return _read_pods(await cluster.list(POD, metadata["namespace"], labels))


def _conditions(job: Object) -> dict[str, str]:
    """Return the reasons of the conditions that are true, by type."""
    return {
        condition["type"]: condition.get("reason", "")
        for condition in job.get("status", {}).get("conditions") or ()
        if condition["status"] == "True"
    }


def _read_pods(pods: Sequence[Object]) -> Outcome:
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses") or ():
            ended = container.get("state", {}).get("terminated")
            if not ended:
                continue
            said = ended.get("message", "")
            if ended.get("reason") in _NOT_RUN:
                return Outcome(End.NO_RESULT, f"promtool: {ended['reason']}: {said}".rstrip(": \n"))
            return Outcome(End.FAILED, said)
    return Outcome(End.NO_RESULT, "the pod of promtool is gone, and what it said with it")

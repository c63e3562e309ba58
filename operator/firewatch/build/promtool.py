"""Jobs that run ``promtool`` of a stack's own image on the files of a ConfigMap."""

from collections.abc import Sequence

from firewatch.api.metrics import Metrics
from firewatch.api.resource import Object
from firewatch.api.workload import Workload
from firewatch.build import versions
from firewatch.build.objects import Part
from firewatch.build.pods import Program, pod_template

SECONDS = 60
"""How long a run may take, with the start of its pod."""

_FORGET_SECONDS = 600
_REQUESTS = {"cpu": "50m", "memory": "64Mi"}
_LIMITS = {"cpu": "1", "memory": "512Mi"}


def build_promtool_job(part: Part, arguments: Sequence[str], *, files: str, folder: str) -> Object:
    """Return a Job that finds the files of the ConfigMap ``files`` in ``folder``.

    Its result is the exit status, and the end of promtool's output as the container's termination
    message, so that nobody needs the right to read logs.
    """
    # Placed as Prometheus is, since the image is there already; nothing else of its block holds.
    placed = (part.stack.spec.metrics or Metrics()).model_dump(
        include={"image", "node_selector", "tolerations", "priority_class_name"}
    )
    program = _promtool(arguments, files=files, folder=folder)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": part.meta(),
        "spec": {
            "activeDeadlineSeconds": SECONDS,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": _FORGET_SECONDS,
            "template": pod_template(part, Workload.model_validate(placed), program),
        },
    }


def _promtool(arguments: Sequence[str], *, files: str, folder: str) -> Program:
    mounts: list[Object] = [
        {"name": "files", "mountPath": folder, "readOnly": True},
        # promtool keeps the series of a test in a folder of its own making.
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of this pod alone
    ]
    return Program(
        name="promtool",
        image=versions.PROMETHEUS,
        args=arguments,
        requests=_REQUESTS,
        container={
            "command": ["/bin/promtool"],
            "resources": {"requests": {**_REQUESTS}, "limits": {**_LIMITS}},
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": mounts,
        },
        pod={
            "restartPolicy": "Never",
            "volumes": [
                {"name": "files", "configMap": {"name": files}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
            ],
        },
    )

"""StatefulSets of a stack: pods that may start at once, and volumes that outlive them."""

from collections.abc import Mapping

from firewatch.api.resource import Object
from firewatch.api.workload import Storage, Workload
from firewatch.build.objects import Part, volume_claim
from firewatch.build.pods import Program, pod_template


def build_stateful_set(
    part: Part,
    wanted: Workload,
    program: Program,
    *,
    replicas: int,
    pods_name: str,
    storage: Storage | None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """Return a StatefulSet whose headless Service is ``pods_name``.

    ``annotations`` are those by which new pods are rolled out.
    """
    spec: Object = {
        "replicas": replicas,
        "serviceName": pods_name,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "selector": {"matchLabels": part.selector()},
        "template": pod_template(part, wanted, program, annotations or {}),
    }
    if storage:
        spec["volumeClaimTemplates"] = [volume_claim(part, storage)]
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": part.meta(), "spec": spec}

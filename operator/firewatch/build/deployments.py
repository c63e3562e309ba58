"""Deployments of a stack: one pod, replaced without a gap."""

from collections.abc import Mapping

from firewatch.api.resource import Object
from firewatch.api.workload import Workload
from firewatch.build.objects import Part
from firewatch.build.pods import Program, pod_template


def build_deployment(
    part: Part, wanted: Workload, program: Program, *, annotations: Mapping[str, str] | None = None
) -> Object:
    """Return a Deployment of one pod; ``annotations`` are those by which a new one is rolled out."""
    spec: Object = {
        "replicas": 1,
        "revisionHistoryLimit": 2,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "selector": {"matchLabels": part.selector()},
        "template": pod_template(part, wanted, program, annotations or {}),
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": part.meta(), "spec": spec}

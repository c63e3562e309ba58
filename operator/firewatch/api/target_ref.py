"""What an AutoResponse acts on."""

from typing import Annotated

from pydantic import Field

from firewatch.api.resource import Model, Name

TargetKind = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$", min_length=1, max_length=63)]
"""Kind of an object that can be scaled; which of them may be is said in the chart."""


class TargetRef(Model):
    """What is acted on, in the namespace of this resource."""

    kind: TargetKind = "Deployment"
    """``Deployment``, ``StatefulSet``, ``Rollout`` (Argo Rollouts), or a kind with a scale
    subresource that the chart's ``targets.extraKinds`` names. If a HorizontalPodAutoscaler or a KEDA
    ScaledObject scales it, that one's minimum is raised instead of its replicas.
    """
    name: Name
    """Name of the target."""

"""What an AutoResponse acts on."""

from enum import StrEnum

from firewatch.api.resource import Model, Name


class TargetKind(StrEnum):
    """Kinds that can be acted on."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    ROLLOUT = "Rollout"


class TargetRef(Model):
    """What is acted on, in the namespace of this resource."""

    kind: TargetKind = TargetKind.DEPLOYMENT
    """``Deployment``, ``StatefulSet``, or ``Rollout`` (Argo Rollouts). If a HorizontalPodAutoscaler
    or a KEDA ScaledObject scales it, that one's minimum is raised instead of its replicas.
    """
    name: Name
    """Name of the target."""

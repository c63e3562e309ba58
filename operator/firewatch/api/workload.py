"""Fields that every workload block of a MonitoringStack has in common."""

from typing import Annotated, Any

from pydantic import Field, JsonValue

from firewatch.api.resource import Model, Name, Quantity

Image = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$", min_length=1, max_length=512)
]
"""A container image reference."""

FREE: dict[str, JsonValue] = {"x-kubernetes-preserve-unknown-fields": True}
"""Marks a field whose content the API server validates on the child object."""


class Resources(Model):
    """Compute resources of a container, as in a pod's ``resources``."""

    requests: dict[str, Quantity] = Field(default={}, max_length=8)
    """What the scheduler reserves, by resource name (cpu, memory)."""
    limits: dict[str, Quantity] = Field(default={}, max_length=8)
    """What the container may use at most, by resource name (cpu, memory)."""


class Storage(Model):
    """A persistent volume for each replica; it is kept when the stack is deleted."""

    size: Quantity
    """Size of the volume, for example ``50Gi``."""
    storage_class_name: Name | None = None
    """StorageClass of the volume; the cluster's default class when left out."""


class Placement(Model):
    """Image, compute resources and placement of a workload's pods."""

    image: Image | None = None
    """Container image; the version that this Firewatch release was tested with when left out."""
    resources: Resources = Resources()
    """Compute resources of the main container."""
    node_selector: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        default={}, max_length=32
    )
    """Labels that a node must have to run the pods."""
    tolerations: list[dict[str, Any]] | None = Field(
        default=None, max_length=32, json_schema_extra=FREE
    )
    """Tolerations of the pods, as in a pod's ``tolerations``."""
    affinity: dict[str, Any] | None = Field(default=None, json_schema_extra=FREE)
    """Affinity of the pods, as in a pod's ``affinity``."""
    topology_spread: list[dict[str, Any]] | None = Field(
        default=None, max_length=8, json_schema_extra=FREE
    )
    """Topology spread constraints, as in a pod's ``topologySpreadConstraints``."""

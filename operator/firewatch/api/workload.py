"""Fields that every workload block of a MonitoringStack has in common."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, JsonValue, model_validator

from firewatch.api.resource import GROUP, Model, Name, Quantity, Rule, rules

Image = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$", min_length=1, max_length=512)
]
"""A container image reference."""

Registry = Annotated[
    str,
    Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]{1,5})?(/[a-zA-Z0-9._-]+)*$", max_length=255),
]
"""A registry's host, with a port and a path if need be."""

FREE: dict[str, JsonValue] = {"x-kubernetes-preserve-unknown-fields": True}
"""Marks a field whose content the API server validates on the child object."""

OWN_PREFIXES = ("app.kubernetes.io/", f"{GROUP}/")
"""Beginnings of the names of labels and annotations that Firewatch gives."""

OURS = rules(
    Rule(
        f"self.all(k, {' && '.join(f'!k.startsWith({prefix!r})' for prefix in OWN_PREFIXES)})",
        f"names that begin with {' or '.join(OWN_PREFIXES)} belong to Firewatch",
    )
)
"""Rule of fields with labels or annotations."""

MetaName = Annotated[
    str,
    Field(
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$",
        max_length=317,
    ),
]
LabelValue = Annotated[
    str, Field(pattern=r"^([a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?)?$", max_length=63)
]
_Argument = Annotated[str, Field(pattern=r"^--?[a-zA-Z0-9][a-zA-Z0-9._-]*(=.*)?$", max_length=1024)]


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


class Workload(Placement):
    """A workload: its image, resources and placement, and what is added to its pods."""

    own_flags: ClassVar[frozenset[str]] = frozenset()
    """Flags, without dashes, that Firewatch sets itself or that would cut it off from the program."""
    own_env: ClassVar[frozenset[str]] = frozenset()
    """Environment variables that Firewatch sets itself."""

    priority_class_name: Name | None = None
    """PriorityClass of the pods."""
    extra_args: list[_Argument] = Field(default=[], max_length=32)
    """Further arguments of the main container, as ``--flag=value``; a flag that Firewatch sets itself
    is refused.
    """
    extra_env: list[dict[str, Any]] = Field(default=[], max_length=64, json_schema_extra=FREE)
    """Further environment variables of the main container, as in a container's ``env``; take
    credentials from a Secret, by ``valueFrom.secretKeyRef``.
    """
    pod_labels: dict[MetaName, LabelValue] = Field(
        default={}, max_length=32, json_schema_extra=OURS
    )
    """Further labels of the pods."""
    pod_annotations: dict[MetaName, Annotated[str, Field(max_length=4096)]] = Field(
        default={}, max_length=32, json_schema_extra=OURS
    )
    """Further annotations of the pods."""

    @model_validator(mode="after")
    def _nothing_of_ours_is_set(self) -> Self:
        for argument in self.extra_args:
            flag = argument.lstrip("-").partition("=")[0]
            if self.own_flags & {flag, flag.removeprefix("no-")}:
                raise ValueError(f"extraArgs: --{flag} belongs to Firewatch; remove it")
        for entry in self.extra_env:
            if entry.get("name") in self.own_env:
                raise ValueError(f"extraEnv: {entry['name']} belongs to Firewatch; remove it")
        for field, names in (
            ("podLabels", self.pod_labels),
            ("podAnnotations", self.pod_annotations),
        ):
            for name in names:
                if name.startswith(OWN_PREFIXES):
                    raise ValueError(f"{field}: {name} belongs to Firewatch; remove it")
        return self

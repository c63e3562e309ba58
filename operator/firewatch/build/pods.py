"""The pods of a workload: what a program needs, what its block says, and the hardened defaults."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from firewatch.api.resource import Object
from firewatch.api.workload import Workload
from firewatch.build.objects import NOBODY, Part, container_security, pod_security, resources

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Program:
    """The main container of a workload's pods, and what the pods need for it."""

    name: str
    """Name of the container; overrides and ``kubectl logs -c`` know it by this."""
    image: str
    """Image if the block names none."""
    args: Sequence[str]
    requests: Mapping[str, str]
    """Compute resources reserved if the block names none."""
    env: Sequence[Object] = ()
    container: Object = field(default_factory=dict)
    """Further fields of the container: ports, probes, volumeMounts."""
    pod: Object = field(default_factory=dict)
    """Further fields of the pod's spec: volumes, serviceAccountName."""
    sidecars: Sequence[Object] = ()
    """Further containers, whole."""
    tolerations: Sequence[Object] = ()
    """Tolerations if the block names none."""
    writes_volume: bool = False
    """Whether the pod owns files on a volume, which then belong to its group."""
    spread: bool = False
    """Whether the pods keep apart where they can, if the block names no affinity."""


def pod_template(
    part: Part, wanted: Workload, program: Program, annotations: Mapping[str, str] = _NONE
) -> Object:
    """Return the pod template of a workload; ``annotations`` are Firewatch's own."""
    metadata: Object = {"labels": {**wanted.pod_labels, **part.labels()}}
    if found := {**wanted.pod_annotations, **annotations}:
        metadata["annotations"] = found
    return {"metadata": metadata, "spec": _pod(part, wanted, program)}


def _pod(part: Part, wanted: Workload, program: Program) -> Object:
    security = pod_security()
    if program.writes_volume:
        security |= {"fsGroup": NOBODY, "fsGroupChangePolicy": "OnRootMismatch"}
    secrets = part.stack.spec.image_pull_secrets
    fields: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "priorityClassName": wanted.priority_class_name,
        "imagePullSecrets": [{"name": secret.name} for secret in secrets],
        "securityContext": security,
        **_placement(part, wanted, program),
        "containers": [_container(part, wanted, program), *program.sidecars],
        **program.pod,
    }
    return {name: value for name, value in fields.items() if value not in (None, [])}


def _placement(part: Part, wanted: Workload, program: Program) -> Object:
    """Return where the pods may run."""
    affinity = wanted.affinity
    if affinity is None and program.spread:
        affinity = _apart(part)
    tolerations = program.tolerations if wanted.tolerations is None else wanted.tolerations
    found: dict[str, Any] = {
        "nodeSelector": {"kubernetes.io/os": "linux", **wanted.node_selector},
        "tolerations": [*tolerations],
        "affinity": affinity,
        "topologySpreadConstraints": wanted.topology_spread,
    }
    return {name: deepcopy(value) for name, value in found.items() if value}


def _apart(part: Part) -> Object:
    """Return the wish, not the demand, that pods run on different nodes: one node is enough."""
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": part.selector()},
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _container(part: Part, wanted: Workload, program: Program) -> Object:
    env = [*program.env, *deepcopy(wanted.extra_env)]
    return {
        "name": program.name,
        "image": wanted.image or image_at(part.stack.spec.image_registry, program.image),
        "args": [*program.args, *wanted.extra_args],
        **({"env": env} if env else {}),
        "resources": resources(wanted.resources, default=program.requests),
        "securityContext": container_security(),
        **program.container,
    }


def image_at(registry: str | None, image: str) -> str:
    """Return a default image as it is called in the stack's registry.

    The host of the image's own registry makes way for it; the rest of the name stays.
    """
    if registry is None:
        return image
    first, slash, rest = image.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return f"{registry}/{rest if has_host else image}"

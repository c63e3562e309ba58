"""Who else keeps a target as it should be (pure): Argo CD, Flux or Helm, from what they leave on it.

They put back what a response has changed, unless they are told to ignore it. So it is said how.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from firewatch.api.resource import Object
from firewatch.build.yaml_text import dump_yaml


class Tool(StrEnum):
    """What keeps a target."""

    ARGO_CD = "Argo CD"
    FLUX = "Flux"
    HELM = "Helm"


@dataclass(frozen=True)
class Keeper:
    """What keeps an object, and by which of its own objects."""

    tool: Tool
    name: str

    def __str__(self) -> str:
        """Return it in words."""
        what = {Tool.ARGO_CD: "application", Tool.FLUX: "Kustomization", Tool.HELM: "release"}
        return f"{self.tool} ({what[self.tool]} {self.name})"


@dataclass(frozen=True)
class Field:
    """The field that a response changes."""

    group: str
    kind: str
    namespace: str
    name: str
    path: str
    """As ``/spec/replicas``."""


def find_keeper(live: Object) -> Keeper | None:
    """Return what keeps an object, if it is recognised.

    Argo CD by its tracking annotation or label, Flux by the labels of its controllers, Helm by the
    annotation with its release; in this order, since the first two may have Helm make the manifests.
    """
    metadata = live["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return _argo(labels, annotations) or _flux(labels) or _helm(annotations)


def _argo(labels: Mapping[str, str], annotations: Mapping[str, str]) -> Keeper | None:
    tracking = annotations.get("argocd.argoproj.io/tracking-id", "").partition(":")[0]
    name = tracking or labels.get("argocd.argoproj.io/instance", "")
    return Keeper(Tool.ARGO_CD, name) if name else None


def _flux(labels: Mapping[str, str]) -> Keeper | None:
    for controller in ("kustomize", "helm"):
        name = labels.get(f"{controller}.toolkit.fluxcd.io/name")
        if name:
            namespace = labels.get(f"{controller}.toolkit.fluxcd.io/namespace", "")
            return Keeper(Tool.FLUX, f"{namespace}/{name}" if namespace else name)
    return None


def _helm(annotations: Mapping[str, str]) -> Keeper | None:
    name = annotations.get("meta.helm.sh/release-name")
    return Keeper(Tool.HELM, name) if name else None


def remedy(keeper: Keeper, field: Field) -> str:
    """Return what keeps the tool from putting the field back."""
    match keeper.tool:
        case Tool.ARGO_CD:
            return f"add to the spec of application {keeper.name}:\n{_ignore_differences(field)}"
        case Tool.FLUX:
            return (
                f"leave {field.path} of {field.kind} {field.name} out of Git: Flux then leaves alone"
                " what others set"
            )
        case Tool.HELM:
            return (
                f"leave {field.path} of {field.kind} {field.name} out of the chart's values; until"
                f" then every `helm upgrade` of {keeper.name} sets it, and the response calls that a"
                " change by somebody else"
            )


def _ignore_differences(field: Field) -> str:
    """Return the part of an Application: both are needed, the second for syncs."""
    ignored = {
        "group": field.group,
        "kind": field.kind,
        "namespace": field.namespace,
        "name": field.name,
        "jsonPointers": [field.path],
    }
    return dump_yaml(
        {
            "ignoreDifferences": [ignored],
            "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]},
        }
    )

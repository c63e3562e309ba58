"""The installed CustomResourceDefinitions, compared with the models that the operator works with.

The API server drops every field that a definition does not have, silently: under an older one a
status would be written again and again, and what it should hold would be lost. So the operator does
not start there. The fields themselves are compared and no version number, which could be right
while the content is not. Fields are only ever added, so a definition that has all of ours is as
old as the operator or newer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import VERSION, CustomKind, Object
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ClusterError, NotFoundError
from firewatch.cluster.kinds import CRD

_REMEDY = (
    "apply the CustomResourceDefinitions that belong to this operator: `kubectl apply -f crds/`, "
    "or `helm upgrade` with its chart"
)
_SHOWN = 5


@dataclass(frozen=True)
class Difference:
    """Fields that only one of the two knows, as paths from ``spec`` or ``status``."""

    missing: tuple[str, ...] = ()
    """Known to the operator and not to the installed definition."""
    unknown: tuple[str, ...] = ()
    """Known to the installed definition and not to the operator."""


@dataclass(frozen=True)
class Findings:
    """What is to be said of the installed definitions before the operator starts."""

    problem: str = ""
    """Why it must not start; empty if it may."""
    warnings: tuple[str, ...] = ()


async def gather_definitions(cluster: Cluster) -> Findings:
    """Look at the definition of each of our kinds and say what is wrong, and what to do."""
    problems, warnings = [], []
    for custom in CUSTOM_KINDS:
        name = custom.definition
        try:
            found = await cluster.get(CRD, "", name)
        except NotFoundError:
            problems.append(f"{name} is not installed")
        except ClusterError as error:
            return Findings(f"CustomResourceDefinition {name} cannot be read: {error}")
        else:
            difference = compare(custom, found)
            problems += _older(name, difference)
            warnings += _newer(name, difference)
    problem = f"{'; '.join(problems)}: {_REMEDY}" if problems else ""
    return Findings(problem, tuple(warnings))


def compare(custom: CustomKind, crd: Object) -> Difference:
    """Return in which fields a kind and its installed definition differ."""
    versions = {v["name"]: v for v in crd["spec"]["versions"] if v["served"]}
    if VERSION not in versions:
        return Difference(missing=(f"the version {VERSION}",))
    parts = versions[VERSION]["schema"]["openAPIV3Schema"].get("properties", {})
    ours = {*_model_paths(custom.spec, "spec"), *_model_paths(custom.status, "status")}
    theirs = {path for part in ("spec", "status") for path in _paths(parts.get(part, {}), part)}
    return Difference(_topmost(ours - theirs), _topmost(theirs - ours))


def _model_paths(model: type[BaseModel], path: str) -> Iterator[str]:
    """Yield the path of a model and those of all fields below."""
    yield path
    for name, field in model.model_fields.items():
        below = f"{path}.{field.alias or name}"
        yield below
        for inner in _models(field.annotation):
            yield from _model_paths(inner, below)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in an annotation, for example that of ``list[Rule] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _paths(node: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the path of a node of a schema and those of all fields below."""
    if node:
        yield path
    for name, child in node.get("properties", {}).items():
        yield from _paths(child, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(node.get(inner), Mapping):
            yield from _paths(node[inner], path)


def _topmost(paths: set[str]) -> tuple[str, ...]:
    """Return the paths without those below another of them."""
    return tuple(sorted(path for path in paths if path.rpartition(".")[0] not in paths))


def _older(name: str, difference: Difference) -> list[str]:
    if not difference.missing:
        return []
    return [f"{name} is older than this operator: it lacks {_listed(difference.missing)}"]


def _newer(name: str, difference: Difference) -> list[str]:
    if not difference.unknown:
        return []
    unknown = _listed(difference.unknown)
    effect = "a resource that uses it is refused, and what runs is left as it is"
    return [f"{name} is newer than this operator, which does not know {unknown}: {effect}"]


def _listed(paths: tuple[str, ...]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

"""The files of examples/ that kubectl takes as they are."""

from pathlib import Path

import yaml

from firewatch.api.resource import Object

ROOT = Path(__file__).parents[2]

_NOT_FOR_KUBECTL = {
    "kustomization.yaml",
    # Argo CD's kind, which this API server does not know.
    "application.yaml",
}
EXAMPLES = sorted(
    path for path in (ROOT / "examples").rglob("*.yaml") if path.name not in _NOT_FOR_KUBECTL
)


def objects_of(text: str) -> list[Object]:
    """Return the objects of a file."""
    return [found for found in yaml.safe_load_all(text) if found]


def namespaces_of(objects: list[Object]) -> list[str]:
    """Return the namespaces that objects are in."""
    return sorted({found["metadata"].get("namespace", "default") for found in objects})

"""The journey of the documentation, through the example application."""

import re
from pathlib import Path
from typing import Any

import yaml

from e2e.kubectl import Object

SECRET = "journey"
_PAGE = Path(__file__).parents[1] / "docs" / "journeys.md"


def documented_journey(base_url: str, **fields: Any) -> Object:
    """Return the journey that docs/journeys.md shows, to another address."""
    found = re.search(r"```yaml\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    (journey,) = yaml.safe_load(found[1])["spec"]["synthetic"]["journeys"]
    return {**journey, "baseUrl": base_url, **fields}


def secret(namespace: str, password: str) -> Object:
    """Return the Secret that it names."""
    metadata = {"name": SECRET, "namespace": namespace}
    data = {"password": password}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}

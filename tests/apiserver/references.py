"""Which fields of our kinds name another object or a namespace: by the schemas, so that none is forgotten."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from firewatch.api.resource import Object
from tests.apiserver.deployed import ROOT

_FORMS = ({"name", "key"}, {"name"}, {"name", "namespace"}, {"kind", "name"})
"""The fields that references have: to a key of something, and to something."""
_LISTS = "namespaces"
"""Name of the fields that list namespaces."""


@cache
def schemas() -> dict[str, Object]:
    """Return the schema of ``spec`` of each kind."""
    found = {}
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        definition = yaml.safe_load(path.read_text())["spec"]
        (version,) = definition["versions"]
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        found[definition["names"]["kind"]] = properties["spec"]
    return found


def fields(schema: Object, path: str = "") -> Iterator[tuple[str, Object]]:
    """Yield path and schema of each field that names something; lists and maps are no part of a path."""
    if _is_reference(schema):
        yield path, schema
        return
    for name, part in schema.get("properties", {}).items():
        if name == _LISTS:
            yield _below(path, name), part
        else:
            yield from fields(part, _below(path, name))
    for part in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(part, dict):
            yield from fields(part, path)


def settings(schema: Object, value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of each of these fields that is set."""
    if _is_reference(schema):
        yield path, value
    elif isinstance(value, list):
        for item in value:
            yield from settings(schema.get("items", {}), item, path)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _part_settings(schema, name, part, path)


def _part_settings(schema: Object, name: str, part: Any, path: str) -> Iterator[tuple[str, Any]]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    if name in properties and name == _LISTS:
        yield _below(path, name), part
    elif name in properties:
        yield from settings(properties[name], part, _below(path, name))
    elif isinstance(others, dict):
        yield from settings(others, part, path)


def settings_of(resource: Object) -> list[tuple[str, Any]]:
    """Return path and value of each field of a resource that names something."""
    return [*settings(schemas()[resource["kind"]], resource["spec"])]


def _is_reference(schema: Object) -> bool:
    return set(schema.get("properties", ())) in _FORMS


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name

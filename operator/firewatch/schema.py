"""From the JSON Schema that pydantic writes to the structural schema that a CRD can hold (pure).

Whatever a structural schema cannot hold, or would hold without a bound, is refused by name here,
since the API server either drops it silently or answers with an error far from the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from firewatch.api.resource import Object

_INT_OR_STRING = "x-kubernetes-int-or-string"
_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_RULES = "x-kubernetes-validations"

_COPIED: Mapping[str, tuple[str, ...]] = {
    "string": ("enum", "format", "pattern", "minLength", "maxLength"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "boolean": (),
    "array": ("minItems", "maxItems", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    "object": ("minProperties", "maxProperties", "x-kubernetes-map-type"),
}
"""Keywords that mean the same in both worlds, by type."""

_INT_OR_STRING_KEYWORDS = ("minimum", "maximum", "pattern", "maxLength")

_READ = frozenset(
    {
        *("type", "title", "description", "default", "const", "anyOf"),
        *("properties", "required", "additionalProperties", "patternProperties", "propertyNames"),
        *("items", _INT_OR_STRING, _PRESERVE, _RULES),
    }
).union(*_COPIED.values())

# pydantic's ``duration`` is ISO 8601, the API server's is Go's; other formats it ignores silently.
_FORMATS = frozenset({"date-time", "date", "ipv4", "ipv6", "uuid"})
_EXCLUSIVE = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))
_EMPTY: tuple[Any, ...] = (None, [], {})


class NotStructuralError(ValueError):
    """A model says something that a CRD cannot hold; the message names the field."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


def structural_schema(model: type[BaseModel], path: str, *, defaults: bool = True) -> Object:
    """Return the schema of a model for a CRD; ``NotStructuralError`` names what does not fit.

    Defaults are left out of ``status``: there a value means that the operator has said so.
    """
    document = model.model_json_schema()
    return _Conversion(document.pop("$defs", {}), defaults).node(document, path, ())


def plain_text(description: str) -> str:
    """Return a docstring as text for people: a line per paragraph, single backticks."""
    paragraphs = description.strip().split("\n\n")
    return "\n".join(" ".join(part.split()) for part in paragraphs).replace("``", "`")


def with_defaults(value: Mapping[str, Any], node: Mapping[str, Any]) -> Object:
    """Return an object as the API server stores it under this schema, lists left as they are."""
    result = dict(value)
    for name, child in node.get("properties", {}).items():
        if name not in result and "default" in child:
            result[name] = child["default"]
        if isinstance(result.get(name), dict):
            result[name] = with_defaults(result[name], child)
    return result


@dataclass(frozen=True)
class _Conversion:
    definitions: Mapping[str, Object]
    defaults: bool

    def node(self, raw: Mapping[str, Any], path: str, seen: tuple[str, ...]) -> Object:
        """Return the structural form of one node and everything below it."""
        schema, seen = self._resolve(raw, path, seen)
        if unknown := schema.keys() - _READ:
            raise NotStructuralError(path, f"keywords that a CRD does not know: {sorted(unknown)}")
        kind = str(schema.get("type"))
        node: Object = {}
        if "description" in schema:
            node["description"] = plain_text(schema["description"])
        node |= _own_keywords(schema, kind, path)
        if kind == "array":
            node |= self._array(schema, path, seen)
        elif kind == "object":
            node |= self._object(schema, path, seen)
        if _RULES in schema:
            node[_RULES] = [*node.get(_RULES, ()), *schema[_RULES]]
        if self.defaults and "default" in schema:
            _put_default(node, schema["default"], path)
        return node

    def _resolve(
        self, raw: Mapping[str, Any], path: str, seen: tuple[str, ...]
    ) -> tuple[Object, tuple[str, ...]]:
        """Return the node with references inlined and ``| None`` taken away."""
        schema = dict(raw)
        while True:
            if reference := schema.pop("$ref", None):
                name = reference.removeprefix("#/$defs/")
                if name in seen:
                    raise NotStructuralError(path, f"{name} contains itself")
                seen = (*seen, name)
                schema = _over(self.definitions[name], schema)
            elif "anyOf" in schema and not schema.get(_INT_OR_STRING):
                branches = [b for b in schema.pop("anyOf") if b != {"type": "null"}]
                if len(branches) != 1:
                    raise NotStructuralError(path, "a union; use one optional field per variant")
                schema = _over(branches[0], schema)
            else:
                return schema, seen

    def _array(self, schema: Mapping[str, Any], path: str, seen: tuple[str, ...]) -> Object:
        if "maxItems" not in schema:
            raise NotStructuralError(path, "a list without max_length")
        items = dict(schema.get("items", {}))
        if schema.get(_PRESERVE):
            items[_PRESERVE] = True
        return {"items": self.node(items, f"{path}[]", seen)}

    def _object(self, schema: Mapping[str, Any], path: str, seen: tuple[str, ...]) -> Object:
        if "properties" in schema:
            return self._properties(schema, path, seen)
        if schema.get(_PRESERVE):
            return {_PRESERVE: True}
        return self._map(schema, path, seen)

    def _map(self, schema: Mapping[str, Any], path: str, seen: tuple[str, ...]) -> Object:
        patterns = schema.get("patternProperties", {})
        values = [*patterns.values()] or [schema.get("additionalProperties")]
        if len(values) != 1 or not isinstance(values[0], dict):
            raise NotStructuralError(path, "a map without a type of its values")
        if "maxProperties" not in schema:
            raise NotStructuralError(path, "a map without max_length")
        node: Object = {"additionalProperties": self.node(values[0], f"{path}.*", seen)}
        keys = {**schema.get("propertyNames", {})}
        if patterns:
            keys["pattern"] = next(iter(patterns))
        if keys:
            node[_RULES] = [_key_rule(keys, path)]
        return node

    def _properties(self, schema: Mapping[str, Any], path: str, seen: tuple[str, ...]) -> Object:
        if schema.get("additionalProperties") or schema.get(_PRESERVE):
            raise NotStructuralError(path, "named fields and others besides")
        properties = {
            name: self.node(child, f"{path}.{name}", seen)
            for name, child in schema["properties"].items()
        }
        for name, child in properties.items():
            if not child.get("description"):
                raise NotStructuralError(f"{path}.{name}", "it has no description")
        # The API server drops an empty table, so that every apply would find a difference.
        node: Object = {"properties": properties} if properties else {}
        if schema.get("required"):
            node["required"] = sorted(schema["required"])
        return node


def _copy(schema: Mapping[str, Any], keywords: tuple[str, ...]) -> Object:
    return {key: schema[key] for key in keywords if key in schema}


def _over(base: Mapping[str, Any], own: Mapping[str, Any]) -> Object:
    """Return a type's schema with what its user says on top; CEL rules of both hold."""
    merged = {**base, **own}
    if _RULES in base and _RULES in own:
        merged[_RULES] = [*base[_RULES], *own[_RULES]]
    return merged


def _key_rule(keys: Mapping[str, Any], path: str) -> Object:
    """Return the CEL rule for the keys of a map, of which a structural schema says nothing."""
    known = {
        "pattern": ("k.matches(r'{}')", "match {}"),
        "maxLength": ("k.size() <= {}", "have at most {} characters"),
    }
    if (unknown := keys.keys() - known.keys()) or "'" in keys.get("pattern", ""):
        raise NotStructuralError(path, f"keys with {sorted(unknown) or 'a quote in the pattern'}")
    said = [(*known[keyword], keys[keyword]) for keyword in known if keyword in keys]
    tests = " && ".join(rule.format(value) for rule, _, value in said)
    words = " and ".join(message.format(value) for _, message, value in said)
    return {"rule": f"self.all(k, {tests})", "message": f"each name must {words}"}


def _own_keywords(schema: Mapping[str, Any], kind: str, path: str) -> Object:
    """Return the type and the keywords of the node itself, in the words of OpenAPI 3.0."""
    if schema.get(_INT_OR_STRING):
        node = {_INT_OR_STRING: True, **_copy(schema, _INT_OR_STRING_KEYWORDS)}
        return _with_bound(node, path)
    if kind not in _COPIED:
        raise NotStructuralError(path, "it has no type")
    node = {"type": kind, **_copy(schema, _COPIED[kind])}
    if "const" in schema:
        node["enum"] = [schema["const"]]
    for exclusive, inclusive in _EXCLUSIVE:
        if exclusive in node:
            node |= {inclusive: node[exclusive], exclusive: True}
    if node.get("format", "date-time") not in _FORMATS:
        raise NotStructuralError(path, f"format {node['format']}; use a string with a pattern")
    return _with_bound(node, path) if kind == "string" else node


def _with_bound(node: Object, path: str) -> Object:
    if node.keys() & {"maxLength", "enum", "format", "pattern"}:
        return node
    raise NotStructuralError(path, "a string without max_length, pattern or enum")


def _put_default(node: Object, default: Any, path: str) -> None:
    """Put the default on the node, of a model only what its own fields do not fill in.

    An empty list or map says no more than the field's absence and is left out.
    """
    own = _own_part(default, node)
    if isinstance(own, dict) and "properties" in node:
        stored = with_defaults(own, node)
        if _bare(stored) != _bare(default):
            raise NotStructuralError(path, f"the API server would make {stored} of its default")
        if stored:
            node["default"] = own
    elif own not in _EMPTY:
        node["default"] = own


def _own_part(value: Any, node: Mapping[str, Any]) -> Any:
    """Return a default without what the defaults of its own fields say as well."""
    if not isinstance(value, dict):
        return value
    properties = node.get("properties", {})
    parts = {name: _own_part(v, properties.get(name, {})) for name, v in value.items()}
    return {
        name: part
        for name, part in parts.items()
        if part not in _EMPTY and part != properties.get(name, {}).get("default")
    }


def _bare(value: Any) -> Any:
    """Return the value without nulls, empty lists and empty maps."""
    if not isinstance(value, dict):
        return value
    bare = {name: _bare(v) for name, v in value.items()}
    return {name: v for name, v in bare.items() if v not in _EMPTY}

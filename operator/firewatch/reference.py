"""docs/api.md: every field of every kind, from the CRDs themselves (pure)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from firewatch.api.resource import (
    API_VERSION,
    CATEGORY,
    DURATION_PATTERN,
    NAME_PATTERN,
    QUANTITY_PATTERN,
    CustomKind,
    Object,
)

_INTRODUCTION = f"""\
# API reference

<!-- Written by `make generate` from operator/firewatch/api; edit there. -->

All kinds belong to `{API_VERSION}`, live in a namespace and are in the category `{CATEGORY}`
(`kubectl get {CATEGORY}`). `kubectl explain <kind>.spec` shows the same texts.

In the tables `[]` stands for the entries of a list and `.*` for the values of a map; **bold**
fields must be set. A default is filled in by the API server when its block is present. Rules below
a table are checked by the API server when a resource is written, with the message shown.

| Type | What it looks like |
|---|---|
| duration | Prometheus' form: `15s`, `5m`, `1h30m`; units y w d h m s ms, in this order |
| quantity | Kubernetes' form: `2`, `500m`, `10Gi` |
| name | a Kubernetes name: lower-case letters, digits, `-` and `.`, at most 253 characters |
"""

_NAMED = {DURATION_PATTERN: "duration", QUANTITY_PATTERN: "quantity", NAME_PATTERN: "name"}
"""Types that the introduction explains, by their pattern; their bounds are not repeated."""

_SPANS = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "entries"),
    ("minProperties", "maxProperties", "entries"),
)
_SINGLE = (("pattern", "matches `{}`"), ("format", "format {}"))


def render_reference(kinds: Iterable[tuple[CustomKind, Object]]) -> str:
    """Return the page for these kinds, given each with its CRD."""
    return "\n".join([_INTRODUCTION, *(_render_kind(custom, crd) for custom, crd in kinds)])


def _render_kind(custom: CustomKind, crd: Object) -> str:
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    parts = [
        f"## {custom.kind}\n",
        f"{custom.description}\n",
        f"Short name `{custom.short}`, resource `{custom.plural}.{crd['spec']['group']}`.\n",
    ]
    for part in ("spec", "status"):
        parts += [f"### {custom.kind} {part}\n", f"{properties[part]['description']}\n"]
        parts += ["| Field | Type | Default | Bounds | Meaning |", "|---|---|---|---|---|"]
        parts += [_row(path, node, must=must) for path, node, must in _walk(properties[part], "")]
        parts.append("")
        if messages := [*_messages(properties[part], part)]:
            parts += ["Rules:\n", *messages, ""]
    return "\n".join(parts)


def _walk(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield every field below a node, in order: its path, its schema, whether it must be set."""
    required = node.get("required", ())
    for name, child in node.get("properties", {}).items():
        here = f"{path}.{name}".removeprefix(".")
        yield here, child, name in required
        inner, suffix = _innermost(child)
        yield from _walk(inner, here + suffix)


def _innermost(node: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return what a list or map holds, and how its path is written."""
    if "items" in node:
        inner, suffix = _innermost(node["items"])
        return inner, "[]" + suffix
    if "additionalProperties" in node:
        inner, suffix = _innermost(node["additionalProperties"])
        return inner, ".*" + suffix
    return node, ""


def _row(path: str, node: Mapping[str, Any], *, must: bool) -> str:
    name = f"**`{path}`**" if must else f"`{path}`"
    cells = (name, _type(node), _default(node), _bounds(node), _cell(node["description"]))
    return f"| {' | '.join(cells)} |"


def _type(node: Mapping[str, Any]) -> str:
    if named := _NAMED.get(node.get("pattern", "")):
        return named
    if "x-kubernetes-int-or-string" in node:
        return "integer or string"
    if "items" in node:
        return f"list of {_type(node['items'])}"
    if "additionalProperties" in node:
        return f"map of {_type(node['additionalProperties'])}"
    if "x-kubernetes-preserve-unknown-fields" in node:
        return "object (checked on the child)"
    return str(node["type"])


def _default(node: Mapping[str, Any]) -> str:
    default = node.get("default")
    return "" if default in (None, {}) else f"`{default}`"


def _bounds(node: Mapping[str, Any]) -> str:
    inner, _ = _innermost(node)
    said = _said(node)
    if inner is not node:
        said += [f"each {bound}" for bound in _said(inner)]
    if "enum" in inner:
        said.append("one of " + ", ".join(f"`{value}`" for value in inner["enum"]))
    if (limits := _limits(inner)) and inner.get("pattern") not in _NAMED:
        said.append(limits)
    return _cell("; ".join(said))


def _said(node: Mapping[str, Any]) -> list[str]:
    """Return what a node says of its size and form."""
    if node.get("pattern") in _NAMED:
        return []
    said = []
    for low, high, unit in _SPANS:
        if low in node and high in node:
            said.append(f"{node[low]} to {node[high]} {unit}")
        elif high in node:
            said.append(f"at most {node[high]} {unit}")
        elif low in node:
            said.append(f"at least {node[low]} {unit}")
    return [*said, *(template.format(node[key]) for key, template in _SINGLE if key in node)]


def _limits(node: Mapping[str, Any]) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    above = "above" if node.get("exclusiveMinimum") else "from"
    below = "below" if node.get("exclusiveMaximum") else "to"
    said = [f"{above} {low}"] if low is not None else []
    return " ".join([*said, *([f"{below} {high}"] if high is not None else [])])


def _messages(node: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the CEL rules of a node and of everything below it, as list entries."""
    for rule in node.get("x-kubernetes-validations", ()):
        yield f"- `{path}`: {rule['message']}"
    for name, child in node.get("properties", {}).items():
        yield from _messages(child, f"{path}.{name}")
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if key in node:
            yield from _messages(node[key], path + suffix)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")

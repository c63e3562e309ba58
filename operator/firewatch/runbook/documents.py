"""Reading resources from files, as strictly as the API server does."""

import difflib
import re
import sys
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import API_VERSION, GROUP, NAME_PATTERN, Model, Object

_KINDS = {custom.kind: custom for custom in CUSTOM_KINDS}
_ROOT = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_LONGEST_NAME = 253
_UNKNOWN_FIELD = "extra_forbidden"
_SOURCES = frozenset({"Secret", "ConfigMap"})


@dataclass(frozen=True)
class Document:
    """A resource of ours in a file."""

    where: str
    """File and number of the document in it."""
    kind: str
    namespace: str
    name: str
    raw: dict[str, Any]
    """The resource as data."""
    spec: Model


@dataclass(frozen=True)
class Input:
    """What is in files."""

    documents: Sequence[Document]
    sources: Sequence[Object]
    """Secrets and ConfigMaps, as the API server would hold them."""


class InputError(Exception):
    """What is wrong with files, one line each: file, document, field, and what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def read_input(paths: Iterable[str], *, namespace: str) -> Input:
    """Return what of files and folders concerns us, ``-`` being standard input.

    Everything else in them is passed over. ``InputError`` names all that is wrong.
    """
    found: list[Document] = []
    sources: list[Object] = []
    problems: list[str] = []
    for name, text in _texts(paths, problems):
        for where, raw in _parts(name, text, problems):
            result = _parse(where, raw, namespace)
            if isinstance(result, Document):
                found.append(result)
            elif isinstance(result, dict):
                sources.append(result)
            else:
                problems += result
    problems += _twice(found)
    if problems:
        raise InputError(problems)
    return Input(found, sources)


def _texts(paths: Iterable[str], problems: list[str]) -> Iterator[tuple[str, str]]:
    for path in paths:
        if path == "-":
            yield "standard input", sys.stdin.read()
            continue
        files = [Path(path)]
        if files[0].is_dir():
            files = sorted({*files[0].rglob("*.yaml"), *files[0].rglob("*.yml")})
        for file in files:
            try:
                yield str(file), file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{file}: it cannot be read: {error}")


def _parts(name: str, text: str, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the documents of a file, those in a List one by one."""
    try:
        parts = [*yaml.load_all(text, Loader=yaml.CSafeLoader)]
    except yaml.YAMLError as error:
        problems.append(f"{name}: it is not YAML: {' '.join(str(error).split())}")
        return
    for number, part in enumerate(parts, 1):
        where = f"{name}, document {number}"
        if isinstance(part, dict) and part.get("kind") == "List":
            for index, item in enumerate(part.get("items") or ()):
                yield f"{where}, items[{index}]", item
        elif part is not None:
            yield where, part


def _parse(where: str, raw: Any, namespace: str) -> Document | Object | list[str]:
    if not isinstance(raw, dict) or not isinstance(raw.get("apiVersion"), str):
        return [f"{where}: it is no Kubernetes resource; give it apiVersion, kind and metadata"]
    if raw["apiVersion"] == "v1" and raw.get("kind") in _SOURCES:
        return _parse_source(where, raw, namespace)
    if raw["apiVersion"].partition("/")[0] != GROUP:
        return []
    if problems := [*_outer_problems(raw)]:
        return [f"{where}: {problem}" for problem in problems]
    model = _KINDS[raw["kind"]].spec
    try:
        spec = model.model_validate(raw.get("spec"))
    except ValidationError as error:
        return [f"{where}: {line}" for line in _explain(error, model)]
    metadata = raw["metadata"]
    space = metadata.get("namespace") or namespace
    return Document(where, raw["kind"], space, metadata["name"], raw, spec)


def _parse_source(where: str, raw: dict[str, Any], namespace: str) -> Object | list[str]:
    """Return a Secret or ConfigMap as the API server would hold it."""
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return []  # Nothing can name it.
    maps = {part: raw.get(part) or {} for part in ("data", "binaryData", "stringData")}
    for part, entries in maps.items():
        if not isinstance(entries, dict) or not all(isinstance(v, str) for v in entries.values()):
            return [f"{where}: {part}: give it keys with texts"]
    if key := _find_unencoded(maps["data" if raw["kind"] == "Secret" else "binaryData"]):
        return [f"{where}: {key}: not base64; encode it, or put the text under stringData"]
    written = {key: b64encode(text.encode()).decode() for key, text in maps["stringData"].items()}
    place = {"name": metadata["name"], "namespace": metadata.get("namespace") or namespace}
    return {
        "kind": raw["kind"],
        # What the API server would give it stands empty.
        "metadata": {
            **place,
            "uid": "",
            "resourceVersion": "",
            **{part: metadata.get(part) or {} for part in ("labels", "annotations")},
        },
        "data": maps["data"] | written,
        "binaryData": maps["binaryData"],
    }


def _find_unencoded(entries: Mapping[str, str]) -> str | None:
    """Return a key whose value the API server would refuse."""
    for key, text in entries.items():
        try:
            b64decode("".join(text.splitlines()), validate=True)
        except (Base64Error, ValueError):
            return key
    return None


def _outer_problems(raw: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong outside the spec."""
    if raw["apiVersion"] != API_VERSION or raw.get("kind") not in _KINDS:
        known = f"{API_VERSION} has {', '.join(_KINDS)}"
        yield f"no kind {raw.get('kind')} in {raw['apiVersion']}; {known}"
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict) or not _is_name(metadata.get("name")):
        yield "metadata.name: give it a name of lower-case letters, digits, - and ."
    for key in sorted(map(str, raw.keys() - _ROOT)):
        yield f"{key}: unknown field; remove it"


def _is_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and len(name) <= _LONGEST_NAME
        and re.fullmatch(NAME_PATTERN, name) is not None
    )


def _explain(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """Yield what is wrong with a spec: field, problem and remedy."""
    for fault in error.errors(include_url=False, include_input=False):
        steps = fault["loc"]
        path = "spec" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)
        if fault["type"] == _UNKNOWN_FIELD:
            close = difflib.get_close_matches(str(steps[-1]), _fields(model, steps[:-1]), n=1)
            remedy = f"did you mean {close[0]}?" if close else "remove it; docs/api.md has all"
            yield f"{path}: unknown field; {remedy}"
        else:
            message = fault["msg"].removeprefix("Value error, ")
            yield f"{path}: {message[:1].lower()}{message[1:]}; correct it"


def _fields(model: type[BaseModel], path: Iterable[int | str]) -> set[str]:
    """Return the names of the fields at a place below a model."""
    for step in path:
        if isinstance(step, str):
            fields = {field.alias or name: field for name, field in model.model_fields.items()}
            below = fields.get(step)
            model = next(_models(below.annotation), model) if below else model
    return {field.alias or name for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation speaks of, as that of ``list[Model] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _twice(documents: Iterable[Document]) -> Iterator[str]:
    seen: dict[tuple[str, str, str], str] = {}
    for each in documents:
        key = (each.kind, each.namespace, each.name)
        if key in seen:
            yield f"{each.where}: {each.kind} {each.name} is in {seen[key]} too; remove one"
        seen.setdefault(key, each.where)

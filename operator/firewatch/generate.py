"""Writes every file that follows from the models and tables: ``python -m firewatch.generate``.

Run from the root of the repository: crds/, the chart's copy of them, the chart's RBAC rules and
what its fence looks at, docs/api.md and docs/runbook.md. ``--check`` writes nothing and fails if a file is stale.
"""

import argparse
import difflib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import CATEGORY, GROUP, VERSION, Column, CustomKind, Object, rules
from firewatch.cluster.kinds import RELEASE_RIGHTS, RIGHTS, Right, Scope
from firewatch.guide import parse_map, render_runbook
from firewatch.reference import render_reference
from firewatch.schema import structural_schema

_HEADER = "# Written by `make generate` from operator/firewatch; edit there.\n"
_RUNBOOK_MAP = "docs/runbook-map.yaml"
_OWNED_FOLDERS = ("crds", "charts/firewatch/files/crds")
"""Folders in which every YAML file is generated, so that a file too many is stale."""


def build_crd(custom: CustomKind) -> Object:
    """Return the CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{custom.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": custom.kind,
                "listKind": f"{custom.kind}List",
                "plural": custom.plural,
                "singular": custom.singular,
                "shortNames": [custom.short],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in custom.columns],
                    "schema": {"openAPIV3Schema": _root_schema(custom)},
                }
            ],
        },
    }


def _column(column: Column) -> Object:
    priority = {"priority": column.priority} if column.priority else {}
    return {"name": column.name, "type": column.type, "jsonPath": column.json_path, **priority}


def _root_schema(custom: CustomKind) -> Object:
    return {
        "description": custom.description,
        "type": "object",
        "required": ["spec"],
        **(rules(*custom.rules) if custom.rules else {}),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(custom.spec, f"{custom.kind}.spec"),
            "status": structural_schema(custom.status, f"{custom.kind}.status", defaults=False),
        },
    }


def build_rbac(rights: Iterable[Right]) -> dict[str, list[Object]]:
    """Return the RBAC rules of each scope; resources with the same verbs share a rule."""
    rights = list(rights)
    return {
        scope.value: _rules(right for right in rights if right.scope is scope) for scope in Scope
    }


def _rules(rights: Iterable[Right]) -> list[Object]:
    verbs: dict[tuple[str, tuple[str, ...], str], set[str]] = {}
    for right in rights:
        key = (right.kind.group, right.names, right.resource)
        verbs.setdefault(key, set()).update(right.verbs)
    resources: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (group, names, resource), allowed in verbs.items():
        resources.setdefault((group, names, tuple(sorted(allowed))), []).append(resource)
    return [
        {
            "apiGroups": [group],
            "resources": sorted(together),
            **({"resourceNames": sorted(names)} if names else {}),
            "verbs": list(allowed),
        }
        for (group, names, allowed), together in sorted(resources.items())
    ]


def build_fence(rights: Iterable[Right]) -> list[Object]:
    """Return the resources that the admission policy on the operator's account looks at.

    All that it may change or delete, by itself and not by a subresource. Of what it may change by
    name only, as its Lease, RBAC holds it to the name; there only creations are looked at, which
    spares all the others that write such objects all the time.
    """
    rights = [right for right in rights if not right.subresource]
    by_name = {right.kind for right in rights if right.names and "patch" in right.verbs}
    resources: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for right in rights:
        if right.kind in by_name:
            operations: tuple[str, ...] = ("CREATE",)
        elif {"patch", "delete"} & {*right.verbs}:
            operations = ("CREATE", "UPDATE", "DELETE")
        else:
            continue
        resources.setdefault((right.kind.group, operations), set()).add(right.resource)
    return [
        {
            "apiGroups": [group],
            "apiVersions": ["*"],
            "operations": [*operations],
            "resources": sorted(together),
        }
        for (group, operations), together in sorted(resources.items())
    ]


class _Dumper(yaml.SafeDumper):
    """Writes what appears twice twice: schemas that share a model are no aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _to_yaml(data: Any) -> str:
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
    return _HEADER + text


def render_files(runbook_map: str) -> dict[str, str]:
    """Return every generated file: its path from the repository's root, and its content."""
    files = {"docs/runbook.md": render_runbook(parse_map(runbook_map))}
    for custom in CUSTOM_KINDS:
        for folder in _OWNED_FOLDERS:
            files[f"{folder}/{GROUP}_{custom.plural}.yaml"] = _to_yaml(build_crd(custom))
    files["config/crds/firewatch.yaml"] = "---\n".join(
        _to_yaml(build_crd(custom)) for custom in CUSTOM_KINDS
    )
    files["charts/firewatch/files/rbac.yaml"] = _to_yaml(build_rbac(RIGHTS))
    files["charts/firewatch/files/release-rbac.yaml"] = _to_yaml(build_rbac(RELEASE_RIGHTS))
    files["charts/firewatch/files/fence.yaml"] = _to_yaml(build_fence(RIGHTS))
    files["docs/api.md"] = render_reference((custom, build_crd(custom)) for custom in CUSTOM_KINDS)
    return files


def find_stale(root: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Return the files that are not as they should be, each with a short diff."""
    stale = {}
    for path, wanted in files.items():
        present = (root / path).read_text() if (root / path).exists() else ""
        if present != wanted:
            stale[path] = _diff(path, present, wanted)
    for folder in _OWNED_FOLDERS:
        for file in sorted((root / folder).glob("*.yaml")):
            path = file.relative_to(root).as_posix()
            if path not in files:
                stale[path] = f"--- {path}\n  no model leads to this file any more"
    return stale


def _diff(path: str, present: str, wanted: str, limit: int = 20) -> str:
    lines = [
        *difflib.unified_diff(
            present.splitlines(), wanted.splitlines(), path, "generated", lineterm="", n=1
        )
    ]
    more = [f"… {len(lines) - limit} more lines"] if len(lines) > limit else []
    return "\n".join([*lines[:limit], *more])


def write_files(root: Path, files: Mapping[str, str]) -> None:
    """Write every file and remove those of our folders that nothing leads to."""
    for folder in _OWNED_FOLDERS:
        for file in (root / folder).glob("*.yaml"):
            if file.relative_to(root).as_posix() not in files:
                file.unlink()
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with ``--check`` say which are stale."""
    parser = argparse.ArgumentParser(prog="python -m firewatch.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if stale")
    options = parser.parse_args(arguments)
    root = Path.cwd()
    files = render_files((root / _RUNBOOK_MAP).read_text())
    stale = find_stale(root, files)
    if not options.check:
        write_files(root, files)
        print(f"{len(files)} files, {len(stale)} changed", *stale, sep="\n  ")  # noqa: T201
        return 0
    for difference in stale.values():
        print(difference)  # noqa: T201
    if stale:
        print(f"\n{len(stale)} of {len(files)} files are stale: run `make generate`")  # noqa: T201
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

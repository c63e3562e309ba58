"""What the repository promises about its own shape."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firewatch import generate
from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import CustomKind
from firewatch.cluster.kinds import RIGHTS, Scope

ROOT = Path(__file__).parents[2]
KINDS = pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=lambda custom: custom.kind)


def rendered() -> dict[str, str]:
    return generate.render_files((ROOT / "docs/runbook-map.yaml").read_text())


def test_operator_holds_the_package_and_nothing_else() -> None:
    """``operator`` is a name of the standard library, and the folder stands on the path."""
    assert [entry.name for entry in (ROOT / "operator").iterdir()] == ["firewatch"]


def test_the_standard_library_keeps_its_operator() -> None:
    """A new interpreter, since this one has imported ``operator`` long ago."""
    code = "import collections, operator; print(operator.__file__)"
    for path in (ROOT, ROOT / "operator"):
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=path,
            env={"PYTHONPATH": str(path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert not Path(result.stdout.strip()).is_relative_to(ROOT)


def test_imports_go_one_way() -> None:
    result = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_generated_files_are_up_to_date() -> None:
    stale = generate.find_stale(ROOT, rendered())
    assert not stale, "\n".join([*stale.values(), "run `make generate`"])


def test_check_writes_nothing_and_names_what_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    source = tmp_path / "docs/runbook-map.yaml"
    source.write_text((ROOT / "docs/runbook-map.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    assert generate.main(["--check"]) == 1
    assert [*tmp_path.rglob("*.*")] == [source]
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    capsys.readouterr()

    changed, foreign = tmp_path / "docs/api.md", tmp_path / "crds/old.yaml"
    changed.write_text(changed.read_text().replace("short", "long"))
    foreign.write_text("kind: Gone\n")
    assert generate.main(["--check"]) == 1
    output = capsys.readouterr().out
    assert "docs/api.md" in output
    assert "crds/old.yaml" in output
    assert "2 of" in output
    assert generate.main([]) == 0
    assert not foreign.exists()


@KINDS
def test_a_crd_fits_into_the_annotation_of_client_side_apply(custom: CustomKind) -> None:
    """kubectl stores the whole object there, as JSON without spaces; 256 KiB are allowed."""
    stored = json.dumps(generate.build_crd(custom), separators=(",", ":"), ensure_ascii=False)
    assert len(stored.encode()) < 240 * 1024


def fields(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every field below a node of a schema."""
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in node:
            yield from fields(node[inner], f"{path}[]")


@KINDS
def test_every_field_is_described_in_plain_text(custom: CustomKind) -> None:
    schema = generate.build_crd(custom)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for part in ("spec", "status"):
        described = [*fields(schema["properties"][part], part)]
        assert described
        for path, node in described:
            assert node.get("description"), path
            assert "``" not in node["description"], path


@KINDS
def test_printer_columns_show_fields_that_exist(custom: CustomKind) -> None:
    schema = generate.build_crd(custom)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    known = {path for part in ("spec", "status") for path, _ in fields(schema, "")} | {
        ".metadata.creationTimestamp"
    }
    for column in custom.columns:
        path = column.json_path.partition("[?")[0]
        assert path in known, column.name


def test_rights_of_a_scope_are_neither_lost_nor_widened_by_merging() -> None:
    rules = generate.build_rbac(RIGHTS)
    assert {*rules} == {*Scope}
    for scope in Scope:
        granted = {
            (group, resource, name, verb)
            for rule in rules[scope]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for name in rule.get("resourceNames", [""])
            for verb in rule["verbs"]
        }
        wanted = {
            (right.kind.group, right.resource, name, verb)
            for right in RIGHTS
            if right.scope is scope
            for name in right.names or ("",)
            for verb in right.verbs
        }
        assert granted == wanted

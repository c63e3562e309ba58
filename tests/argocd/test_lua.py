"""Argo CD's own tests of all its scripts, run over ours in its place.

Not in a tier: it compiles 1,300 packages for what tests/unit/test_argocd.py shows in a second, but
with another Lua. `make test-argocd` runs it.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from e2e.cluster.programs import program
from e2e.cluster.progress import ConsoleProgress
from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import GROUP

OURS = Path(__file__).parents[2] / "argocd" / "resource_customizations"
TESTS = "^(TestLuaHealthScript|TestLuaResourceActionsScript)$"


def run_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Argo CD's tests over the scripts in a folder, laid out as in its repository."""
    working = folder / "util" / "lua"
    working.mkdir(parents=True)
    built = program("argocd-lua.test", ConsoleProgress())
    return subprocess.run(
        [str(built), f"-test.run={TESTS}", "-test.v"],
        cwd=working,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(OURS, tmp_path / "resource_customizations")
    return tmp_path


def test_argo_cd_takes_our_scripts(tree: Path) -> None:
    result = run_tests(tree)
    assert result.returncode == 0, result.stdout + result.stderr
    for kind in CUSTOM_KINDS:
        assert f"/{GROUP}/{kind.kind}/testdata/healthy.yaml" in result.stdout
    for action in ("pause/testdata/running", "resume/testdata/paused", "approve/testdata/waiting"):
        assert f"/actions/{action}.yaml" in result.stdout


def test_argo_cd_notices_a_script_that_is_wrong(tree: Path) -> None:
    script = tree / "resource_customizations" / GROUP / "AlertPolicy" / "health.lua"
    script.write_text(script.read_text().replace('"Degraded"', '"Healthy"'))
    result = run_tests(tree)
    assert result.returncode == 1
    assert "AlertPolicy/testdata/degraded.yaml" in result.stdout

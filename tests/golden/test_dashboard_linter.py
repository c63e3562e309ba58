"""The dashboards that come with Firewatch before Grafana's own linter, whose warnings count as well."""

import subprocess
from pathlib import Path

import pytest
import yaml

import firewatch.dashboards
from e2e.cluster.programs import program
from e2e.cluster.progress import SilentProgress
from firewatch.build.grafana.bundled import BUNDLED

WITHOUT_TARGETS = {"firewatch-alerts", "firewatch-objectives"}
"""Dashboards of series that rules make, which have no job and no instance to choose."""
ABOUT_TARGETS = (
    "template-job-rule",
    "template-instance-rule",
    "target-job-rule",
    "target-instance-rule",
)


@pytest.fixture(scope="module")
def linter() -> Path:
    return program("dashboard-linter", SilentProgress())


@pytest.mark.parametrize("uid", BUNDLED)
def test_it_has_nothing_against_a_dashboard(linter: Path, tmp_path: Path, uid: str) -> None:
    path = Path(*firewatch.dashboards.__path__) / f"{uid}.json"
    why = {"reason": "what rules make has neither job nor instance"}
    left_out = ABOUT_TARGETS if uid in WITHOUT_TARGETS else ()
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"exclusions": dict.fromkeys(left_out, why)}))
    command = [str(linter), "lint", "--strict", "--verbose", f"--config={config}", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr

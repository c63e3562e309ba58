"""Golden files, and the chart as Helm 3 and Helm 4 render it.

`pytest tests/golden --update-golden` rewrites the golden files that differ.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.cluster import binaries
from e2e.cluster.programs import program
from e2e.cluster.progress import ConsoleProgress, SilentProgress
from tests.golden.rendering import CASES, HELMS, NAMES, Helm, Object

Promtool = Callable[..., subprocess.CompletedProcess[str]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a committed file."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden", default=False):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert text == (path.read_text() if path.exists() else ""), (
            f"{path.name} differs: look at it, then `pytest tests/golden --update-golden`"
        )

    return compare


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    path = binaries.ensure(["promtool"], SilentProgress()) / "promtool"

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [path, *arguments], capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture(scope="session", params=HELMS)
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Give a test each Helm in turn, so that what holds for one holds for the other."""
    name: str = request.param
    return Helm(program(name, ConsoleProgress()), tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session", params=NAMES)
def case(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def values(case: str) -> Path:
    return CASES / f"{case}.values.yaml"


@pytest.fixture(scope="session")
def objects(helm: Helm, values: Path) -> list[Object]:
    return helm.objects("--values", values)

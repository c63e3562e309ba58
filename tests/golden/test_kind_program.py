"""The real kind takes the command lines and the configuration that it is given."""

import subprocess
from pathlib import Path

import pytest
import yaml

from e2e.cluster.docker import docker
from e2e.cluster.kind import NAME, NODE_IMAGE, KindBackend
from e2e.cluster.programs import program
from e2e.cluster.progress import ConsoleProgress

KUBECONFIG = "--kubeconfig=kubeconfig"
# As pytest-kind and the kind backend write them; tests/unit/test_kind.py notes them.
CALLS = [
    ["get", "clusters"],
    ["create", "cluster", f"--name={NAME}", KUBECONFIG, f"--image={NODE_IMAGE}", "--config", "f"],
    ["export", "kubeconfig", f"--name={NAME}", KUBECONFIG],
    ["load", "image-archive", "file.tar", f"--name={NAME}"],
    ["delete", "cluster", f"--name={NAME}", KUBECONFIG],
]


def kind(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run kind where there is no Docker to be found."""
    return subprocess.run(
        [program("kind", ConsoleProgress()), *arguments],
        cwd=folder,
        env={"HOME": str(folder), "PATH": "", "KIND_EXPERIMENTAL_PROVIDER": "docker"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call[:2]))
def test_kind_takes_the_call(call: list[str], tmp_path: Path) -> None:
    assert kind(*call, "--help", folder=tmp_path).returncode == 0
    assert "unknown flag" in kind(*call, "--no-such-flag", folder=tmp_path).stderr


def test_kind_reads_the_configuration_to_its_end(tmp_path: Path) -> None:
    """It fails for want of Docker, and no sooner; an unknown field is refused before."""
    path = KindBackend(docker(), tmp_path)._write_configuration()
    create = ["create", "cluster", f"--name={NAME}", "--config", str(path)]
    assert "docker" in kind(*create, folder=tmp_path).stderr
    wrong = yaml.safe_load(path.read_text()) | {"noSuchField": True}
    path.write_text(yaml.safe_dump(wrong))
    assert "noSuchField" in kind(*create, folder=tmp_path).stderr

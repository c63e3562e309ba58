"""kubectl as a function."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from e2e.cluster import binaries
from e2e.cluster.progress import ConsoleProgress

Kubectl = Callable[..., str]
"""Runs kubectl with arguments and an input and returns its output; fails the test on an error."""


class KubectlError(AssertionError):
    """kubectl failed; ``str()`` is what it said, or else what it printed."""


def kubectl_of(kubeconfig: Path, home: Path) -> Kubectl:
    """Return kubectl with a kubeconfig, and a folder for what it keeps."""
    program = binaries.ensure(["kubectl"], ConsoleProgress()) / "kubectl"

    def run(*arguments: str, text: str = "") -> str:
        result = subprocess.run(
            [str(program), f"--kubeconfig={kubeconfig}", *arguments],
            input=text,
            env=os.environ | {"HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise KubectlError(result.stderr or result.stdout)
        return result.stdout

    return run

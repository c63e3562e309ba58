"""What is kept of a scenario that has failed: the cluster is gone by the time that somebody asks."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from e2e import operators
from e2e.images import PROJECT
from e2e.installation import Testbed

FOLDER = PROJECT / "build" / "e2e" / "failed"
_OWN_KINDS = "monitoringstacks,alertpolicies,autoresponses,retentionpolicies"
_ASKED: Mapping[str, Sequence[str]] = {
    "operator.log": (*operators.LOGS, "--timestamps"),
    "operator-before.log": (*operators.LOGS, "--timestamps", "--previous"),
    "resources.yaml": ("get", _OWN_KINDS, "-A", "-o", "yaml"),
    "objects.txt": ("get", "pods,jobs,leases,namespaces", "-A", "-o", "wide"),
    "events.txt": ("get", "events", "-A", "--sort-by=.lastTimestamp"),
}
"""What kubectl is asked for, by the file into which it goes."""
_LINES = 40


def keep(testbed: Testbed, test: str) -> Path:
    """Write down how the cluster stands after a test has failed; return the folder."""
    folder = FOLDER / re.sub(r"[^A-Za-z0-9_.-]+", "-", test)
    folder.mkdir(parents=True, exist_ok=True)
    for name, arguments in _ASKED.items():
        (folder / name).write_text(testbed.kubectl.run(*arguments, check=False))
    return folder


def last_lines(folder: Path) -> str:
    """Return the end of what the operator has logged, for who has only the test's report."""
    return "\n".join((folder / "operator.log").read_text().splitlines()[-_LINES:])

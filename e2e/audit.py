"""The API server's audit log: who asked what, and when it was answered."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from e2e.cluster.interface import Cluster
from e2e.installation import NAMESPACE, RELEASE

OPERATOR = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
_LONGEST_LINE = 2**20
"""Bytes that no entry has."""
_READS = frozenset({"get", "list", "watch"})


@dataclass(frozen=True)
class Call:
    """One answered request."""

    user: str
    verb: str
    resource: str
    """With its subresource, for example ``deployments/scale``."""
    namespace: str
    name: str
    code: int
    received: datetime
    answered: datetime
    dry_run: bool

    @property
    def is_write(self) -> bool:
        """Tell whether it could change something."""
        return self.verb not in _READS and not self.dry_run


class AuditLog:
    """The part of the log that is written after this object was made."""

    def __init__(self, cluster: Cluster) -> None:
        if cluster.audit_log is None:
            raise RuntimeError(
                f"the backend {cluster.backend} has no audit log, which this test counts calls in;"
                " use the local backend"
            )
        self._path: Path = cluster.audit_log
        self._offset = _last_end(self._path)

    def calls(self, user: str | None = OPERATOR) -> list[Call]:
        """Return the answered requests of a user so far, or of everybody."""
        return [
            _call(event)
            for event in self.events()
            if event["stage"] == "ResponseComplete"
            and "objectRef" in event
            and user in (None, event["user"]["username"])
        ]

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every entry so far, as the API server wrote it; watches have one at their start."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)


def _last_end(path: Path) -> int:
    """Return where the last whole line of a file ends; another may be being written."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        begin = file.seek(max(0, size - _LONGEST_LINE))
        return begin + file.read(size - begin).rfind(b"\n") + 1


def _call(event: dict[str, Any]) -> Call:
    reference = event["objectRef"]
    parts = [reference.get("resource", ""), reference.get("subresource", "")]
    return Call(
        user=event["user"]["username"],
        verb=event["verb"],
        resource="/".join(filter(None, parts)),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        code=event["responseStatus"]["code"],
        received=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        answered=datetime.fromisoformat(event["stageTimestamp"]),
        dry_run="dryRun=" in event["requestURI"],
    )

"""Control groups as exact lists of processes.

A process cannot leave its group by dying parents or changed names, so the groups tell what
belongs to the cluster, also when whoever started it was killed before it could write that down.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")


def is_unified() -> bool:
    """Tell whether the machine has cgroup version 2 only."""
    return (_MOUNT / "cgroup.controllers").exists()


@dataclass(frozen=True)
class Cgroup:
    """A group below the root, in all hierarchies or in those named."""

    name: str
    controllers: tuple[str, ...] = ()

    def create(self) -> None:
        """Make the group, ready to have processes in it."""
        for hierarchy in _hierarchies(self.controllers):
            folder = hierarchy / self.name
            folder.mkdir(exist_ok=True)
            if hierarchy.name == "cpuset":
                for setting in ("cpuset.cpus", "cpuset.mems"):
                    (folder / setting).write_text((hierarchy / setting).read_text())
            if hierarchy == _MOUNT:
                _delegate(hierarchy)
                _delegate(folder)
            if hierarchy.name == "cpu":
                # All pods together weigh as much as the machine's cores, as on a real node.
                (folder / "cpu.shares").write_text(str(1024 * (os.cpu_count() or 1)))

    @property
    def entry(self) -> Path:
        """The file into which a process writes its id to join."""
        return _hierarchies(self.controllers)[0] / self.name / "cgroup.procs"

    def pids(self) -> set[int]:
        """Return every process in the group and in the groups below it."""
        found: set[int] = set()
        for folder in self._folders():
            with suppress(OSError):
                found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
        return found

    def kill(self, *, timeout: float = 20) -> None:
        """End every process in the group; new ones that they start meanwhile as well."""
        deadline = time.monotonic() + timeout
        while (pids := self.pids()) and time.monotonic() < deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def remove(self) -> None:
        """Remove the group, which must be empty of processes."""
        for folder in self._folders():
            with suppress(OSError):
                folder.rmdir()

    def _folders(self) -> Iterator[Path]:
        """Return the group's folders, children first.

        On a machine with both versions the runtime makes them in the version 2 tree as well.
        """
        places = [_MOUNT] if is_unified() else [path for path in _MOUNT.iterdir() if path.is_dir()]
        for hierarchy in {path.resolve() for path in places}:
            for folder, _, _ in os.walk(hierarchy / self.name, topdown=False):
                yield Path(folder)


def _hierarchies(controllers: tuple[str, ...]) -> list[Path]:
    if is_unified():
        return [_MOUNT]
    found = {path.resolve() for path in _MOUNT.iterdir() if (path / "cgroup.procs").exists()}
    # The version 2 tree of a mixed machine has no controllers to offer.
    found.discard(_MOUNT / "unified")
    return sorted(path for path in found if not controllers or path.name in controllers)


def _delegate(folder: Path) -> None:
    available = (folder / "cgroup.controllers").read_text().split()
    for controller in available:
        with suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


PODS = Cgroup("firewatch")
"""The kubelet's root: every container of every pod."""

DAEMONS = Cgroup("firewatch-daemons", ("pids",))
"""The cluster's own processes and the runtime's shims; the controller limits nothing."""

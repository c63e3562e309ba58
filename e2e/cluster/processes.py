"""Starts, records and stops the processes of a cluster.

A record holds the process id together with the time at which that process started, so an id
that the kernel has given to somebody else since is never taken for ours.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from e2e.cluster.cgroups import Cgroup
from e2e.cluster.files import write_atomically
from e2e.cluster.interface import ClusterError, ProcessState

_RUN = 'exec "$@"'
_KEEP = """{
trap 'kill "$child"; wait "$child"; exit' TERM
while :; do "$@" & child=$!; wait "$child"; sleep 1; done
}"""
"""What a shell does with a command; the second passes on that it is to end."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Record:
    """Who was started, and with what."""

    pid: int
    started: int
    boot: str
    fingerprint: str
    """A hash of the command line; another one means that the process must be replaced."""


@dataclass(frozen=True)
class Command:
    """A program to run and its surroundings."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] | None = None
    inputs: Sequence[Path] = ()
    """Files that the program reads only when it starts."""
    kept: bool = False
    """Whether it is started again when it ends by itself, as kubelet does it for a static pod."""

    def fingerprint(self) -> str:
        """Return a hash of all that decides how the program behaves."""
        digest = hashlib.sha256(json.dumps(list(self.arguments)).encode())
        for path in self.inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


class Processes:
    """The processes recorded in one folder."""

    def __init__(
        self,
        records: Path,
        logs: Path,
        *,
        cgroup: Cgroup | None = None,
        bound: bool = False,
    ) -> None:
        """Keep records and logs in the folders.

        With `bound`, processes die with the one that started them, however that ends; without
        it they survive it.
        """
        self._records = records
        self._logs = logs
        self._cgroup = cgroup
        self._bound = bound

    def start(self, command: Command) -> bool:
        """Start a program unless it runs already just so; tell whether it was started."""
        record = self._read(command.name)
        if record and _is_alive(record):
            if record.fingerprint == command.fingerprint():
                return False
            self.stop(command.name)
        self._end_unrecorded(command)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._records.mkdir(parents=True, exist_ok=True)
        pid = self._spawn(command)
        record = Record(pid, _start_time(pid), _boot(), command.fingerprint())
        write_atomically(self._record_path(command.name), json.dumps(asdict(record)))
        return True

    def stop(self, name: str, *, grace: float = 10) -> None:
        """End a process: politely, then by force."""
        record = self._read(name)
        if record and _is_alive(record):
            for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
                with suppress(ProcessLookupError):
                    os.kill(record.pid, number)
                if wait_until(lambda: not self._runs(name), timeout=patience, pause=0.02):
                    break
        self._record_path(name).unlink(missing_ok=True)

    def require(self, name: str) -> None:
        """Raise, with the end of its log, if a process has ended."""
        if not self._runs(name):
            raise ClusterError(f"{name} has ended. The end of {self.log(name)}:\n{self.tail(name)}")

    def states(self) -> list[ProcessState]:
        """Return what was started and whether it still runs."""
        found = []
        for path in sorted(self._records.glob("*.json")):
            record = self._read(path.stem)
            if record:
                found.append(ProcessState(path.stem, record.pid, _is_alive(record)))
        return found

    def log(self, name: str) -> Path:
        """Return a process's log file."""
        return self._logs / f"{name}.log"

    def tail(self, name: str) -> str:
        """Return the last lines of a process's log."""
        lines = self.log(name).read_text(errors="replace").splitlines()
        return "\n".join(line[:400] for line in lines[-12:])

    def _runs(self, name: str) -> bool:
        record = self._read(name)
        return record is not None and _is_alive(record)

    def _end_unrecorded(self, command: Command) -> None:
        """End what a start left behind that was killed before it could write a record."""
        if not self._cgroup:
            return
        program = str(command.arguments[0])

        def strays() -> list[int]:
            assert self._cgroup
            # Also the shell that would start it again, of whose arguments it is one.
            return [pid for pid in self._cgroup.pids() if program in command_line(pid)]

        for pid in strays():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not strays(), timeout=10, pause=0.02)

    def _spawn(self, command: Command) -> int:
        """Start a program in a session of its own; return its process id.

        The process is meant to outlive this one, which `subprocess` would warn about.
        """
        arguments = [*self._prefix(_KEEP if command.kept else _RUN), *command.arguments]
        appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        log = str(self.log(command.name))
        return os.posix_spawnp(
            arguments[0],
            arguments,
            os.environ if command.environment is None else command.environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, appended, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )

    def _prefix(self, run: str) -> list[str]:
        # It joins the group before it is the program, so no kill comes in between.
        join = f'echo $$ > "{self._cgroup.entry}" && ' if self._cgroup else ""
        shell = ["/bin/sh", "-c", f"cd / && {join}{run}", "start"]
        return ["setpriv", "--pdeathsig", "KILL", "--", *shell] if self._bound else shell

    def _record_path(self, name: str) -> Path:
        return self._records / f"{name}.json"

    def _read(self, name: str) -> Record | None:
        try:
            return Record(**json.loads(self._record_path(name).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def wait_until(condition: Callable[[], bool], *, timeout: float, pause: float = 0.1) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def command_line(pid: int) -> list[str]:
    """Return a process's arguments; an empty one if it has none or is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return [""]


def _boot() -> str:
    return _BOOT.read_text().strip()


def _stat(pid: int) -> list[str]:
    # The name in parentheses may hold spaces; what follows it does not.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _start_time(pid: int) -> int:
    return int(_stat(pid)[19])


def _is_alive(record: Record) -> bool:
    with suppress(ChildProcessError):
        # A dead child of ours would otherwise stay, and count as one of the machine's processes.
        os.waitpid(record.pid, os.WNOHANG)
    try:
        stat = _stat(record.pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    # While other threads of it are ending, a dead process still holds its ports.
    has_ended = stat[0] == "Z" and int(stat[17]) <= 1
    return not has_ended and int(stat[19]) == record.started and record.boot == _boot()

"""Processes of the local cluster that must come back when they end by themselves."""

import sys
from pathlib import Path

import pytest

from e2e.cluster.processes import Command, Processes, wait_until

_ENDS = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.write_text(p.read_text() + 'x')"


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_kept_is_started_again_when_it_ends(tmp_path: Path, *, kept: bool) -> None:
    processes = Processes(tmp_path / "records", tmp_path / "logs")
    starts = tmp_path / "starts"
    starts.write_text("")
    processes.start(Command("it", [sys.executable, "-c", _ENDS, str(starts)], kept=kept))

    def again() -> bool:
        return starts.read_text() == "xx"

    assert wait_until(again, timeout=20 if kept else 2.5) is kept, processes.tail("it")
    (state,) = processes.states()
    assert state.running is kept
    processes.stop("it")
    assert not processes.states()


def test_what_is_kept_ends_with_what_keeps_it(tmp_path: Path) -> None:
    processes = Processes(tmp_path / "records", tmp_path / "logs")
    stays = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
    pid = tmp_path / "pid"
    processes.start(Command("it", [sys.executable, "-c", stays, str(pid)], kept=True))
    assert wait_until(lambda: pid.exists() and bool(pid.read_text()), timeout=20)
    processes.stop("it")
    assert not Path(f"/proc/{pid.read_text()}").exists()

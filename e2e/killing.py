"""Kills at every write of an episode: each must end as the episode without one."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from e2e.host_operator import HostOperator
from e2e.images import PROJECT
from e2e.kubectl import Object, wait_for

FOLDER = PROJECT / "build" / "campaign"
_TRIES = 4
"""Episodes for one kill point, if they are too short for it."""
Play = Callable[[Mapping[str, str]], tuple[int, list[str]]]
"""Runs an episode with these variables; returns how often the operator died, and what was not as it must be."""


@dataclass(frozen=True)
class Outcome:
    """What became of one kill."""

    point: str
    write: str
    is_reached: bool
    """Whether an episode had so many writes: how often a status is written depends on what is seen when."""
    violations: list[str]
    seconds: float

    def __str__(self) -> str:
        """Return it in a line."""
        calm = "as without the kill" if self.is_reached else "no episode has come to it"
        verdict = "; ".join(self.violations) or calm
        return f"{self.point:>10} {self.write:<34} {self.seconds:5.1f} s  {verdict}"


class Life:
    """An operator that is started again, without a cut, once it has killed itself."""

    def __init__(self, operator: HostOperator, environment: Mapping[str, str]) -> None:
        self._operator = operator
        self._process = operator.start(environment)
        self.deaths = 0

    def until(self, what: str, probe: Callable[[], bool], *, seconds: float = 60) -> None:
        """Keep the operator alive until a probe returns true; ``NeverError`` after ``seconds``."""

        def tended() -> bool:
            self._tend()
            return probe()

        wait_for(what, tended, seconds=seconds)

    def _tend(self) -> None:
        """Start the operator again if it is dead."""
        if self._process.poll() is not None:
            if self._process.returncode != -signal.SIGKILL:
                raise RuntimeError(
                    f"the operator ended with status {self._process.returncode}; see operator.log"
                )
            self.deaths += 1
            self._process = self._operator.start()

    def end(self) -> None:
        """End the operator in order."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        # After its last write the episode is over before its death is noticed.
        self.deaths += status == -signal.SIGKILL


def record(operator: HostOperator, play: Play) -> list[str]:
    """Run one episode without a kill; return its writes in order."""
    path = operator.folder / "writes.txt"
    path.write_text("", encoding="utf-8")
    _, violations = play({"FIREWATCH_TEST_WRITES": str(path)})
    if violations:
        raise RuntimeError(f"even without a kill: {'; '.join(violations)}")
    return path.read_text(encoding="utf-8").splitlines()


def all_points(writes: Sequence[str]) -> list[str]:
    """Return every kill point of an episode with these writes."""
    numbers = range(1, len(writes) + 1)
    return [f"{side}:{number}" for number in numbers for side in ("before", "after")]


def sweep(play: Play, writes: Sequence[str], points: Sequence[str]) -> Iterator[Outcome]:
    """Run an episode for each point, ``before:N`` or ``after:N``; some, where they are too short."""
    for point in points:
        started, deaths, violations = time.monotonic(), 0, list[str]()
        for _ in range(_TRIES):
            deaths, found = play({"FIREWATCH_TEST_KILL": point})
            violations += found
            if deaths:
                break
        if deaths > 1:
            violations.append(f"the operator was killed {deaths} times instead of once")
        write = writes[int(point.partition(":")[2]) - 1]
        seconds = round(time.monotonic() - started, 1)
        yield Outcome(point, write, bool(deaths), violations, seconds)


def run(name: str, operator: HostOperator, play: Play, every: int = 1) -> Object:
    """Record an episode, kill the operator in as many as it takes, and return the report."""
    started, outcomes = time.monotonic(), list[Outcome]()
    writes = record(operator, play)
    print(f"{name}: {len(writes)} writes: {', '.join(writes)}", flush=True)
    for outcome in sweep(play, writes, all_points(writes)[::every]):
        outcomes.append(outcome)
        print(outcome, flush=True)
    violations = sum(len(each.violations) for each in outcomes)
    reached = sum(each.is_reached for each in outcomes)
    seconds = round(time.monotonic() - started, 1)
    print(f"{name}: {reached} of {len(outcomes)} kill points, {violations} violations, {seconds} s")
    return {
        "kill_points": reached,
        "unreached": len(outcomes) - reached,
        "seconds": seconds,
        "violations": violations,
        "writes": writes,
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }

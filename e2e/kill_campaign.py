"""Kill the operator with SIGKILL before and after every write of an episode.

After each kill it is started again, and the end must be the same: replicas raised once and put back
once, nothing owed, the history complete. Run by ``make campaign-kill``; a sample stands in the e2e
tier.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from e2e.audit import AuditLog
from e2e.cluster.progress import ConsoleProgress
from e2e.host_operator import HostOperator
from e2e.images import PROJECT
from e2e.installation import Values, bring_up, install
from e2e.kubectl import Object, wait_for
from e2e.station import Station

NAMESPACE = "e2e-kill"
FOLDER = PROJECT / "build" / "campaign"
TRIES = 4
"""Episodes for one kill point, if they are too short for it."""


@dataclass(frozen=True)
class Outcome:
    """What became of one kill."""

    point: str
    write: str
    violations: list[str]
    seconds: float


class Life:
    """An operator that is started again, without a cut, once it has killed itself."""

    def __init__(self, operator: HostOperator, environment: dict[str, str]) -> None:
        self._operator = operator
        self._process = operator.start(environment)
        self.deaths = 0

    def tend(self) -> None:
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


@dataclass(frozen=True)
class Campaign:
    """Kills on one station, whose target is ``api`` and whose AutoResponse is ``scale``."""

    station: Station
    operator: HostOperator

    def record(self) -> list[str]:
        """Run one episode without a kill; return its writes in order."""
        path = self.operator.folder / "writes.txt"
        path.write_text("", encoding="utf-8")
        self._episode({"FIREWATCH_TEST_WRITES": str(path)})
        return path.read_text(encoding="utf-8").splitlines()

    def sweep(self, writes: Sequence[str], points: Sequence[str]) -> Iterator[Outcome]:
        """Run an episode for each point, ``before:N`` or ``after:N``."""
        for point in points:
            started = time.monotonic()
            deaths, violations = self._killed_at(point)
            if deaths != 1:
                violations.append(f"the operator was killed {deaths} times instead of once")
            write = writes[int(point.partition(":")[2]) - 1]
            yield Outcome(point, write, violations, round(time.monotonic() - started, 1))

    def _killed_at(self, point: str) -> tuple[int, list[str]]:
        """Run an episode with a kill; another if it was over without having so many writes.

        How often a status is written depends on when pods are seen to have followed.
        """
        violations: list[str] = []
        for _ in range(TRIES):
            began, audit = datetime.now(UTC), AuditLog(self.station.testbed.cluster)
            deaths = self._episode({"FIREWATCH_TEST_KILL": point})
            violations += self._violations(audit, self.station.history(since=began))
            if deaths:
                break
        return deaths, violations

    def _episode(self, environment: dict[str, str]) -> int:
        """Let the alert fire until the target is raised, then resolve until all is put back."""
        life = Life(self.operator, environment)
        try:
            self.station.signal(6)
            self._until(life, "the target to be raised", self._is_raised)
            self.station.signal(0)
            self._until(life, "the target to be put back", self._is_restored)
        finally:
            self.station.signal(0)
            life.end()
        return life.deaths

    def _until(self, life: Life, what: str, probe: Callable[[], bool]) -> None:
        def tended() -> bool:
            life.tend()
            return probe()

        wait_for(what, tended, seconds=60)

    def _response(self) -> Object:
        found = self.station.kubectl.get("aresp", "scale", self.station.namespace)
        assert found is not None
        return found

    def _is_raised(self) -> bool:
        status = self._response().get("status", {})
        raised = self.station.kubectl.replicas("api", self.station.namespace) == 2
        return raised and status.get("ledger", {}).get("written") == 2

    def _is_restored(self) -> bool:
        found = self._response()
        restored = self.station.kubectl.replicas("api", self.station.namespace) == 1
        owed = "ledger" in found.get("status", {}) or found["metadata"].get("finalizers")
        return restored and not owed

    def _violations(self, audit: AuditLog, history: list[str]) -> Iterator[str]:
        if history != ["ScaledUp", "Restored"]:
            yield f"history says {history}"
        scales = [call for call in audit.calls() if call.resource == "deployments/scale"]
        done = [call for call in scales if call.code == 200]
        if len(done) != 2:
            yield f"{len(done)} writes to the target instead of 2"


def prepare(station: Station, operator: HostOperator) -> Campaign:
    """Make the station ready for episodes with an operator on this machine."""
    station.kubectl.apply(station.response())
    with operator.running():
        station.wait_ready("mstack", "main", seconds=120)
        station.wait_ready("aresp", "scale")
    return Campaign(station, operator)


def all_points(writes: Sequence[str]) -> list[str]:
    """Return every kill point of an episode with these writes."""
    numbers = range(1, len(writes) + 1)
    return [f"{side}:{number}" for number in numbers for side in ("before", "after")]


def main() -> int:
    """Run the whole campaign and write build/campaign/kill.json."""
    progress = ConsoleProgress()
    testbed = bring_up(progress)
    install(testbed, Values([NAMESPACE], [NAMESPACE]), progress)
    station = Station(testbed, NAMESPACE)
    station.set_up()
    operator = HostOperator(testbed, FOLDER, NAMESPACE)
    started, outcomes = time.monotonic(), list[Outcome]()
    with operator.instead():
        campaign = prepare(station, operator)
        writes = campaign.record()
        print(f"an episode has {len(writes)} writes: {', '.join(writes)}", flush=True)
        for outcome in campaign.sweep(writes, all_points(writes)):
            outcomes.append(outcome)
            verdict = "; ".join(outcome.violations) or "as without the kill"
            print(
                f"{outcome.point:>10} {outcome.write:<28} {outcome.seconds:5.1f} s  {verdict}",
                flush=True,
            )
    violations = sum(len(outcome.violations) for outcome in outcomes)
    report = {
        "kill_points": len(outcomes),
        "seconds": round(time.monotonic() - started, 1),
        "violations": violations,
        "writes": writes,
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }
    (FOLDER / "kill.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    print(f"{len(outcomes)} kill points, {violations} violations, {report['seconds']} s")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())

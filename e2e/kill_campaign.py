"""Kill the operator with SIGKILL before and after every write of an episode.

After each kill it is started again, and the end must be the same: replicas raised once and put back
once, nothing owed, the history complete. Run by ``make campaign-kill``; a sample stands in the e2e
tier.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from e2e.audit import AuditLog
from e2e.cluster.progress import ConsoleProgress
from e2e.host_operator import HostOperator
from e2e.installation import Values, bring_up, install
from e2e.killing import FOLDER, Life, run
from e2e.kubectl import Object
from e2e.station import Station

NAMESPACE = "e2e-kill"


@dataclass(frozen=True)
class Campaign:
    """Kills on one station, whose target is ``api`` and whose AutoResponse is ``scale``."""

    station: Station
    operator: HostOperator

    def play(self, environment: Mapping[str, str]) -> tuple[int, list[str]]:
        """Let the alert fire until the target is raised, then resolve until all is put back."""
        began, audit = datetime.now(UTC), AuditLog(self.station.testbed.cluster)
        life = Life(self.operator, environment)
        try:
            self.station.signal(6)
            life.until("the target to be raised", self._is_raised)
            self.station.signal(0)
            life.until("the target to be put back", self._is_restored)
        finally:
            self.station.signal(0)
            life.end()
        return life.deaths, [*self._violations(audit, self.station.history(since=began))]

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


def main() -> int:
    """Run the whole campaign and write build/campaign/kill.json."""
    progress = ConsoleProgress()
    testbed = bring_up(progress)
    install(testbed, Values([NAMESPACE], [NAMESPACE]), progress)
    station = Station(testbed, NAMESPACE)
    station.set_up()
    operator = HostOperator(testbed, FOLDER, NAMESPACE)
    with operator.instead():
        report = run("plain", operator, prepare(station, operator).play)
    (FOLDER / "kill.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 1 if report["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""Kill the operator with SIGKILL before and after every write, whoever keeps the target at its replicas.

The scenarios are a target that a HorizontalPodAutoscaler scales, a StatefulSet, and one target with the
claims of two AutoResponses whose alerts begin and end at different times; ``e2e.kill_campaign`` has the
plain one. Each kill must end as the episode without one: the same history, the same number of changes of
the target, exactly what stood there before, nothing owed. Run by ``make campaign-kill``.

    python -m e2e.kill_owners_campaign [--every 5] [autoscaler] [stateful] [claims]
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from e2e.audit import AuditLog
from e2e.cluster.progress import ConsoleProgress
from e2e.host_operator import HostOperator
from e2e.installation import Values, bring_up, install
from e2e.kill_campaign import NAMESPACE
from e2e.killing import FOLDER, Life, run
from e2e.kubectl import Object
from e2e.station import Station

NAME = "owned"
"""Of the target, and of what scales it."""
OTHER = "OtherLoad"
"""An alert that begins later than the first and ends before it."""
FIRST, SECOND = "scale", "more"
HPA = "horizontalpodautoscaler"


@dataclass(frozen=True)
class Phase:
    """A value of the signal, and what must come of it."""

    signal: float
    level: int
    """Of the target: its replicas, or its autoscaler's minimum."""
    claims: int
    """AutoResponses that have a claim on it then."""


def _nothing(_: Station) -> None:
    """Nothing is left to others."""


@dataclass(frozen=True)
class Scenario:
    """A target, the AutoResponses on it, and what happens in an episode."""

    lever: tuple[str, str]
    """Kind of the object whose number is raised, and the name of that number in its spec."""
    changes: str
    """How the audit log calls a change of that number."""
    phases: Sequence[Phase]
    objects: Callable[[Station], Sequence[Object]]
    responses: Sequence[str] = (FIRST,)
    before: Callable[[Station], None] = _nothing
    """Puts back what an episode leaves to others."""


@dataclass(frozen=True)
class Ending:
    """What an episode comes to."""

    histories: Mapping[str, Sequence[str]]
    """Events of each AutoResponse, oldest first."""
    changes: int
    """How often the number was changed."""
    spec: Object
    """Of the object that has the number."""


def _response(station: Station, name: str = FIRST, kind: str = "Deployment", **spec: Any) -> Object:
    # The load is not spread over replicas, so that it says nothing about how many would carry it.
    recovery = {"hold": "2s", "loadAware": False}
    target = {"kind": kind, "name": NAME}
    return station.response(name, **{"target": target, "recovery": recovery, **spec})


def _by(number: int) -> list[Object]:
    return [{"scaleUp": {"by": number, "maxReplicas": 6}}]


def _autoscaled(station: Station) -> list[Object]:
    # It never gets this metric, so all that it does itself is to keep to its minimum and maximum.
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME, "namespace": station.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": 1,
            "maxReplicas": 6,
            "metrics": [{"type": "Resource", "resource": resource}],
        },
    }
    return [station.workload(NAME), scaler, _response(station, actions=_by(2))]


def _at_one_replica(station: Station) -> None:
    """Do what the autoscaler would do some minutes after an episode, had it a metric."""
    scale = ("scale", f"deployment/{NAME}", "-n", station.namespace, "--replicas=1")
    station.kubectl.run(*scale)


def _stateful(station: Station) -> list[Object]:
    more: Object = {"serviceName": NAME, "podManagementPolicy": "Parallel"}
    target = station.workload(NAME, "StatefulSet", **more)
    return [target, _response(station, kind="StatefulSet", actions=_by(2))]


def _claimed_twice(station: Station) -> list[Object]:
    other: Object = {"trigger": {"alert": OTHER}, "actions": _by(3)}
    return [
        station.workload(NAME),
        station.policy("other", alert=OTHER, above=7),
        _response(station, actions=_by(1)),
        _response(station, SECOND, **other),
    ]


SCENARIOS: Mapping[str, Scenario] = {
    "autoscaler": Scenario(
        lever=(HPA, "minReplicas"),
        changes="horizontalpodautoscalers",
        phases=(Phase(6, 3, 1), Phase(0, 1, 0)),
        objects=_autoscaled,
        before=_at_one_replica,
    ),
    "stateful": Scenario(
        lever=("statefulset", "replicas"),
        changes="statefulsets/scale",
        phases=(Phase(6, 3, 1), Phase(0, 1, 0)),
        objects=_stateful,
    ),
    "claims": Scenario(
        lever=("deployment", "replicas"),
        changes="deployments/scale",
        phases=(Phase(6, 2, 1), Phase(8, 4, 2), Phase(6, 2, 1), Phase(0, 1, 0)),
        objects=_claimed_twice,
        responses=(FIRST, SECOND),
    ),
}


@dataclass(frozen=True)
class Campaign:
    """Episodes of one scenario, with an operator that is killed in them."""

    scenario: Scenario
    station: Station
    operator: HostOperator
    endings: list[Ending] = field(default_factory=list)
    """What each episode has come to; the first is one without a kill."""

    def prepare(self) -> None:
        """Create what the scenario needs, and wait until an operator is ready for it."""
        station = self.station
        with self.operator.running():
            # What is left of another scenario may be held by what it owes.
            station.kubectl.run("delete", "aresp", "--all", "-n", station.namespace)
            station.kubectl.apply(*self.scenario.objects(station))
            for name in self.scenario.responses:
                station.wait_ready("aresp", name)

    def clear(self) -> None:
        """Delete what the scenario has created, without waiting: no operator runs."""
        for each in reversed(self.scenario.objects(self.station)):
            place = (each["kind"], each["metadata"]["name"], self.station.namespace)
            self.station.kubectl.delete(*place, wait=False)

    def play(self, environment: Mapping[str, str]) -> tuple[int, list[str]]:
        """Go through the phases; it must come to the same as the first time, which is without a kill."""
        deaths, ending = self._episode(environment)
        calm = self.endings[0] if self.endings else ending
        self.endings.append(ending)
        return deaths, [*_differences(calm, ending)]

    def _episode(self, environment: Mapping[str, str]) -> tuple[int, Ending]:
        """Go through the phases; return how often the operator died, and what has come of it."""
        self._forget()
        self.scenario.before(self.station)
        audit = AuditLog(self.station.testbed.cluster)
        life = Life(self.operator, environment)
        try:
            for number, phase in enumerate(self.scenario.phases):
                self.station.signal(phase.signal)
                life.until(f"phase {number} ({phase})", partial(self._is_at, phase))
        finally:
            self.station.signal(0)
            life.end()
        return life.deaths, self._ending(audit)

    def _forget(self) -> None:
        """Take from the statuses what counts against the actions of an hour.

        A sweep has more of them on one target than anybody may be allowed. No operator runs.
        """
        nothing = json.dumps({"status": dict.fromkeys(("acted", "failed", "history"))})
        for name in self.scenario.responses:
            self.station.kubectl.run(
                *("patch", "aresp", name, "-n", self.station.namespace),
                *("--subresource=status", "--type=merge", "-p", nothing),
            )

    def _is_at(self, phase: Phase) -> bool:
        """Tell whether a phase has come to what it must, and it is written down."""
        found = [self._get("aresp", name) for name in self.scenario.responses]
        ledgers = [f["status"]["ledger"] for f in found if "ledger" in f.get("status", {})]
        if self._lever()[self.scenario.lever[1]] != phase.level:
            return False
        if phase.claims == 0:
            return not ledgers and not any(f["metadata"].get("finalizers") for f in found)
        return [(each["written"], len(each["claims"])) for each in ledgers] == [
            (phase.level, phase.claims)
        ]

    def _ending(self, audit: AuditLog) -> Ending:
        calls = [c for c in audit.calls() if c.namespace == self.station.namespace and c.is_write]
        done = Counter(call.resource for call in calls if call.code == 200)
        histories = {name: self.station.history(name) for name in self.scenario.responses}
        return Ending(histories, done[self.scenario.changes], self._lever())

    def _lever(self) -> Object:
        """Return the spec of the object whose number is raised."""
        spec: Object = self._get(self.scenario.lever[0], NAME)["spec"]
        return spec

    def _get(self, kind: str, name: str) -> Object:
        found = self.station.kubectl.get(kind, name, self.station.namespace)
        assert found is not None, f"there is no {kind} {name}"
        return found


def _differences(calm: Ending, ending: Ending) -> Iterator[str]:
    for name, history in ending.histories.items():
        if history != calm.histories[name]:
            yield f"the history of {name} says {history}"
    if ending.changes != calm.changes:
        yield f"{ending.changes} changes of the target instead of {calm.changes}"
    if ending.spec != calm.spec:
        yield f"in the end there is {ending.spec}"


def sweep_scenario(name: str, station: Station, operator: HostOperator, every: int) -> Object:
    """Run the episodes of one scenario; return its report."""
    campaign = Campaign(SCENARIOS[name], station, operator)
    campaign.prepare()
    try:
        report = run(name, operator, campaign.play, every)
    finally:
        campaign.clear()
    kind = SCENARIOS[name].lever[0]
    assert any(kind in write.lower() for write in report["writes"]), f"e2e.killable lacks {kind}"
    return {**report, "calm": asdict(campaign.endings[0])}


def main() -> int:
    """Run the campaign and write build/campaign/kill-owners.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take one in so many kill points")
    parser.add_argument("scenarios", nargs="*", help=f"of {', '.join(SCENARIOS)}; all if none")
    options = parser.parse_args()
    chosen = options.scenarios or [*SCENARIOS]
    if unknown := {*chosen} - {*SCENARIOS}:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    progress = ConsoleProgress()
    testbed = bring_up(progress)
    install(testbed, Values([NAMESPACE], [NAMESPACE]), progress)
    station = Station(testbed, NAMESPACE)
    station.set_up()
    operator = HostOperator(testbed, FOLDER, NAMESPACE)
    with operator.instead():
        reports = {n: sweep_scenario(n, station, operator, options.every) for n in chosen}
    (FOLDER / "kill-owners.json").write_text(json.dumps(reports, indent=2), encoding="utf-8")
    return 1 if any(report["violations"] for report in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

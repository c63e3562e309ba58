"""From the end of the replica that acts to the next action of another.

An alert fires all the time. The replica that leads gets a signal, and right after it an AutoResponse is
applied that is to act at once. The gap is from the signal until the API server had answered the PATCH
of /scale (the audit log's ResponseComplete).
"""

import json
import statistics
import sys
from signal import SIGKILL, SIGTERM, Signals

from bench.record import write
from e2e import operators
from e2e.audit import AuditLog, Call
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Values, bring_up, install
from e2e.kubectl import wait_for
from e2e.station import ALERT, Station
from firewatch.cluster.kinds import AUTO_RESPONSE

NAMESPACE = "bench-takeover"
ROUNDS = 10
LONGEST = {SIGKILL: 5.0, SIGTERM: 1.0}
"""The longest gap, in seconds, that any round may have."""
_RESPONSE = "takeover"


def let_fire(station: Station) -> None:
    """Have the alert fire, and wait until it does."""
    station.signal(6)
    firing = f'ALERTS{{alertname="{ALERT}",alertstate="firing"}}'
    wait_for("the alert to fire", lambda: station.query(firing))


def measure(station: Station, signal: Signals) -> float:
    """End the replica that leads by a signal; return the seconds until the next action.

    The alert must fire. Afterwards all is as before.
    """
    testbed, kubectl = station.testbed, station.kubectl
    audit, pod = AuditLog(testbed.cluster), operators.leader(testbed)
    try:
        ended = operators.send(pod, signal)
        _create(station)
        action = wait_for("an action", lambda: _action(audit, station), seconds=60, pause=0.05)
        assert action is not None
        operators.leader(testbed, instead_of=pod)
        return (action.answered - ended).total_seconds()
    finally:
        kubectl.delete("aresp", _RESPONSE, station.namespace)
        station.wait_replicas(1)
        operators.renew(testbed, pod)


def _create(station: Station) -> None:
    """Create what is to act, without what kubectl looks up before it applies anything."""
    kind, body = AUTO_RESPONSE, json.dumps(station.response(_RESPONSE))
    path = f"/apis/{kind.api_version}/namespaces/{station.namespace}/{kind.plural}"
    station.kubectl.run("create", "--raw", path, "-f", "-", stdin=body)


def _action(audit: AuditLog, station: Station) -> Call | None:
    place = ("deployments/scale", station.namespace, 200)
    found = (c for c in audit.calls() if (c.resource, c.namespace, c.code) == place)
    return next(found, None)


def main() -> int:
    """Measure and write build/bench/takeover.json; 1 if a gap was longer than it may be."""
    progress = ConsoleProgress()
    testbed = bring_up(progress)
    install(testbed, Values([NAMESPACE], [NAMESPACE]), progress)
    operators.wait_ready(testbed)
    station = Station(testbed, NAMESPACE)
    station.set_up()
    let_fire(station)
    figures: dict[str, object] = {"rounds": ROUNDS, "replicas": len(operators.names(testbed))}
    late = False
    for signal, longest in LONGEST.items():
        gaps = []
        for number in range(1, ROUNDS + 1):
            gaps.append(measure(station, signal))
            print(f"{signal.name} {number:3}/{ROUNDS}  {gaps[-1]:6.2f} s", flush=True)
        name = signal.name.lower()
        figures |= {
            f"{name}_p50_s": round(statistics.median(gaps), 2),
            f"{name}_max_s": round(max(gaps), 2),
            f"{name}_longest_allowed_s": longest,
            f"{name}_values_s": [round(gap, 2) for gap in gaps],
        }
        late |= max(gaps) > longest
    station.signal(0)
    print(figures, f"in {write('takeover', figures)}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())

"""From an alert that fires at Prometheus to replicas patched, over real episodes.

T0 is the alert's ``startsAt``, T1 the moment when the API server had answered the PATCH of /scale
(the audit log's ResponseComplete). The alert fires from a gauge of the example application, on an
otherwise unloaded node.
"""

import statistics
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.record import quantile, write
from e2e.audit import AuditLog, Call
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Values, bring_up, install
from e2e.kubectl import wait_for
from e2e.station import ALERT, Station

NAMESPACE = "bench-latency"
EPISODES = 30


@dataclass(frozen=True)
class Episode:
    """One episode's times in seconds."""

    firing_to_patched: float
    ledger_to_patched: float


def run_episode(station: Station) -> Episode:
    """Let the alert fire once, measure, and let it resolve."""
    audit = AuditLog(station.testbed.cluster)
    station.signal(6)
    scale = wait_for("the PATCH of /scale", lambda: _scale(audit), seconds=30, pause=0.05)
    assert scale is not None
    started = _starts_at(station)
    ledger = [c for c in audit.calls() if c.resource == "autoresponses/status"]
    station.signal(0)
    station.wait_replicas(1)
    station.wait_state("scale", "Idle")
    return Episode(
        (scale.answered - started).total_seconds(),
        (scale.answered - ledger[0].received).total_seconds(),
    )


def _scale(audit: AuditLog) -> Call | None:
    calls = [c for c in audit.calls() if c.resource == "deployments/scale" and c.code == 200]
    return calls[0] if calls else None


def _starts_at(station: Station) -> datetime:
    """Return when the alert began to fire: with ``for`` 0 that is when it became active."""
    groups = station.prometheus("rules?type=alert")["groups"]
    rules = [rule for group in groups for rule in group["rules"] if rule["name"] == ALERT]
    return datetime.fromisoformat(rules[0]["alerts"][0]["activeAt"]).astimezone(UTC)


def main() -> int:
    """Run the episodes and write build/bench/latency.json."""
    progress = ConsoleProgress()
    testbed = bring_up(progress)
    install(testbed, Values([NAMESPACE], [NAMESPACE]), progress)
    station = Station(testbed, NAMESPACE)
    station.set_up()
    station.kubectl.apply(station.response())
    station.wait_ready("aresp", "scale")
    episodes: list[Episode] = []
    for number in range(EPISODES):
        episodes.append(run_episode(station))
        print(
            f"{number + 1:3}/{EPISODES}  {episodes[-1].firing_to_patched * 1000:7.1f} ms",
            flush=True,
        )
    times = [episode.firing_to_patched for episode in episodes]
    figures = {
        "p50_s": round(statistics.median(times), 4),
        "p99_s": round(quantile(times, 0.99), 4),
        "max_s": round(max(times), 4),
        "episodes": len(times),
        "first_request_to_patched_p50_s": round(
            statistics.median(e.ledger_to_patched for e in episodes), 4
        ),
        "settings": "scrape and rule interval 1 s, for 0 s, ledger written before the change",
        "values_s": [round(value, 4) for value in times],
    }
    print(f"p50 {figures['p50_s']} s, p99 {figures['p99_s']} s, in {write('latency', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

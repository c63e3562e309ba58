"""A quiet cluster: what the operator writes, and what it costs to have it there.

Five minutes in which nothing happens, then a restart of the operator. A write is a persisted
change; TokenReviews are counted apart.
"""

import sys
import time
from collections.abc import Sequence

from bench.record import write
from e2e.audit import AuditLog, Call
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import NAMESPACE as OPERATOR_NAMESPACE
from e2e.installation import RELEASE, Testbed, Values, bring_up, install
from e2e.kubectl import wait_for
from e2e.station import Station

NAMESPACE = "bench-quiet"
QUIET_SECONDS = 300
RESTART_SECONDS = 60


def writes(calls: Sequence[Call]) -> list[Call]:
    """Return the persisted changes among the calls."""
    return [call for call in calls if call.is_write and call.resource != "tokenreviews"]


def usage(testbed: Testbed) -> dict[str, float]:
    """Return the operator's own memory and CPU figures, from its metrics."""
    path = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/services/{RELEASE}-metrics:8080/proxy/metrics"
    lines = testbed.kubectl.run("get", "--raw", path).splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {
        "rss_mib": float(values["process_resident_memory_bytes"]) / 2**20,
        "cpu_s": float(values["process_cpu_seconds_total"]),
    }


def restart(testbed: Testbed) -> None:
    """Restart the operator and wait until it is ready again."""
    deployment = ("deployment", RELEASE, "-n", OPERATOR_NAMESPACE)
    testbed.kubectl.run("rollout", "restart", *deployment)
    testbed.kubectl.run("rollout", "status", *deployment, "--timeout=120s")


def settle(testbed: Testbed) -> None:
    """Wait until the operator has written nothing for ten seconds."""

    def quiet() -> bool:
        audit = AuditLog(testbed.cluster)
        time.sleep(10)
        return not writes(audit.calls())

    wait_for("ten quiet seconds", quiet, seconds=120)


def main() -> int:
    """Measure and write build/bench/quiet.json."""
    progress = ConsoleProgress()
    testbed = bring_up(progress)
    install(testbed, Values([NAMESPACE], [NAMESPACE]), progress)
    station = Station(testbed, NAMESPACE)
    station.set_up(node_exporter=True)
    station.kubectl.apply(station.response())
    station.wait_ready("aresp", "scale")
    settle(testbed)
    audit, before = AuditLog(testbed.cluster), usage(testbed)
    print(f"quiet for {QUIET_SECONDS} s", flush=True)
    time.sleep(QUIET_SECONDS)
    calls, after = audit.calls(), usage(testbed)
    audit = AuditLog(testbed.cluster)
    restart(testbed)
    time.sleep(RESTART_SECONDS)
    restarted = audit.calls()
    figures = {
        "quiet_seconds": QUIET_SECONDS,
        "quiet_writes": len(writes(calls)),
        "quiet_requests": len(calls),
        "quiet_token_reviews": sum(call.resource == "tokenreviews" for call in calls),
        "restart_writes": len(writes(restarted)),
        "restart_requests": len(restarted),
        "rss_mib": round(after["rss_mib"], 1),
        "cpu_millicores": round((after["cpu_s"] - before["cpu_s"]) / QUIET_SECONDS * 1000, 1),
    }
    print(figures, f"in {write('quiet', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

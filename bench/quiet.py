"""A quiet cluster: what the operator writes, and what it costs to have it there.

Five minutes in which nothing happens, then a restart of the operator. A write is a persisted
change; TokenReviews are counted apart.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from bench import rule_load
from bench.record import write
from e2e.audit import AuditLog, Call
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import NAMESPACE as OPERATOR_NAMESPACE
from e2e.installation import RELEASE, Testbed, Values, bring_up, install
from e2e.kubectl import Object, wait_for
from e2e.station import STACK, Station

NAMESPACE = "bench-quiet"
QUIET_SECONDS = 300
RESTART_SECONDS = 60
_APPLIED_AT_ONCE = 200
_SETTLED_SECONDS = 40


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
    """Wait until the operator has written nothing for longer than it waits between two looks.

    What Prometheus knows only after its first scrapes comes into a young stack's status half a
    minute later.
    """

    def quiet() -> bool:
        audit = AuditLog(testbed.cluster)
        time.sleep(_SETTLED_SECONDS)
        return not writes(audit.calls())

    wait_for("a quiet while", quiet, seconds=300)


def crowd(station: Station, *, policies: int, stacks: int) -> None:
    """Add policies, in turn to each stack, until there are so many of both."""
    names = [STACK, *(f"stack-{number}" for number in range(1, stacks))]
    for name in names[1:]:
        spec: Object = {"metrics": {"image": station.testbed.images.prometheus}}
        station.kubectl.apply(station.resource("MonitoringStack", name, spec))
        station.wait_ready("mstack", name, seconds=180)
    bodies = [
        station.resource(
            "AlertPolicy",
            f"svc-{number}",
            {
                "stackRef": {"name": names[number % len(names)]},
                "groups": rule_load.groups(number),
            },
        )
        for number in range(policies)
    ]
    for start in range(0, policies, _APPLIED_AT_ONCE):
        station.kubectl.apply(*bodies[start : start + _APPLIED_AT_ONCE])


def wait_loaded(station: Station, *, policies: int) -> None:
    """Wait until all stacks together report so many policies as loaded."""

    def loaded() -> bool:
        stacks = station.kubectl.list("mstack", station.namespace)
        counts: list[int] = [stack["status"]["rules"]["loaded"] for stack in stacks]
        return sum(counts) >= policies

    wait_for("all policies to be loaded", loaded, seconds=300)


def parse_options() -> argparse.Namespace:
    """Return what the caller wants measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=0)
    parser.add_argument("--stacks", type=int, default=1)
    parser.add_argument("--name", default="quiet", help="of the file in build/bench")
    return parser.parse_args()


def main() -> int:
    """Measure and write build/bench/quiet.json."""
    options, progress = parse_options(), ConsoleProgress()
    testbed = bring_up(progress)
    install(testbed, Values([NAMESPACE], [NAMESPACE]), progress)
    station = Station(testbed, NAMESPACE)
    policy = station.policy()
    policy["spec"]["stackRef"] = {"name": STACK}
    station.set_up(node_exporter=True)
    station.kubectl.apply(policy)
    crowd(station, policies=options.policies, stacks=options.stacks)
    wait_loaded(station, policies=options.policies)
    station.kubectl.apply(station.response(stackRef={"name": STACK}))
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
        "policies": options.policies,
        "stacks": options.stacks,
        "quiet_seconds": QUIET_SECONDS,
        "quiet_writes": len(writes(calls)),
        "quiet_requests": len(calls),
        "quiet_token_reviews": sum(call.resource == "tokenreviews" for call in calls),
        "restart_writes": len(writes(restarted)),
        "restart_requests": len(restarted),
        "rss_mib": round(after["rss_mib"], 1),
        "cpu_millicores": round((after["cpu_s"] - before["cpu_s"]) / QUIET_SECONDS * 1000, 1),
    }
    print(figures, f"in {write(options.name, figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A quiet cluster: what the operator writes, and what it costs to have it there.

Five minutes in which nothing happens, then a restart of the operator. A write is a persisted
change; TokenReviews and what the replicas do about their Lease are counted apart.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import rule_load
from bench.record import write
from e2e import operators
from e2e.audit import AuditLog, Call
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import NAMESPACE as OPERATOR_NAMESPACE
from e2e.installation import RELEASE, Testbed, Values, bring_up, install
from e2e.kubectl import Object, wait_for
from e2e.station import STACK, Station

NAMESPACE = "bench-quiet"
QUIET_SECONDS = 300
RESTART_SECONDS = 60
_APART = ("tokenreviews", "leases")
_APPLIED_AT_ONCE = 200
_SETTLED_SECONDS = 40


def writes(calls: Sequence[Call]) -> list[Call]:
    """Return the persisted changes among the calls, but for renewals of the Lease."""
    return [call for call in calls if call.is_write and call.resource not in _APART]


def count(calls: Sequence[Call], resource: str) -> int:
    """Return how many calls are about a resource."""
    return sum(call.resource == resource for call in calls)


@dataclass(frozen=True)
class Usage:
    """What a replica takes, by its own metrics."""

    rss_mib: float
    cpu_s: float


def usage(testbed: Testbed) -> dict[bool, Usage]:
    """Return what the replica that leads takes, by True, and what one that stands by does."""
    leader = operators.leader(testbed)
    return {
        pod == leader: Usage(
            operators.figure(testbed, pod, "process_resident_memory_bytes") / 2**20,
            operators.figure(testbed, pod, "process_cpu_seconds_total"),
        )
        for pod in operators.names(testbed)
    }


def costs(prefix: str, before: Usage, after: Usage) -> dict[str, float]:
    """Return the figures of what a replica has taken in the quiet time."""
    millicores = (after.cpu_s - before.cpu_s) / QUIET_SECONDS * 1000
    return {
        f"{prefix}rss_mib": round(after.rss_mib, 1),
        f"{prefix}cpu_millicores": round(millicores, 1),
    }


def restart(testbed: Testbed) -> None:
    """Renew all replicas of the operator and wait until they are ready."""
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
        "quiet_requests": len(calls) - count(calls, "leases"),
        "quiet_token_reviews": count(calls, "tokenreviews"),
        "quiet_lease_requests": count(calls, "leases"),
        "restart_writes": len(writes(restarted)),
        "restart_requests": len(restarted) - count(restarted, "leases"),
        **costs("", before[True], after[True]),
        **costs("standby_", before[False], after[False]),
    }
    print(figures, f"in {write(options.name, figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

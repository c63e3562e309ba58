"""A thousand policies of five rules: ours and prometheus-operator beside each other.

Each run starts the operator anew, creates its resources, 20 at a time, and measures until every
rule is active in its Prometheus, then what single changes take. The operators take turns, one at a
time, so that whatever else happens on the machine happens to all of them.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from bench.peer import install_peer, remove_peer
from bench.record import quantile, write
from bench.rule_load import RULES, create_all, first_alert, until
from bench.sides import OURS, Side, our_side, peer_side
from e2e.audit import AuditLog, Call
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Testbed, Values, bring_up, install
from firewatch.cluster.client import KubernetesCluster, Verb, Write, connect
from firewatch.cluster.kinds import MONITORING_STACK
from firewatch.metrics import Metrics

_PATIENCE = 600.0
_SAMPLE = 10


@dataclass
class Usage:
    """Memory and CPU of an operator over a run, from its own metrics."""

    session: aiohttp.ClientSession
    url: str
    rss: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def sample(self) -> None:
        """Read them once."""
        async with self.session.get(self.url) as answer:
            lines = (await answer.text()).splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("process_"))
        self.rss.append(float(values["process_resident_memory_bytes"]) / 2**20)
        self.cpu.append(float(values["process_cpu_seconds_total"]))

    async def follow(self) -> None:
        """Read them every second until cancelled."""
        while True:
            with suppress(aiohttp.ClientError, KeyError):
                await self.sample()
            await asyncio.sleep(1)


@dataclass
class Bench:
    """One run of one side."""

    side: Side
    cluster: KubernetesCluster
    session: aiohttp.ClientSession
    prometheus: str

    async def run(self, count: int, changes: int) -> dict[str, Any]:
        """Create everything, measure, change a few, and return the figures."""
        usage = Usage(self.session, self.side.metrics())
        await usage.sample()
        audit = AuditLog(self.side.testbed.cluster)
        follower = asyncio.create_task(usage.follow())
        bodies = [self.side.body(number) for number in range(count)]
        began, created = await create_all(self.cluster, self.side.kind, bodies)
        active = await self._until_active(count)
        await self._until_quiet(audit, max(5, count / 500))
        await usage.sample()
        calls, cpu = self._calls(audit), usage.cpu[-1] - usage.cpu[0]
        figures = {
            "created_s": round(created - began, 2),
            "active_s": round(active - began, 2),
            "cpu_s": round(cpu, 2),
            "rss_peak_mib": round(max(usage.rss), 1),
            "rss_after_mib": round(usage.rss[-1], 1),
            **_call_figures(calls, self.side.status_writes),
        }
        figures |= await self._changes(count, changes)
        follower.cancel()
        return figures

    def _calls(self, audit: AuditLog) -> list[Call]:
        """Return the operator's calls; what it does about its Lease goes on whatever else it does."""
        return [call for call in audit.calls(self.side.user) if call.resource != "leases"]

    async def _until_active(self, count: int) -> float:
        """Wait until Prometheus has every rule: a sample first, since the whole list is large."""
        some = {first_alert(count - 1 - i * count // _SAMPLE) for i in range(_SAMPLE)}
        query = "&".join(f"rule_name[]={name}" for name in sorted(some))

        async def sampled() -> bool:
            return await self._rules(query) >= len(some)

        async def complete() -> bool:
            return await self.count() >= count * RULES

        # Asking costs Prometheus time, the more the more rules it has.
        for probe, pause in ((sampled, 0.05), (complete, 0.25)):
            if not await until(probe, seconds=_PATIENCE, pause=pause * count / 1000):
                raise TimeoutError(f"{self.side.name}: not all rules are active")
        return time.monotonic()

    async def count(self) -> int:
        """Return how many rules of the load there are."""
        return await self._rules("exclude_alerts=true")

    async def _rules(self, query: str) -> int:
        """Return how many rules of the load a query finds: none while Prometheus starts."""
        try:
            async with self.session.get(f"{self.prometheus}/rules?{query}") as answer:
                found = await answer.json()
        except aiohttp.ClientError:
            # prometheus-operator makes its pod anew when the rules need one more ConfigMap.
            with suppress(AssertionError, KeyError):
                self.prometheus = await asyncio.to_thread(self.side.prometheus)
            return 0
        return sum(
            group["name"].startswith("svc-") and len(group["rules"])
            for group in found["data"]["groups"]
        )

    async def _until_quiet(self, audit: AuditLog, seconds: float) -> None:
        """Wait until the operator has written nothing for so long."""

        def writes() -> int:
            return sum(call.is_write for call in self._calls(audit))

        before = -1
        while (now := writes()) != before:
            before = now
            await asyncio.sleep(seconds)

    async def _changes(self, count: int, changes: int) -> dict[str, float]:
        """Change single policies and measure until the new rule runs."""
        times: list[float] = []
        for index in range(changes):
            number = index * count // changes
            body, began = self.side.body(number, version=1)["spec"], time.monotonic()
            patch = [{"op": "replace", "path": "/spec", "value": body}]
            name = f"svc-{number}"
            await self.cluster.write(
                Write(Verb.JSON_PATCH, self.side.kind, self.side.namespace, name, patch)
            )
            query = f"rule_name[]={first_alert(number, 1)}"

            async def there(query: str = query) -> bool:
                return bool(await self._rules(query))

            if not await until(there, seconds=_PATIENCE, pause=0.02):
                raise TimeoutError(f"{self.side.name}: a change is not active")
            times.append(time.monotonic() - began)
            await self._rest(index / changes)
        return _spread("change", times)

    async def _rest(self, part: float) -> None:
        """Wait until Prometheus has ended its reload, and then some, out of step with its clock.

        With five thousand rules a reload takes it seconds, and a change meanwhile waits for it.
        """
        now = datetime.now(UTC).replace(microsecond=0)

        async def reloaded() -> bool:
            async with self.session.get(f"{self.prometheus}/status/runtimeinfo") as answer:
                last = (await answer.json())["data"]["lastConfigTime"]
            return datetime.fromisoformat(last) >= now

        await until(reloaded, seconds=10, pause=0.1)
        await asyncio.sleep(1 + part)

    async def configurations(self, changes: int) -> dict[str, float]:
        """Change our stack's configuration and measure until its Prometheus runs it."""
        times: list[float] = []
        for index in range(changes):
            began, value = time.monotonic(), f"v{index}-{time.time_ns()}"
            patch = {"spec": {"metrics": {"externalLabels": {"bench": value}}}}
            await self.cluster.write(Write(Verb.MERGE, MONITORING_STACK, OURS, "main", patch))

            async def there(value: str = value) -> bool:
                async with self.session.get(f"{self.prometheus}/status/config") as answer:
                    return value in await answer.text()

            if not await until(there, seconds=60, pause=0.02):
                raise TimeoutError("a configuration is not in force")
            times.append(time.monotonic() - began)
            await self._rest(index / changes)
        return _spread("configuration", times)


def _spread(what: str, times: Sequence[float]) -> dict[str, float]:
    if not times:
        return {}
    return {
        f"{what}_p50_s": round(statistics.median(times), 2),
        f"{what}_p95_s": round(quantile([*times], 0.95), 2),
        f"{what}_p99_s": round(quantile([*times], 0.99), 2),
        f"{what}s": len(times),
    }


def _call_figures(calls: Sequence[Call], status: str) -> dict[str, Any]:
    kinds = Counter(f"{call.verb} {call.resource}" for call in calls)
    statuses = sum(call.resource == status and call.is_write for call in calls)
    return {
        "calls": len(calls),
        "calls_without_status": len(calls) - statuses,
        "calls_by_kind": dict(sorted(kinds.items())),
    }


async def measure(
    side: Side, *, count: int, changes: int, configurations: int = 0
) -> dict[str, Any]:
    """Run one side once, from an empty Prometheus and a fresh process."""
    side.clear()
    side.start()
    kubeconfig = str(side.testbed.cluster.kubeconfig)
    async with connect(kubeconfig, Metrics()) as cluster, aiohttp.ClientSession() as session:

        async def empty() -> bool:
            with suppress(aiohttp.ClientError):  # the operator may have it start anew
                return not await Bench(side, cluster, session, side.prometheus()).count()
            return False

        if not await until(empty, seconds=_PATIENCE, pause=0.5):
            raise TimeoutError(f"{side.name}: rules of the last run stay")
        await asyncio.sleep(5)
        bench = Bench(side, cluster, session, side.prometheus())
        figures = await bench.run(count, changes)
        if configurations:
            figures |= await bench.configurations(configurations)
    print(f"{side.name}: {figures}", flush=True)
    side.clear()
    side.stop()
    return figures


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return median, minimum and maximum of every number, over the runs that have it."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.items():
            if isinstance(value, int | float):
                found.setdefault(name, []).append(value)
    return {
        name: {
            "median": round(statistics.median(values), 2),
            "min": min(values),
            "max": max(values),
        }
        for name, values in found.items()
    } | {"runs": [*runs]}


def turns(sides: Sequence[Side], runs: int) -> list[Side]:
    """Return who runs when: A B C, then C B A, and so on."""
    return [side for turn in range(runs) for side in (sides if turn % 2 == 0 else sides[::-1])]


def compare(testbed: Testbed, options: argparse.Namespace) -> dict[str, Any]:
    """Run all sides in turn, then ours once with many more policies."""
    ours = our_side(testbed)
    sides = [ours]
    if not options.alone:
        install_peer(testbed, ConsoleProgress())
        sides += [peer_side(testbed, gate=False), peer_side(testbed, gate=True)]
    for side in sides:
        side.stop()
    results: dict[str, list[dict[str, Any]]] = {side.name: [] for side in sides}
    for turn, side in enumerate(turns(sides, options.runs)):
        own = side is ours
        results[side.name].append(
            asyncio.run(
                measure(
                    side,
                    count=options.policies,
                    changes=options.changes if own else options.peer_changes,
                    configurations=options.configurations if own and turn == 0 else 0,
                )
            )
        )
    found = {name: summarise(runs) for name, runs in results.items()}
    if options.many:
        ours.slow_down()
        many = asyncio.run(measure(ours, count=options.many, changes=3))
        found[f"{ours.name}, {options.many} policies"] = many
    ours.start()
    return found


def main() -> int:
    """Compare and write build/bench/policies.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--configurations", type=int, default=50, help="changes of our stack's")
    parser.add_argument("--peer-changes", type=int, default=5, help="each takes up to a minute")
    parser.add_argument("--many", type=int, default=10_000, help="ours alone; 0 for none")
    parser.add_argument("--alone", action="store_true", help="without prometheus-operator")
    options = parser.parse_args()
    progress = ConsoleProgress()
    testbed = bring_up(progress)
    install(testbed, Values([OURS], [OURS]), progress)
    try:
        figures = compare(testbed, options)
    finally:
        if not options.alone:
            remove_peer(testbed)
        testbed.kubectl.delete("namespace", OURS)
    print(f"in {write('policies', {'policies': options.policies, 'rules_each': RULES, **figures})}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

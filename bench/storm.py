"""A storm of alerts: 10,000 at once, 1,000 of them distinct, about 100 targets.

What is measured is the operator's process and the API server: a real etcd and kube-apiserver without nodes
or controllers, on the same machine, so that no pod that starts takes part. Alerts are posted as
Prometheus does, 256 to a post and one post after another, with the token of an imagined pod. T0 of a
target is when the first post that names it begins to be sent; T1 is when the API server had answered the
PATCH of its ``/scale`` (the audit log's ResponseComplete). The storm is then sent once more: nothing may
come of that. The operator acts as an administrator here, and nobody answers as its Prometheus.

The rails are set so that all targets may act: an installation has 10 actions an hour in a namespace and
5 targets at a time unless its values say otherwise.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from bench.record import quantile, write
from e2e.audit import AuditLog
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from e2e.kubectl import wait_for
from firewatch.api.resource import Object
from tests.apiserver.posting import Site, posting_site, pushed, scalings

TARGETS = 100
DISTINCT = 1_000
ALERTS = 10_000
BATCH = 256
"""Prometheus' own default (``--alertmanager.notification-batch-size``)."""
SEED = 1
RAILS = {
    "FIREWATCH_NAMESPACE_ACTIONS_PER_HOUR": "10000",
    "FIREWATCH_CLUSTER_ACTIONS_PER_HOUR": "10000",
    "FIREWATCH_MAX_TARGETS": str(TARGETS),
}
_QUIET_SECONDS = 10


@dataclass(frozen=True)
class Sent:
    """A post, and when it was sent and answered."""

    targets: frozenset[str]
    began: datetime
    seconds: float


def storm(targets: tuple[str, ...]) -> list[Object]:
    """Return all alerts, each distinct one as often as the others, in a fixed disorder."""
    distinct = [pushed(targets[n % len(targets)], n) for n in range(DISTINCT)]
    alerts = distinct * (ALERTS // DISTINCT)
    random.Random(SEED).shuffle(alerts)
    return alerts


async def post(site: Site, alerts: list[Object]) -> list[Sent]:
    """Send alerts as Prometheus does; a post that is not taken is lost."""
    sent: list[Sent] = []
    headers = {"Authorization": f"Bearer {site.token}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for start in range(0, len(alerts), BATCH):
            batch = alerts[start : start + BATCH]
            body = json.dumps(batch).encode()
            began, clock = datetime.now(UTC), time.monotonic()
            async with session.post(f"{site.url}/api/v2/alerts", data=body) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"the receiver answered {answer.status}")
            names = frozenset(alert["labels"]["target"] for alert in batch)
            sent.append(Sent(names, began, time.monotonic() - clock))
    return sent


def latencies(sent: list[Sent], audit: AuditLog) -> dict[str, float]:
    """Return the seconds from the first post about a target to its first change, by target."""
    first: dict[str, datetime] = {}
    for each in sent:
        for target in each.targets:
            first.setdefault(target, each.began)
    found: dict[str, float] = {}
    for call in scalings(audit):
        found.setdefault(call.name, (call.answered - first[call.name]).total_seconds())
    return found


def received(site: Site) -> float:
    """Return how many alerts that fire the receiver has taken in."""
    url = f"http://127.0.0.1:{site.operator.health}/metrics"

    async def ask() -> str:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    lines = asyncio.run(ask()).splitlines()
    name = 'firewatch_receiver_alerts_total{state="firing"}'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def histories(site: Site) -> list[int]:
    """Return how often each AutoResponse says that it has raised its target."""
    return [
        [entry["event"] for entry in status.get("history", ())].count("ScaledUp")
        for status in site.responses().values()
    ]


def measure(site: Site) -> dict[str, Any]:
    """Send the storm, and once more; return the figures."""
    alerts, audit = storm(site.targets), site.audit()
    before = site.operator.memory()
    sent = asyncio.run(post(site, alerts))
    wait_for(
        "every target to be raised", lambda: len(scalings(audit)) >= TARGETS, seconds=120, pause=0.5
    )
    wait_for("every action to be told", partial(_is_told, site), seconds=120, pause=0.5)
    times = [*latencies(sent, audit).values()]
    again = asyncio.run(post(site, alerts))
    time.sleep(_QUIET_SECONDS)
    raised = scalings(audit)
    return {
        "alerts": len(alerts),
        "distinct": DISTINCT,
        "targets": TARGETS,
        "taken_in": int(received(site)),
        "sent": len(alerts) * 2,
        "raised": len({call.name for call in raised}),
        "lost": TARGETS - len({call.name for call in raised}),
        "doubled": len(raised) - len({call.name for call in raised}),
        "told": sum(histories(site)),
        "receipt_to_patched_p50_s": round(statistics.median(times), 4),
        "receipt_to_patched_p99_s": round(quantile(times, 0.99), 4),
        "receipt_to_patched_max_s": round(max(times), 4),
        "longest_answer_s": round(max(each.seconds for each in (*sent, *again)), 4),
        "rss_before_mib": round(before, 1),
        "rss_peak_mib": round(site.operator.memory("VmHWM"), 1),
        "settings": "no nodes and no controllers; posts of 256 alerts, one after another; rails"
        f" {RAILS}",
    }


def _is_told(site: Site) -> bool:
    return all(histories(site))


def main() -> int:
    """Measure, and write build/bench/storm.json."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            ControlPlane.prepare(folder, ConsoleProgress()) as control_plane,
            posting_site(folder, control_plane, targets=TARGETS, rails=RAILS) as site,
        ):
            figures = measure(site)
    print(
        f"p50 {figures['receipt_to_patched_p50_s']} s, p99 {figures['receipt_to_patched_p99_s']} s,"
        f" {figures['lost']} lost, {figures['doubled']} doubled,"
        f" peak {figures['rss_peak_mib']} MiB, in {write('storm', figures)}"
    )
    is_complete = figures["taken_in"] == figures["sent"] and figures["told"] == TARGETS
    return 0 if is_complete and not (figures["lost"] or figures["doubled"]) else 1


if __name__ == "__main__":
    sys.exit(main())

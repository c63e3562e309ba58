"""From a threshold that is crossed to replicas that change: ours beside those of others.

All watch one gauge of the example application, at the same time, by one Prometheus that scrapes and
evaluates every second, each with a target of its own: ours by push, ours by an Alertmanager's webhook, a
HorizontalPodAutoscaler by prometheus-adapter, and KEDA. T0 is when the API server had received the request
that sets the gauge above the threshold, T1 when it had answered the change of the target's scale (the
audit log's ResponseComplete): one clock for all.

Two rounds: the others as they come (autoscalers are looked at every 15 s, KEDA polls every 30 s), and
tuned as far as they can be (every second, both). Each trial begins at a chance moment, with autoscalers
that were made anew under names of their own and have read their metric: one that has scaled remembers it
for five minutes, by its name.
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bench.record import quantile, write
from bench.scalers import MOST, Peers, load_images
from e2e.audit import AuditLog, Call
from e2e.cluster.node import HPA_PERIOD
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import NAMESPACE as OPERATOR_NAMESPACE
from e2e.installation import RELEASE, Testbed, Values, bring_up, install, namespace
from e2e.kubectl import Object, wait_for
from e2e.station import ALERT, STACK, Station, application

NAMESPACE = "bench-peers"
TRIALS = 30
SEED = 1
PUSH, WEBHOOK, HPA, KEDA = "push", "webhook", "hpa", "keda"
SIDES = (PUSH, WEBHOOK, HPA, KEDA)
OURS, OTHERS = (PUSH, WEBHOOK), (HPA, KEDA)
_TOKEN = {"name": "webhook", "key": "token"}
_FIRST_LOOK = 240.0
"""Seconds until an autoscaler has read its metric, at most: KEDA waits for certificates of its own making."""


@dataclass(frozen=True)
class Round:
    """How the others are set."""

    name: str
    hpa_period: str
    """How often autoscalers are looked at; empty is the default of 15 s."""
    keda_polling: int
    """Seconds between two looks of KEDA."""
    longest_wait: float
    """Seconds before a trial, at most: one period of an autoscaler."""

    @property
    def settings(self) -> Mapping[str, object]:
        """Return the settings in words, for whoever reads the figures."""
        return {
            "hpa_sync_period": self.hpa_period or "15s (default)",
            "keda_polling_interval_s": self.keda_polling,
            "prometheus": "scrape and rule interval 1 s, for 0 s",
            "alertmanager": "group_wait 0 s, group_interval 1 s",
            "hpa_tolerance": "0.1 (default); the gauge goes from 0 to 6, the threshold is 5",
        }


ROUNDS = (Round("defaults", "", 30, 15.0), Round("tuned", "1s", 1, 1.0))


def prepare(testbed: Testbed) -> Station:
    """Create the targets, and one Prometheus with an Alertmanager."""
    station, kubectl = Station(testbed, NAMESPACE), testbed.kubectl
    image = testbed.images.example_app
    signal = application(NAMESPACE, "signal", 1, image)
    signal[1]["metadata"] = {**signal[1]["metadata"], "labels": {"scrape": "yes"}}
    targets = [each for side in SIDES for each in application(NAMESPACE, side, 1, image)]
    kubectl.apply(namespace(NAMESPACE), *signal, *targets, _secret(), _stack(station))
    kubectl.apply(station.policy())
    station.wait_ready("mstack", STACK, seconds=180)
    station.wait_ready("apol", "load")
    wait_for("the gauge at Prometheus", lambda: station.query("freeagentics_demo_load"))
    return station


def arm(station: Station) -> None:
    """Create both AutoResponses anew: one may act 60 times within an hour, and remembers it."""
    for side in OURS:
        station.kubectl.delete("aresp", side, NAMESPACE)
    station.kubectl.apply(*_responses(station))
    for side in OURS:
        station.wait_ready("aresp", side)


def _secret() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _TOKEN["name"], "namespace": NAMESPACE},
        "stringData": {_TOKEN["key"]: f"{random.SystemRandom().getrandbits(128):032x}"},
    }


def _stack(station: Station) -> Object:
    stack = station.stack()
    stack["spec"]["metrics"]["scrapeJobs"] = [
        {"name": "signal", "serviceSelector": {"matchLabels": {"scrape": "yes"}}, "port": "8000"}
    ]
    url = f"http://{RELEASE}-receiver.{OPERATOR_NAMESPACE}.svc:9095/webhook/{NAMESPACE}"
    hook = {"name": "firewatch", "webhook": [{"url": url, "httpConfig": {"bearerToken": _TOKEN}}]}
    stack["spec"]["alerting"] = {
        "image": station.testbed.image("alertmanager", ConsoleProgress()),
        "receivers": [hook],
        # By name: an alert that joins a group which has been told already waits for its interval.
        "route": {
            "receiver": "firewatch",
            "groupBy": ["alertname"],
            "groupWait": "0s",
            "groupInterval": "1s",
        },
    }
    return stack


def _responses(station: Station) -> Iterator[Object]:
    """Yield both: one has the stack's pushes, the other only what the Alertmanager sends, and polls."""
    source = {
        "prometheus": {"url": f"http://{STACK}-prometheus.{NAMESPACE}.svc:9090"},
        "webhookToken": _TOKEN,
        # The stack's own, which its Prometheus adds to what it sends.
        "externalLabels": ["cluster"],
    }
    yield station.response(PUSH, target={"name": PUSH})
    yield station.response(WEBHOOK, target={"name": WEBHOOK}, source=source)


@contextmanager
def scaling(station: Station, peers: Peers, found: Round, number: int) -> Iterator[None]:
    """Have the others scale their targets, for the trial of that number."""
    kubectl, hpa, scaled = station.kubectl, f"{HPA}-{number}", f"{KEDA}-{number}"
    autoscalers = (hpa, f"keda-hpa-{scaled}")
    kubectl.apply(peers.autoscaler(hpa, HPA), peers.scaled_object(scaled, KEDA, found.keda_polling))
    try:
        for name in autoscalers:
            ready = partial(peers.is_active, name)
            wait_for(f"{name} to read its metric", ready, seconds=_FIRST_LOOK)
        yield
    finally:
        kubectl.delete("hpa", hpa, NAMESPACE)
        kubectl.delete("scaledobject", scaled, NAMESPACE)
        wait_for("KEDA to let go", lambda: kubectl.get("hpa", autoscalers[1], NAMESPACE) is None)


def run_trial(
    station: Station, peers: Peers, found: Round, chance: random.Random, number: int
) -> dict[str, float]:
    """Cross the threshold once; return the seconds until each target changed."""
    with scaling(station, peers, found, number):
        time.sleep(chance.uniform(0, found.longest_wait))
        audit = AuditLog(station.testbed.cluster)
        station.signal(6)
        changes = wait_for("all targets to change", lambda: _changes(audit), seconds=120)
        crossed = _crossed(audit)
        station.signal(0)
        for side in OURS:
            station.wait_replicas(1, target=side)
            station.wait_state(side, "Idle")
    for side in OTHERS:
        station.kubectl.run("scale", f"deployment/{side}", "-n", NAMESPACE, "--replicas=1")
    return {side: (call.answered - crossed).total_seconds() for side, call in changes.items()}


def _changes(audit: AuditLog) -> dict[str, Call]:
    """Return the first change of the scale of each target, once all have changed."""
    found: dict[str, Call] = {}
    for call in audit.calls(None):
        is_change = call.resource == "deployments/scale" and call.is_write and call.code == 200
        if is_change and call.namespace == NAMESPACE:
            found.setdefault(call.name, call)
    assert {*SIDES} <= found.keys(), f"not yet: {sorted({*SIDES} - found.keys())}"
    return {side: found[side] for side in SIDES}


def _crossed(audit: AuditLog) -> datetime:
    """Return when the request that sets the gauge had come to the API server."""
    calls = (c for c in audit.calls(None) if c.resource == "services/proxy" and c.is_write)
    return next(call.received for call in calls if call.namespace == NAMESPACE)


def summarize(times: list[float]) -> dict[str, object]:
    """Return the figures of one side."""
    return {
        "p50_s": round(statistics.median(times), 3),
        "p99_s": round(quantile(times, 0.99), 3),
        "max_s": round(max(times), 3),
        "trials": len(times),
        "values_s": [round(value, 3) for value in times],
    }


def run_round(station: Station, peers: Peers, found: Round, trials: int) -> dict[str, object]:
    """Run the trials of a round; return its figures."""
    arm(station)
    chance = random.Random(SEED)
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(1, trials + 1):
        trial = run_trial(station, peers, found, chance, number)
        for side, seconds in trial.items():
            times[side].append(seconds)
        shown = "  ".join(f"{side} {trial[side]:6.2f} s" for side in SIDES)
        print(f"{found.name} {number:3}/{trials}  {shown}", flush=True)
    ours = max(quantile(times[side], 0.99) for side in OURS)
    ahead = {side: round(quantile(times[side], 0.99) / ours, 1) for side in OTHERS}
    sides = {side: summarize(times[side]) for side in SIDES}
    return {"settings": found.settings, "p99_of_others_by_our_slower_way": ahead, **sides}


def main() -> int:
    """Run both rounds and write build/bench/latency-peers.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency_peers", description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS, help="how many in each round")
    options = parser.parse_args()
    progress = ConsoleProgress()
    os.environ.pop(HPA_PERIOD, None)
    testbed = bring_up(progress)
    if testbed.cluster.backend != "local":
        print("The controller manager is restarted, which takes the local backend", file=sys.stderr)
        return 2
    load_images(testbed, progress)
    more = {"sources": {"namespaces": [NAMESPACE]}}
    install(testbed, Values([NAMESPACE], [NAMESPACE], more), progress)
    station = prepare(testbed)
    peers = Peers(testbed, NAMESPACE, f"http://{STACK}-prometheus.{NAMESPACE}.svc:9090")
    figures: dict[str, object] = {"alert": ALERT, "most_replicas": MOST, "seed": SEED}
    try:
        peers.install(progress)
        for found in ROUNDS:
            os.environ[HPA_PERIOD] = found.hpa_period
            testbed.backend.up(progress)
            figures[found.name] = run_round(station, peers, found, options.trials)
    finally:
        os.environ.pop(HPA_PERIOD, None)
        testbed.backend.up(progress)
        # First: no namespace goes while the API server knows of an API that nobody serves any more.
        peers.remove()
        testbed.kubectl.delete("namespace", NAMESPACE)
    path = write("latency-peers", figures)
    print(json.dumps({name: figures[name] for name in ("defaults", "tuned")}, indent=2))
    print(f"in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

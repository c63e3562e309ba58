"""A quarter of an hour with those who fight, flap and revert, with the controllers that really do so.

Named after what others have suffered. All of it happens in the same quarter of an hour, on targets that
have nothing else in common: a HorizontalPodAutoscaler and KEDA that want one replica all the time, an
alert that comes and goes every ten seconds, and somebody who writes back every five seconds what the
target had. Run by ``make campaign-pains``; samples of each stand in the tiers.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from bench.scalers import Peers, load_images
from e2e.audit import AuditLog
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, wait_for
from e2e.station import STACK, Station, application

NAMESPACE = "e2e-response"
MINUTES = 15
FLAPPING_MINUTES = 10
AUTOSCALED, KEDA, FLAPPED, REVERTED = "autoscaled", "keda", "flapped", "reverted"
TARGETS = (AUTOSCALED, KEDA, FLAPPED, REVERTED)
FLAPS = "Flaps"
LOW, HIGH = 6, 8
"""Values of the gauge: with the first one alert fires, with the second another besides."""
MUCH = "100"
"""What an autoscaler takes the gauge to be allowed to be for each replica: it wants one."""
FIRST_LOOK = 240
"""Seconds until an autoscaler has read its metric, at most: KEDA waits for certificates of its own making."""


@dataclass
class Quarter:
    """What has been seen in the quarter of an hour."""

    station: Station
    audit: AuditLog
    replicas: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in TARGETS})
    """Of each target, every five seconds since the first were raised."""
    reverts: int = 0
    flaps: int = 0
    before: dict[str, Object] = field(default_factory=dict)
    """Specs of the autoscalers."""
    after: dict[str, Object] = field(default_factory=dict)

    def writes(self, resource: str, name: str, *, by_us: bool = True) -> int:
        """Return how often an object was written, by the operator or by anybody."""
        calls = self.audit.calls() if by_us else self.audit.calls(None)
        wanted = (resource, NAMESPACE, name, 200)
        return sum(
            call.is_write and (call.resource, call.namespace, call.name, call.code) == wanted
            for call in calls
        )

    def look(self) -> None:
        """Note how many replicas each target is to have."""
        for name, seen in self.replicas.items():
            seen.append(self.station.kubectl.replicas(name, NAMESPACE))

    def specs(self) -> dict[str, Object]:
        """Return the specs of both autoscalers."""
        kinds = {AUTOSCALED: "hpa", KEDA: "scaledobject"}
        found = {
            name: self.station.kubectl.get(kind, name, NAMESPACE) for name, kind in kinds.items()
        }
        return {name: live["spec"] for name, live in found.items() if live}

    def status(self, name: str) -> Object:
        """Return the status of an AutoResponse."""
        found: Any = self.station.kubectl.get("aresp", name, NAMESPACE)
        status: Object = found["status"]
        return status


def prepare(testbed: Testbed) -> Station:
    """Create the targets, and one Prometheus that says of which Service the gauge is."""
    station, kubectl = Station(testbed, NAMESPACE), testbed.kubectl
    image = testbed.images.example_app
    signal = application(NAMESPACE, "signal", 1, image)
    signal[1]["metadata"] = {**signal[1]["metadata"], "labels": {"scrape": "yes"}}
    stack = station.stack()
    stack["spec"]["metrics"]["scrapeJobs"] = [
        {"name": "signal", "serviceSelector": {"matchLabels": {"scrape": "yes"}}, "port": "8000"}
    ]
    flaps = station.policy("flaps", alert=FLAPS, above=(LOW + HIGH) / 2)
    targets = [station.workload(name) for name in TARGETS]
    kubectl.apply(namespace(NAMESPACE), *signal, *targets, stack, station.policy(), flaps)
    station.wait_ready("mstack", STACK, seconds=180)
    for name in ("load", "flaps"):
        station.wait_ready("apol", name)
    wait_for("the gauge at Prometheus", lambda: station.query("freeagentics_demo_load"))
    return station


@contextmanager
def autoscaled(station: Station) -> Iterator[None]:
    """Have what autoscalers ask, and an autoscaler of either kind that scales its target."""
    address = f"http://{STACK}-prometheus.{NAMESPACE}.svc:9090"
    peers, progress = Peers(station.testbed, NAMESPACE, address), ConsoleProgress()
    load_images(station.testbed, progress)
    try:
        peers.install(progress)
        with scaling(station, peers):
            yield
    finally:
        peers.remove()


@contextmanager
def scaling(station: Station, peers: Peers) -> Iterator[None]:
    """Have an autoscaler of either kind scale its target, and read its metric."""
    kubectl = station.kubectl
    scaler = peers.autoscaler(AUTOSCALED, AUTOSCALED)
    scaled = peers.scaled_object(KEDA, KEDA, polling=5)
    scaler["spec"]["metrics"][0]["object"]["target"]["value"] = MUCH
    scaled["spec"]["triggers"][0]["metadata"]["threshold"] = MUCH
    try:
        kubectl.apply(scaler, scaled)
        for name in (AUTOSCALED, f"keda-hpa-{KEDA}"):
            ready = partial(peers.is_active, name)
            wait_for(f"{name} to read its metric", ready, seconds=FIRST_LOOK)
        yield
    finally:
        kubectl.delete("hpa", AUTOSCALED, NAMESPACE)
        kubectl.delete("scaledobject", KEDA, NAMESPACE)
        wait_for(
            "KEDA to let go", lambda: kubectl.get("hpa", f"keda-hpa-{KEDA}", NAMESPACE) is None
        )


def respond(station: Station) -> None:
    """Apply an AutoResponse for each target, with the limits that everybody has."""
    actions = [{"scaleUp": {"by": 2, "maxReplicas": 6}}]
    holds = {AUTOSCALED: "30s", KEDA: "30s", FLAPPED: "300s", REVERTED: "30s"}
    for name in TARGETS:
        spec: Object = {
            "target": {"name": name},
            "actions": actions,
            # The gauge does not get less by more replicas.
            "recovery": {"hold": holds[name], "loadAware": False},
            # Nor does it help, which would be told.
            "rails": {"verifyWithin": "0s"},
        }
        if name == FLAPPED:
            spec["trigger"] = {"alert": FLAPS}
        station.kubectl.apply(station.response(name, **spec))
    for name in TARGETS:
        station.wait_ready("aresp", name)


def live_through(found: Quarter) -> None:
    """Let the quarter of an hour pass, five seconds at a time."""
    station, began = found.station, time.monotonic()
    step = 0
    while (passed := time.monotonic() - began) < MINUTES * 60:
        if passed < FLAPPING_MINUTES * 60:
            found.flaps += step % 4 == 0
            station.signal(HIGH if step % 4 < 2 else LOW)
        elif step % 4 == 0:
            station.signal(LOW)
        scale = ("scale", f"deployment/{REVERTED}", "-n", NAMESPACE, "--replicas=1")
        station.kubectl.run(*scale)
        found.reverts += 1
        step += 1
        time.sleep(max(0.0, began + step * 5 - time.monotonic()))
        found.look()


@pytest.fixture(scope="module")
def quarter(testbed: Testbed) -> Iterator[Quarter]:
    """Return what has been seen in a quarter of an hour and at its end."""
    station = prepare(testbed)
    with autoscaled(station):
        respond(station)
        found = Quarter(station, AuditLog(testbed.cluster))
        found.before = found.specs()
        station.signal(LOW)
        for name in (AUTOSCALED, KEDA):
            station.wait_state(name, "Active")
            station.wait_replicas(3, target=name)
        try:
            live_through(found)
            station.signal(0)
            for name in (AUTOSCALED, KEDA, FLAPPED, REVERTED):
                station.wait_state(name, "Idle", seconds=400)
            found.after = found.specs()
            yield found
        finally:
            station.signal(0)
            for name in TARGETS:
                station.kubectl.delete("aresp", name, NAMESPACE)
                station.kubectl.delete("deployment", name, NAMESPACE)
            station.kubectl.delete("apol", "flaps", NAMESPACE)


def test_llmkube_485_nobody_fights_with_a_horizontal_pod_autoscaler(quarter: Quarter) -> None:
    """It wants one replica all the time, and never writes another number than three."""
    seen = quarter.replicas[AUTOSCALED]
    print(f"{len(seen)} looks in {MINUTES} minutes: {sorted({*seen})}")
    assert {*seen} == {3}, "flipped"
    assert quarter.writes("horizontalpodautoscalers", AUTOSCALED) == 2
    assert quarter.after[AUTOSCALED] == quarter.before[AUTOSCALED]
    assert quarter.station.history(AUTOSCALED) == ["ScaledUp", "Restored"]


def test_nobody_fights_with_keda(quarter: Quarter) -> None:
    """It wants the same, by an autoscaler of its own, in which it undoes what others write."""
    seen = quarter.replicas[KEDA]
    print(f"{len(seen)} looks in {MINUTES} minutes: {sorted({*seen})}")
    assert {*seen} == {3}, "flipped"
    assert quarter.writes("scaledobjects", KEDA) == 2
    assert quarter.after[KEDA] == quarter.before[KEDA]
    assert quarter.station.history(KEDA) == ["ScaledUp", "Restored"]


def test_prometheus_14085_ten_minutes_of_ten_seconds_on_and_off_are_two_writes(
    quarter: Quarter,
) -> None:
    """One up, and one down once the alert has stayed resolved."""
    writes = quarter.writes("deployments/scale", FLAPPED)
    print(f"{quarter.flaps} times on and off in {FLAPPING_MINUTES} minutes, {writes} writes")
    assert quarter.flaps >= 25
    assert writes <= 2
    assert quarter.station.history(FLAPPED) == ["ScaledUp", "Restored"]
    assert quarter.station.kubectl.replicas(FLAPPED, NAMESPACE) == 1


def test_robusta_736_a_reverter_every_five_seconds_is_answered_once_and_then_named(
    quarter: Quarter,
) -> None:
    """And it is named who reverts."""
    writes = quarter.writes("deployments/scale", REVERTED)
    print(f"{quarter.reverts} reverts in {MINUTES} minutes, {writes} writes")
    assert quarter.reverts >= 100
    assert writes <= 2
    history = quarter.station.history(REVERTED)
    assert history == ["ScaledUp", "Rewritten", "Contested", "RestoreSkipped"]
    entries = quarter.status(REVERTED)["history"]
    (contested,) = [each for each in entries if each["event"] == "Contested"]
    assert "kubectl has put reverted back 2 times" in contested["message"]
    assert quarter.station.kubectl.replicas(REVERTED, NAMESPACE) == 1

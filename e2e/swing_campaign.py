"""A service of which the CPU is the alert, on real pods under real requests.

More replicas cure it, so that "resolved" says nothing about whether fewer would do. Run by
``make campaign-swing``.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.installation import Testbed
from e2e.kubectl import wait_for
from e2e.station import ALERT, Station

NAMESPACE = "e2e-response"
USAGE = 'max(rate(process_cpu_seconds_total{job="api"}[10s]))'
SECONDS = 60
"""How long the load lasts once the target was raised."""
REQUESTS = """
import http.client, sys, threading, time

def send(number):
    due = time.monotonic() + number * PAUSE
    while True:
        time.sleep(max(0, due - time.monotonic()))
        due = max(due + THREADS * PAUSE, time.monotonic())
        try:
            connection = http.client.HTTPConnection("api", 8000, timeout=5)
            connection.request("GET", "/metrics", headers={"Connection": "close"})
            connection.getresponse().read()
            connection.close()
        except OSError:
            pass  # a pod that ends

THREADS, PAUSE = 8, 1 / 120
for number in range(THREADS):
    threading.Thread(target=send, args=(number,), daemon=True).start()
print("sending", flush=True)
sys.stdin.read()
"""


@contextmanager
def requests(station: Station) -> Iterator[None]:
    """Send 120 requests a second to the target, each by a connection of its own."""
    kubectl = station.kubectl
    command = [
        str(kubectl.cluster.tools / "kubectl"),
        "exec",
        "-i",
        "deploy/signal",
        "-n",
        NAMESPACE,
        "--",
    ]
    with subprocess.Popen(
        [*command, "/opt/venv/bin/python3", "-c", REQUESTS],
        env=kubectl.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as sender:
        assert sender.stdin is not None
        assert sender.stdout is not None
        assert sender.stdout.readline() == b"sending\n"
        try:
            yield
        finally:
            sender.stdin.close()  # which ends it


@pytest.fixture(scope="module")
def station(testbed: Testbed) -> Station:
    """Return a namespace in which the target's CPU is scraped pod by pod."""
    found = Station(testbed, NAMESPACE)
    pods = {"name": "api", "podSelector": {"matchLabels": {"app": "api"}}, "port": "8000"}
    found.set_up(scrapeJobs=[{"name": "signal", "targets": ["signal:8000"]}, pods])
    wait_for("the target's CPU", lambda: found.query(USAGE))
    return found


def usage(station: Station) -> float:
    """Return the cores that the busiest replica takes."""
    return float(station.query(USAGE)[0]["value"][1])


def raise_under_load(station: Station, **recovery: object) -> None:
    """Let one replica be too few by its own measure, and have the response raise it to two."""
    kubectl = station.kubectl
    time.sleep(15)  # what the rate looks back over, so that it knows nothing from before
    alone = usage(station)
    print(f"one replica takes {alone:.3f} cores; the alert fires above {0.7 * alone:.3f}")
    policy = station.policy()
    policy["spec"]["groups"][0]["rules"][0]["expr"] = f"{USAGE} > {0.7 * alone:.4f}"
    kubectl.apply(policy, station.response(recovery={"hold": "2s", **recovery}))
    station.wait_replicas(2, seconds=60)


@pytest.fixture(autouse=True)
def _clean(station: Station) -> Iterator[None]:
    yield
    station.kubectl.delete("aresp", "scale", NAMESPACE)
    station.kubectl.delete("apol", "load", NAMESPACE)
    station.wait_replicas(1)


def test_without_it_the_replicas_swing(station: Station) -> None:
    """Resolved because of the second replica, the alert comes back without it."""
    with requests(station):
        raise_under_load(station, loadAware=False)
        again = wait_for(
            "the target to be raised again",
            lambda: station.history().count("ScaledUp") >= 2,
            seconds=SECONDS,
        )
    assert again


def test_with_it_the_target_goes_up_once_and_down_once(station: Station) -> None:
    """The second replica stays while the load does, though the alert has resolved."""
    with requests(station):
        raise_under_load(station)
        wait_for("the alert to resolve", lambda: not firing(station))
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            assert station.kubectl.replicas("api", NAMESPACE) == 2
            time.sleep(1)
    station.wait_replicas(1, seconds=60)
    station.wait_state("scale", "Idle", "Cooldown")
    assert [each for each in station.history() if each in ("ScaledUp", "Restored")] == [
        "ScaledUp",
        "Restored",
    ]


def firing(station: Station) -> bool:
    """Tell whether the alert fires."""
    return bool(station.query(f'ALERTS{{alertname="{ALERT}",alertstate="firing"}}'))

"""The operator's replicas: which of them acts, what they say, and the processes that they are."""

import os
from datetime import UTC, datetime
from pathlib import Path
from signal import Signals

from e2e.installation import NAMESPACE, RELEASE, Testbed
from e2e.kubectl import Object, condition, wait_for
from firewatch.settings import LEASE_NAME

SELECTOR = f"app.kubernetes.io/name={RELEASE},app.kubernetes.io/component=operator"
LOGS = ("logs", "-n", NAMESPACE, "-l", SELECTOR, "--prefix", "--tail=-1")
"""What kubectl is told to show all that the replicas have logged."""


def pods(testbed: Testbed) -> list[Object]:
    """Return the operator's pods that are not being deleted."""
    found = testbed.kubectl.list("pod", NAMESPACE, SELECTOR)
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def names(testbed: Testbed) -> list[str]:
    """Return the names of the operator's pods."""
    return sorted(pod["metadata"]["name"] for pod in pods(testbed))


def leader(testbed: Testbed, *, instead_of: str = "") -> str:
    """Wait until a replica leads, another than one that did; return the name of its pod."""

    def holder() -> str:
        lease = testbed.kubectl.get("lease", LEASE_NAME, NAMESPACE)
        assert lease is not None
        pod: str = lease["spec"]["holderIdentity"].rpartition("_")[0]
        assert pod in names(testbed), f"the Lease is held by {pod!r}"
        assert pod != instead_of, f"{pod} still leads"
        return pod

    return wait_for("a replica of the operator to lead", holder, pause=0.1)


def figure(testbed: Testbed, pod: str, name: str) -> float:
    """Return one of the metrics that a replica has of itself; 0 if it does not have it."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics"
    lines = testbed.kubectl.run("get", "--raw", path).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


def log(testbed: Testbed, since: str = "5m") -> str:
    """Return what all replicas have logged lately."""
    return testbed.kubectl.run(*LOGS, f"--since={since}")


def wait_ready(testbed: Testbed) -> None:
    """Wait until there are as many replicas as there should be, and all of them are ready."""

    def ready() -> bool:
        found = testbed.kubectl.list("pod", NAMESPACE, SELECTOR)
        states = [condition(pod, "Ready").get("status") for pod in found]
        return states == ["True"] * testbed.kubectl.replicas(RELEASE, NAMESPACE)

    wait_for("all replicas of the operator to be ready", ready, seconds=120)


def send(pod: str, signal: Signals) -> datetime:
    """Send a signal to a replica, from outside of its container; return when."""
    found = processes(pod)
    assert found, f"no process of pod {pod} is on this machine"
    sent = datetime.now(UTC)
    for each in found:
        os.kill(each, signal)
    return sent


def processes(pod: str) -> list[int]:
    """Return the processes of a replica whose container runs on this machine."""
    folders = (folder for folder in Path("/proc").iterdir() if folder.name.isdecimal())
    variable = f"FIREWATCH_POD={pod}".encode()
    return [int(folder.name) for folder in folders if variable in _environment(folder)]


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended meanwhile
        return []


def renew(testbed: Testbed, *ended: str) -> None:
    """Make the pods anew whose container was started again, and wait until all replicas are ready.

    The kubelet takes longer with every start of a container, and longer than any test waits. Those that
    have just been ended are named: it may not have noticed yet.
    """
    for pod in pods(testbed):
        name, states = pod["metadata"]["name"], pod["status"].get("containerStatuses", ())
        if name in ended or any(each["restartCount"] for each in states):
            testbed.kubectl.delete("pod", name, NAMESPACE)
    wait_ready(testbed)

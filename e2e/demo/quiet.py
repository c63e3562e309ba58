"""Whether the nodes are idle enough for the demo to prove anything."""

import time
from collections.abc import Mapping

from e2e.demo.api import Api
from e2e.demo.names import DemoError

LIMIT = 60.0
"""Percent; a machine that is busier would fire the alert by itself."""
_PAUSE = 10.0
"""Seconds between two measurements of a kubelet."""
_TRIES = 5


def measure_idle_cpu(api: Api) -> float:
    """Return how busy the busiest node is, in percent; ``DemoError`` if it stays above the limit.

    The first measurement may still see the installation, so it is given some time.
    """
    busiest = max(_busy(api).values())
    for _ in range(_TRIES - 1):
        if busiest <= LIMIT:
            break
        time.sleep(_PAUSE)
        busiest = max(_busy(api).values())
    if busiest > LIMIT:
        raise too_busy(busiest)
    return busiest


def too_busy(percent: float) -> DemoError:
    """Return the error for a node that is not idle."""
    return DemoError(
        f"The node's CPU is {percent:.0f} % busy before the demo has done anything. Above"
        f" {LIMIT:.0f} % the alert would soon fire by itself, and the demo would prove nothing."
        " Stop what else runs on this machine, or wait until it is done, and start the demo again.",
        "top",
    )


def cores(api: Api, node: str) -> int:
    """Return how many cores a node has."""
    capacity = str(api.get(f"/api/v1/nodes/{node}")["status"]["capacity"]["cpu"])
    if capacity.endswith("m"):
        return -(-int(capacity.removesuffix("m")) // 1000)
    return int(capacity)


def _busy(api: Api) -> Mapping[str, float]:
    """Return percent by node over the last ten seconds or so, as the kubelets have counted it."""
    names = [node["metadata"]["name"] for node in api.get("/api/v1/nodes")["items"]]
    return {name: _used_cores(api, name) / cores(api, name) * 100 for name in names}


def _used_cores(api: Api, node: str) -> float:
    summary = api.get(f"/api/v1/nodes/{node}/proxy/stats/summary", only_cpu_and_memory="true")
    return float(summary["node"]["cpu"]["usageNanoCores"]) / 1e9

"""An API server that is killed and started again, and whether the operator goes on hearing of things."""

import time

from e2e import operators
from e2e.cluster.local import LocalBackend
from e2e.installation import Testbed
from e2e.kubectl import Object, wait_for
from e2e.station import Station

_NEVER: Object = {"name": "g", "rules": [{"alert": "Never", "expr": "vector(0) > 1"}]}
_NEW: dict[str, Object] = {
    "AlertPolicy": {"groups": [_NEVER]},
    "RetentionPolicy": {"metrics": {"time": "3d"}},
}


def kill_api_server(testbed: Testbed) -> None:
    """Kill the API server and start it again; return when it is ready."""
    backend = testbed.backend
    assert isinstance(backend, LocalBackend), "only the local backend can restart its API server"
    backend.restart_api_server()


def restarts(testbed: Testbed) -> dict[str, int]:
    """Return how often the container of each of the operator's pods has been started again."""
    return {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in operators.pods(testbed)
    }


def hear_news(station: Station) -> float:
    """Apply one of each kind that a stack has; return after how many seconds all have a status."""
    began = time.monotonic()
    new = [station.resource(kind, "news", spec) for kind, spec in _NEW.items()]
    new.append(station.response("news", mode="observe"))
    station.kubectl.apply(*new)
    for each in new:
        kind = each["kind"]

        def is_answered(kind: str = kind) -> bool:
            found = station.kubectl.get(kind, "news", station.namespace) or {}
            return bool(found.get("status", {}).get("conditions"))

        wait_for(f"{kind} news to be answered", is_answered)
    took = time.monotonic() - began
    for each in new:
        station.kubectl.delete(each["kind"], "news", station.namespace)
    return took

"""Scrape jobs in Prometheus' own words on a real cluster, also those that it refuses."""

import json

from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, wait_for
from e2e.station import STACK, Station

POD = f"{STACK}-prometheus-0"


def secret(station: Station, **fields: object) -> Object:
    job = {"job_name": "own-words", "static_configs": [{"targets": ["localhost:9090"]}], **fields}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "extra", "namespace": station.namespace},
        "stringData": {"jobs.yaml": json.dumps([job])},
    }


def test_what_prometheus_refuses_is_taken_back_and_a_pod_starts_all_the_same(
    testbed: Testbed,
) -> None:
    station = Station(testbed, "e2e-raw-scrapes")
    stack = station.stack()
    metrics = stack["spec"]["metrics"]
    metrics["additionalScrapeConfigs"] = {"name": "extra", "key": "jobs.yaml"}
    station.kubectl.apply(namespace(station.namespace), secret(station), stack)
    station.wait_ready("mstack", STACK, seconds=120)
    assert wait_for("the job", lambda: station.query('up{job="own-words"} == 1'))

    station.kubectl.apply(secret(station, scrape_interval="never"))
    found = station.wait_reason("mstack", STACK, "Loaded", "ReloadFailed", seconds=120)
    assert "additionalScrapeConfigs" in found["message"]

    before = station.kubectl.get("pod", POD, station.namespace)
    assert before is not None
    station.kubectl.delete("pod", POD, station.namespace)

    def is_back() -> bool:
        pod = station.kubectl.get("pod", POD, station.namespace)
        assert pod is not None
        (container,) = pod["status"]["containerStatuses"]
        return bool(pod["metadata"]["uid"] != before["metadata"]["uid"] and container["ready"])

    assert wait_for("the pod to be back", is_back, seconds=120)
    assert wait_for("the job", lambda: station.query('up{job="own-words"} == 1'))

    station.kubectl.apply(secret(station, scrape_interval="5s"))
    station.wait_ready("mstack", STACK, seconds=120)

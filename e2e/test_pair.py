"""Two Prometheus servers with volumes: retention, volumes that grow, and one server lost.

One stack for all of it, since the pods take the longest.
"""

import json
import time
import urllib.parse
from collections.abc import Iterator
from functools import partial

import pytest

from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, condition, wait_for
from e2e.messages import WEBHOOK, Recorder
from e2e.station import STACK, Station

NAMESPACE = "e2e-pair"
PODS = (f"{STACK}-prometheus-0", f"{STACK}-prometheus-1")
BROKEN = "localhost/firewatch-testbed/none:1"
CLAIMS = tuple(f"data-{pod}" for pod in PODS)


def stack(station: Station, recorder: Recorder, size: str = "1Gi") -> Object:
    """Return two servers that find what they scrape by selectors, and an Alertmanager."""
    by_service = {"matchLabels": {"scrape": "yes"}}
    jobs = [
        {"name": "services", "serviceSelector": by_service, "port": "http"},
        {"name": "pods", "podSelector": {"matchLabels": {"app": "shop"}}, "port": "http"},
    ]
    wanted = station.stack(replicas=2, storage={"size": size}, scrapeJobs=jobs)
    hook = {"name": "hook", "webhook": [{"url": recorder.webhook_url, "sendResolved": False}]}
    route = {"receiver": "hook", "groupBy": ["alertname"], "groupWait": "2s", "groupInterval": "2s"}
    image = station.testbed.image("alertmanager", ConsoleProgress())
    wanted["spec"]["alerting"] = {"image": image, "receivers": [hook], "route": route}
    return wanted


def shop(station: Station) -> list[Object]:
    """Return an application whose port has a name."""
    labels = {"app": "shop", "scrape": "yes"}
    metadata = {"name": "shop", "namespace": NAMESPACE, "labels": labels}
    container = {
        "name": "app",
        "image": station.testbed.images.example_app,
        "args": ["api"],
        "ports": [{"name": "http", "containerPort": 8000}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    selector = {"matchLabels": {"app": "shop"}}
    ports = [{"name": "http", "port": 8000, "targetPort": "http"}]
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"selector": selector, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": "shop"}, "ports": ports},
        },
    ]


@pytest.fixture(scope="module")
def station(testbed: Testbed, recorder: Recorder) -> Iterator[Station]:
    """Return a namespace with the pair, and an application to scrape."""
    found = Station(testbed, NAMESPACE)
    found.kubectl.apply(namespace(NAMESPACE), *shop(found), stack(found, recorder))
    found.wait_ready("mstack", STACK, seconds=180)
    yield found
    found.kubectl.delete("mstack", STACK, NAMESPACE)
    found.kubectl.delete("rpol", "keep", NAMESPACE)
    for claim in CLAIMS:
        found.kubectl.delete("pvc", claim, NAMESPACE, wait=False)


def pods(station: Station) -> dict[str, tuple[str, int]]:
    """Return the uid and the restarts of each server's pod."""
    selector = "app.kubernetes.io/name=prometheus"
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            pod["status"]["containerStatuses"][0]["restartCount"],
        )
        for pod in station.kubectl.list("pods", NAMESPACE, selector)
    }


def ask(station: Station, pod: str, path: str) -> Object:
    """Ask the API of one server."""
    proxy = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9090/proxy/api/v1"
    found: Object = json.loads(station.kubectl.run("get", "--raw", f"{proxy}/{path}"))["data"]
    return found


def query(station: Station, pod: str, expression: str) -> list[Object]:
    """Evaluate an expression at one server."""
    answer = ask(station, pod, f"query?query={urllib.parse.quote(expression)}")
    found: list[Object] = answer["result"]
    return found


def retention(station: Station, time: str, size: str) -> Object:
    return station.resource("RetentionPolicy", "keep", {"metrics": {"time": time, "size": size}})


def test_what_selectors_find_is_scraped_by_both(station: Station) -> None:
    for pod in PODS:
        for job in ("services", "pods"):
            is_up = partial(query, station, pod, f'up{{job="{job}"}} == 1')
            assert wait_for(f"{job} at {pod}", is_up)


def test_a_change_of_retention_is_in_force_in_both_without_a_restart(station: Station) -> None:
    before = pods(station)
    for keeps, size, shown in (("3d", "400MB", "3d or 400MiB"), ("36h", "300MB", "36h or 300MiB")):
        station.kubectl.apply(retention(station, keeps, size))
        station.wait_ready("rpol", "keep")
        for pod in PODS:
            # What the server says that it works by, not what stands in its configuration.
            running = ask(station, pod, "status/runtimeinfo")["storageRetention"]
            assert running.replace("1d12h", "36h") == shown
    assert pods(station) == before
    found = station.kubectl.get("mstack", STACK, NAMESPACE) or {}
    assert found["status"]["retention"]["policy"] == "keep"


def fire(station: Station, name: str) -> None:
    rule = {"alert": name, "expr": "vector(1)", "labels": {"severity": "info"}}
    groups = [{"name": "g", "interval": "1s", "rules": [rule]}]
    station.kubectl.apply(station.resource("AlertPolicy", name.lower(), {"groups": groups}))


def arrived(recorder: Recorder, name: str) -> bool:
    return bool(recorder.messages(WEBHOOK, f'"{name}"'))


def test_an_alert_of_both_is_told_once_and_goes_on_when_one_is_lost(
    station: Station, recorder: Recorder
) -> None:
    fire(station, "Both")
    wait_for("the alert of both", lambda: arrived(recorder, "Both"), seconds=60)
    for pod in PODS:
        is_there = partial(query, station, pod, 'ALERTS{alertname="Both"}')
        (alert,) = wait_for(f"the alert at {pod}", is_there)
        assert alert["metric"]["alertstate"] == "firing"
    lost = pods(station)[PODS[0]]
    station.kubectl.delete("pod", PODS[0], NAMESPACE, wait=False)
    fire(station, "Meanwhile")
    wait_for("an alert without one of both", lambda: arrived(recorder, "Meanwhile"), seconds=60)
    wait_for("the lost one again", lambda: pods(station).get(PODS[0], lost)[0] != lost[0])
    station.wait_ready("mstack", STACK, seconds=120)
    # Whatever the new one tells of has reached Alertmanager and passed its interval by then.
    fire(station, "Afterwards")
    wait_for("an alert afterwards", lambda: arrived(recorder, "Afterwards"), seconds=60)
    for name in ("Both", "Meanwhile", "Afterwards"):
        assert len(recorder.messages(WEBHOOK, f'"{name}"')) == 1


def storage_class(station: Station) -> Object:
    default = "storageclass.kubernetes.io/is-default-class"
    return next(
        each
        for each in station.kubectl.list("storageclass")
        if each["metadata"].get("annotations", {}).get(default) == "true"
    )


def resize(station: Station, claim: str, size: str) -> None:
    """Make the writes of the external resizer, which volumes without a provisioner do not have."""
    found = station.kubectl.get("pvc", claim, NAMESPACE) or {}
    capacity = {"capacity": {"storage": size}}
    station.kubectl.run(
        *("patch", "pv", found["spec"]["volumeName"], "--type=merge"),
        *("-p", json.dumps({"spec": capacity})),
    )
    station.kubectl.run(
        *("patch", "pvc", claim, "-n", NAMESPACE, "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": capacity})),
    )


def test_volumes_grow_around_pods_that_go_on(station: Station, recorder: Recorder) -> None:
    kind = storage_class(station)
    before = pods(station)
    # The volumes of the local cluster have 10 Gi, whatever is asked for.
    station.kubectl.apply(stack(station, recorder, "20Gi"))
    if not kind.get("allowVolumeExpansion"):
        station.wait_reason("mstack", STACK, "StorageReady", "ExpansionNotAllowed")
        change(station, storage={"size": "1Gi"})
        return
    if kind["provisioner"] == "kubernetes.io/no-provisioner":
        station.wait_reason("mstack", STACK, "StorageReady", "StorageResizing")
        for claim in CLAIMS:
            wait_for(f"{claim} to ask for more", partial(asks, station, claim, "20Gi"))
            resize(station, claim, "20Gi")
    station.wait_ready("mstack", STACK, seconds=120)
    template = station.kubectl.get("statefulset", f"{STACK}-prometheus", NAMESPACE) or {}
    (claim,) = template["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert pods(station) == before


def asks(station: Station, claim: str, size: str) -> bool:
    found = station.kubectl.get("pvc", claim, NAMESPACE) or {}
    return bool(found["spec"]["resources"]["requests"]["storage"] == size)


def change(station: Station, **metrics: object) -> None:
    station.kubectl.patch("mstack", STACK, NAMESPACE, {"spec": {"metrics": metrics}})


def test_a_rollout_that_a_broken_pod_holds_up_goes_on(station: Station) -> None:
    change(station, image=BROKEN)

    def is_stuck() -> bool:
        found = station.kubectl.get("pod", PODS[1], NAMESPACE) or {}
        return bool(found["spec"]["containers"][0]["image"] == BROKEN)

    wait_for("the broken pod", is_stuck)
    started = time.monotonic()
    change(station, image=station.testbed.images.prometheus)
    station.wait_ready("mstack", STACK, seconds=180)
    print(f"repaired after {time.monotonic() - started:.0f} s")


def test_one_server_instead_of_two_needs_no_disruption_budget(station: Station) -> None:
    budget = ("pdb", f"{STACK}-prometheus", NAMESPACE)
    assert station.kubectl.get(*budget)
    change(station, replicas=1)
    wait_for("the budget to go", lambda: station.kubectl.get(*budget) is None)
    station.wait_ready("mstack", STACK)
    assert condition(station.kubectl.get("mstack", STACK, NAMESPACE), "Applied")["status"] == "True"

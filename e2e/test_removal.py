"""Removal: each kind, a stack in mid-rollout, and everything in two orders.

All orders, one after another and at once, take `make campaign-removal`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e import operators
from e2e.installation import RELEASE, Testbed
from e2e.kubectl import wait_for
from e2e.removing import (
    EVERYTHING,
    METRICS,
    NAMESPACE,
    RESPONSE,
    TARGET,
    Cascade,
    Order,
    delete_at_once,
    everything,
)
from e2e.station import STACK, Station

THINGS = ("aresp/scale", "rpol/metrics", "apol/load", "mstack/main")
OURS = "app.kubernetes.io/managed-by=firewatch"
CHILDREN = "statefulset,service,configmap,serviceaccount,rolebinding"


def delete_each(station: Station) -> None:
    """Delete one of each kind as thoroughly as can be; fail if one takes longer than a minute."""
    for thing in THINGS:
        delete = ("delete", thing, "-n", NAMESPACE, "--cascade=foreground", "--timeout=60s")
        station.kubectl.run(*delete)


def wait_no_children(station: Station) -> None:
    wait_for(
        "the stack's objects to go", lambda: not station.kubectl.list(CHILDREN, NAMESPACE, OURS)
    )


@contextmanager
def without_role_bindings(station: Station) -> Iterator[None]:
    """Take the operator's rights in the namespace away for a while, as an administrator may."""
    names = (f"{RELEASE}-stacks", f"{RELEASE}-targets")
    found = [station.kubectl.get("rolebinding", name, NAMESPACE) for name in names]
    bindings = [each for each in found if each is not None]
    assert len(bindings) == len(names)
    for each in bindings:
        station.kubectl.delete("rolebinding", each["metadata"]["name"], NAMESPACE)
    try:
        yield
    finally:
        for each in bindings:
            kept = ("name", "namespace", "labels", "annotations")
            metadata = {key: each["metadata"][key] for key in kept if key in each["metadata"]}
            station.kubectl.apply({**each, "metadata": metadata})


def test_each_kind_goes_in_the_foreground_and_what_is_owed_is_put_back(testbed: Testbed) -> None:
    with everything(testbed) as station:
        delete_each(station)
        station.wait_replicas(1)
        wait_no_children(station)
        station.signal(0)


def test_each_kind_goes_although_its_role_bindings_are_gone(testbed: Testbed) -> None:
    with everything(testbed) as station:
        with without_role_bindings(station):
            delete_each(station)
            wait_no_children(station)
            assert station.kubectl.replicas("api", NAMESPACE) == 2
            assert "Deployment/api is left at 2 replicas (baseline 1)" in operators.log(testbed)
        station.kubectl.run("scale", "deployment/api", "-n", NAMESPACE, "--replicas=1")
        station.signal(0)


def test_a_stack_deleted_in_mid_rollout_leaves_nothing_behind(testbed: Testbed) -> None:
    station = Station(testbed, NAMESPACE)
    station.set_up()
    image = "localhost/firewatch-testbed/none:1"
    patch = {"spec": {"metrics": {"image": image}}}
    station.kubectl.patch("mstack", STACK, NAMESPACE, patch)

    def rolling() -> bool:
        found = station.kubectl.get("statefulset", f"{STACK}-prometheus", NAMESPACE)
        assert found is not None
        return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] == image)

    wait_for("the rollout to start", rolling)
    station.kubectl.delete("mstack", STACK, NAMESPACE)
    wait_no_children(station)
    station.wait_reason("apol", "load", "Accepted", "NoStack")


@pytest.mark.parametrize(
    ("order", "cascade"),
    [
        ((EVERYTHING, METRICS, RESPONSE, TARGET), Cascade.BACKGROUND),
        ((TARGET, METRICS, RESPONSE, EVERYTHING), Cascade.FOREGROUND),
    ],
    ids=["the namespace first", "the namespace last, in the foreground"],
)
def test_nothing_hangs_in_whatever_order_it_is_deleted(
    testbed: Testbed, order: Order, cascade: Cascade
) -> None:
    with everything(testbed) as station:
        delete_at_once(station, order, cascade)

"""Circuit breakers on real pods, with real traffic: one pod of four fails, and a rollout is bad.

``make demo-breaker`` also has a light version answer, and shows it all.
"""

from collections.abc import Iterator

import pytest

from e2e.breaker_demo.run import Run
from e2e.installation import Testbed
from e2e.kubectl import wait_for
from e2e.shop import BAD_RATIO, Shop

NAMESPACE = "e2e-breakers"


@pytest.fixture(scope="module")
def shop(testbed: Testbed) -> Iterator[Shop]:
    """Return an application with visitors."""
    found = Shop(testbed, NAMESPACE)
    found.set_up()
    yield found
    # The namespace stays: with it the operator's rights in it would go, in the middle of the session.
    kinds = "deployments,services,configmaps,aresp,apol,mstack"
    testbed.kubectl.run("delete", kinds, "--all", "-n", NAMESPACE)


@pytest.mark.parametrize("mechanism", ["flag", "isolate", "rollback"])
def test_errors_fall_and_all_is_as_before(shop: Shop, mechanism: str) -> None:
    result = Run(shop, mechanism).play()
    assert result.events == ["BreakerOpened", "BreakerHalfOpen", "BreakerClosed"]
    assert result.restored
    assert result.errors_before > 0.05 > result.errors_open, result


def test_where_all_pods_fail_none_leaves_the_service_and_people_are_told(shop: Shop) -> None:
    kubectl, before = shop.kubectl, shop.state()
    name = "break-by-isolate"
    kubectl.apply(shop.response("isolate"))
    shop.fail(BAD_RATIO)
    wait_for("it to be refused", lambda: "at most half may" in shop.status(name)["message"])
    assert shop.status(name)["state"] == "Refused"
    assert shop.state() == before
    (event, *_) = [
        each
        for each in kubectl.list("events", NAMESPACE)
        if each["reason"] == "BreakerRefused" and each["involvedObject"]["name"] == name
    ]
    assert event["type"] == "Warning"
    shop.fail(0)
    kubectl.delete("aresp", name, NAMESPACE)
    shop.wait_calm()


def test_while_prometheus_is_gone_it_stays_open_and_closes_when_that_is_back(shop: Shop) -> None:
    kubectl, name = shop.kubectl, "break-by-isolate"
    kubectl.apply(shop.response("isolate"))
    (bad, *_) = shop.pods()
    shop.fail(BAD_RATIO, bad)
    wait_for("the breaker to open", lambda: shop.status(name)["breaker"]["inForce"])
    shop.fail(0, bad)
    _give_prometheus(shop, "localhost/firewatch-testbed/none:1")
    said = "it stays so, since what is tried cannot be judged"
    wait_for("the status to say why it stays", lambda: said in shop.status(name)["message"])
    _give_prometheus(shop, shop.testbed.images.prometheus)
    wait_for("the breaker to close", lambda: "breaker" not in shop.status(name), seconds=120)
    assert shop.history(name) == ["BreakerOpened", "BreakerHalfOpen", "BreakerClosed"]
    kubectl.delete("aresp", name, NAMESPACE)


def _give_prometheus(shop: Shop, image: str) -> None:
    """Have the stack's Prometheus run another image; with one that there is not it does not run."""
    shop.kubectl.patch("mstack", "platform", NAMESPACE, {"spec": {"metrics": {"image": image}}})

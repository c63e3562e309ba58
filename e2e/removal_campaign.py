"""Everything deleted in every order in the middle of an episode, at once and one after another.

Nothing hangs, and a target that is still there when its AutoResponse goes has been put back.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from e2e import operators
from e2e.installation import Testbed
from e2e.removing import (
    EVERYTHING,
    NAMESPACE,
    ORDERS,
    Cascade,
    Order,
    delete_at_once,
    delete_each,
    everything,
    until_all_is_gone,
)
from e2e.station import Station

Way = Callable[[Station, Order, Cascade], None]


def _name(order: Order) -> str:
    """Return an order in words."""
    return ", ".join(thing.partition("/")[0] for thing in order)


CASES = [
    *(pytest.param(delete_at_once, order, id=f"at once: {_name(order)}") for order in ORDERS),
    *(
        pytest.param(delete_each, order, id=f"one after another: {_name(order)}")
        for order in dict.fromkeys(map(until_all_is_gone, ORDERS))
    ),
]


@pytest.fixture(autouse=True)
def _all_goes_well(testbed: Testbed) -> Iterator[None]:
    """Have all replicas live through it, without a pass that fails in a way that nobody expects."""
    before, began = operators.names(testbed), time.monotonic()
    yield
    # What a test leaves that has failed would be in the way of the next.
    left = ("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    testbed.kubectl.run(*left, check=False)
    assert operators.names(testbed) == before
    assert "Traceback" not in operators.log(testbed, since=f"{time.monotonic() - began:.0f}s")


@pytest.mark.parametrize("cascade", list(Cascade), ids=str)
@pytest.mark.parametrize(("way", "order"), CASES)
def test_nothing_hangs(testbed: Testbed, way: Way, order: Order, cascade: Cascade) -> None:
    """Whatever goes first, everything is gone in the end."""
    with everything(testbed) as station:
        way(station, order, cascade)
        assert station.kubectl.get(*EVERYTHING.split("/")) is None

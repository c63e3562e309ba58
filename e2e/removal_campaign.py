"""Everything deleted in every order in the middle of an episode, at once and one after another.

Nothing hangs, and a target that is still there when its AutoResponse goes has been put back.
"""

from collections.abc import Callable, Iterator

import pytest

from e2e import operators
from e2e.installation import Testbed
from e2e.removing import (
    EVERYTHING,
    ORDERS,
    Cascade,
    Order,
    delete_at_once,
    delete_each,
    everything,
)
from e2e.station import Station

WAYS = {"at once": delete_at_once, "one after another": delete_each}
Way = Callable[[Station, Order, Cascade], None]


def _name(value: object) -> str | None:
    """Return an order or a cascade in words."""
    if isinstance(value, tuple):
        return ", ".join(str(thing).partition("/")[0] for thing in value)
    return str(value) if isinstance(value, Cascade) else None


@pytest.fixture(autouse=True)
def _all_goes_well(testbed: Testbed) -> Iterator[None]:
    """Have all replicas live through it, without a pass that fails."""
    before = operators.names(testbed)
    yield
    assert operators.names(testbed) == before
    assert "Traceback" not in operators.log(testbed, since="2m")


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize("cascade", list(Cascade), ids=_name)
@pytest.mark.parametrize("order", ORDERS, ids=_name)
def test_nothing_hangs(testbed: Testbed, order: Order, cascade: Cascade, way: Way) -> None:
    """Whatever goes first, everything is gone in the end."""
    with everything(testbed) as station:
        way(station, order, cascade)
        assert station.kubectl.get(*EVERYTHING.split("/")) is None

"""One of each kind in the middle of an episode, and its removal in any order."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

from e2e.installation import Testbed, namespace
from e2e.kubectl import Object, wait_for
from e2e.station import NAMESPACES, STACK, Station

NAMESPACE = "e2e-gone"
RESPONSE, TARGET, METRICS = "aresp/scale", "deployment/api", f"mstack/{STACK}"
EVERYTHING = f"namespace/{NAMESPACE}"
THINGS = (RESPONSE, TARGET, METRICS, EVERYTHING)
Order = tuple[str, ...]
ORDERS: Sequence[Order] = tuple(itertools.permutations(THINGS))
"""All orders in which they can be deleted."""
_LIKE = NAMESPACES[0]
"""A namespace that is granted as this one is."""
_BY_HELM = "app.kubernetes.io/managed-by=Helm"


def until_all_is_gone(order: Order) -> Order:
    """Return an order up to the namespace, with which everything goes that comes after it."""
    return order[: order.index(EVERYTHING) + 1]


class Cascade(StrEnum):
    """How what belongs to a thing goes with it."""

    BACKGROUND = "background"
    FOREGROUND = "foreground"


@contextmanager
def everything(testbed: Testbed) -> Iterator[Station]:
    """Provide one of each kind, in the middle of an episode: the target has been scaled to 2."""
    _grant(testbed)
    station = Station(testbed, NAMESPACE)
    station.set_up()
    retention = station.resource("RetentionPolicy", "metrics", {"metrics": {"time": "3d"}})
    station.kubectl.apply(station.response(recovery={"hold": "1h"}), retention)
    station.wait_ready("aresp", "scale")
    station.wait_ready("rpol", "metrics")
    station.signal(6)
    station.wait_replicas(2)
    station.wait_state("scale", "Active")
    yield station


def _grant(testbed: Testbed) -> None:
    """Make the namespace, and grant it anew: the chart's RoleBindings go with a namespace.

    An upgrade by Helm would make them as well, in ten times the time.
    """
    kubectl = testbed.kubectl
    found = kubectl.list("rolebinding", _LIKE, _BY_HELM)
    assert found, f"nothing is granted in {_LIKE}"
    kubectl.apply(namespace(NAMESPACE), *map(_bound_here, found))


def _bound_here(binding: Object) -> Object:
    kept = ("name", "labels", "annotations")
    metadata = {key: binding["metadata"][key] for key in kept if key in binding["metadata"]}
    return {**binding, "metadata": {**metadata, "namespace": NAMESPACE}}


def delete_at_once(station: Station, order: Order, cascade: Cascade) -> None:
    """Delete one after another without waiting, and wait until nothing of it is left."""
    for thing in order:
        _delete(station, thing, cascade, "--wait=false")
    wait_for(
        f"{EVERYTHING} to go",
        lambda: station.kubectl.get("namespace", NAMESPACE) is None,
        seconds=90,
    )


def delete_each(station: Station, order: Order, cascade: Cascade) -> None:
    """Delete one after another, each only when the one before is gone, all within a minute.

    If the AutoResponse goes while its target is there, the target has been put back by then.
    """
    for number, thing in enumerate(order):
        _delete(station, thing, cascade, "--timeout=60s")
        if thing == RESPONSE and not {TARGET, EVERYTHING} & {*order[:number]}:
            assert station.kubectl.replicas("api", NAMESPACE) == 1, order


def _delete(station: Station, thing: str, cascade: Cascade, *options: str) -> None:
    scope = () if thing == EVERYTHING else ("-n", NAMESPACE)
    deletion = ("delete", thing, *scope, f"--cascade={cascade}", "--ignore-not-found")
    station.kubectl.run(*deletion, *options)

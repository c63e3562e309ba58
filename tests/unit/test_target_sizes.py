"""How many replicas a target has, and of which kinds that is known."""

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.errors import ForbiddenError
from firewatch.cluster.kinds import DEPLOYMENT, Kind
from firewatch.respond.sizes import NOT_SCALABLE, Size, size_of

FARM = Kind("example.org/v1", "Farm", "farms")


def farm(**parts: Object) -> Object:
    return {"metadata": {"name": "api"}, **parts}


@pytest.mark.parametrize(
    ("kind", "live", "scale", "expected"),
    [
        (DEPLOYMENT, farm(spec={}), None, Size(1, 0, paused=False)),
        (
            DEPLOYMENT,
            farm(spec={"replicas": 3, "paused": True}, status={"readyReplicas": 2}),
            None,
            Size(3, 2, paused=True),
        ),
        (
            FARM,
            farm(spec={"replicas": 9, "paused": {"since": "noon"}}),
            {"spec": {"replicas": 4}, "status": {"replicas": 3}},
            Size(4, 3, paused=False),
        ),
        (
            FARM,
            farm(spec={"paused": True}, status={"readyReplicas": 1}),
            {"spec": {"replicas": 4}, "status": {"replicas": 3}},
            Size(4, 1, paused=True),
        ),
        (FARM, farm(), {"spec": {}, "status": {}}, Size(0, 0, paused=False)),
    ],
)
def test_the_scale_counts_where_the_field_is_not_known(
    kind: Kind, live: Object, scale: Object | None, expected: Size
) -> None:
    assert size_of(kind, live, scale) == expected


def test_what_has_no_scale_cannot_be_changed() -> None:
    with pytest.raises(ForbiddenError, match="Farm api has no scale") as refused:
        size_of(FARM, farm(), None)
    assert refused.value.reason == NOT_SCALABLE

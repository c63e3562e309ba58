"""What is done with a volume, by what it has, asks for and should have."""

import pytest

from firewatch.api.resource import Object
from firewatch.reconcile.volumes import Course, Volume, storage_ready, volumes_of


def claim(
    requested: str, capacity: str, storage_class: str | None = None, name: str = "data-p-0"
) -> Object:
    status = {"capacity": {"storage": capacity}} if capacity else {}
    spec: Object = {"resources": {"requests": {"storage": requested}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {"metadata": {"name": name}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("wanted", "requested", "capacity", "course"),
    [
        ("1Gi", "1Gi", "1Gi", Course.KEEP),
        ("1024Mi", "1Gi", "1Gi", Course.KEEP),
        ("2Gi", "1Gi", "1Gi", Course.ASK),
        ("2Gi", "2Gi", "1Gi", Course.WAIT),
        ("2Gi", "9Gi", "1Gi", Course.ASK),
        ("1Gi", "9Gi", "1Gi", Course.KEEP),
        ("1Gi", "2Gi", "2Gi", Course.SHRINK),
        ("1Gi", "1Gi", "2Gi", Course.KEEP),
        ("2Gi", "1Gi", "3Gi", Course.KEEP),
        ("1Gi", "1Gi", "", Course.KEEP),
        ("2Gi", "1Gi", "", Course.UNBOUND),
    ],
)
def test_course(wanted: str, requested: str, capacity: str, course: Course) -> None:
    assert Volume(claim(requested, capacity), wanted, None).course() is course


def test_a_claim_without_a_volume_and_with_another_class_cannot_be_changed() -> None:
    volume = Volume(claim("1Gi", "", "nosuch"), "1Gi", "fast")
    assert volume.course() is Course.UNBOUND
    finding = storage_ready([volume], {})
    assert finding
    assert "kubectl delete pvc data-p-0" in finding.message


def stateful_set(name: str) -> Object:
    spec = {"resources": {"requests": {"storage": "1Gi"}}}
    templates = [{"metadata": {"name": "data"}, "spec": spec}]
    return {
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {"volumeClaimTemplates": templates},
    }


def test_claims_are_told_apart_by_their_whole_name() -> None:
    names = ("data-p-0", "data-p-10", "data-p-x", "data-pp-0", "other-p-0", "data-q-1")
    claims = [claim("1Gi", "1Gi", name=name) for name in names]
    found = volumes_of([stateful_set("p"), {"kind": "Service"}, stateful_set("q")], claims)
    assert [volume.name for volume in found] == ["data-p-0", "data-p-10", "data-q-1"]


def test_a_refusal_is_told_before_what_is_growing() -> None:
    growing = Volume(claim("2Gi", "1Gi", name="data-p-0"), "2Gi", None)
    shrinking = Volume(claim("5Gi", "5Gi", name="data-p-1"), "2Gi", None)
    finding = storage_ready([growing, shrinking], {})
    assert finding
    assert finding.reason == "ShrinkRefused"
    assert storage_ready([], {}) is None

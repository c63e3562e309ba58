"""Volumes that grow, StatefulSets made anew around their pods, and children that are tampered with.

There are no controllers here: the test makes the writes of the garbage collector, of the StatefulSet
controller and of the external resizer where they count.
"""

import json

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.kinds import (
    MONITORING_STACK,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
    STATEFUL_SET,
)
from tests.apiserver.conftest import Kubectl
from tests.apiserver.volumes import NAME, make_claim, set_capacity
from tests.apiserver.world import World

pytestmark = pytest.mark.usefixtures("crds", "role", "storage_classes")
SET = "main-prometheus"


@pytest.fixture(scope="module")
def storage_classes(kubectl: Kubectl) -> None:
    for name, grows in (("grows", True), ("fixed", False)):
        body = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "example.org/none",
            "allowVolumeExpansion": grows,
        }
        kubectl("apply", "-f", "-", text=json.dumps(body))


def stored(size: str, storage_class: str = "grows", **metrics: object) -> Object:
    storage = {"size": size, "storageClassName": storage_class}
    return {"metrics": {"storage": storage, **metrics}}


def collect(world: World) -> None:
    """Let go of the StatefulSet, as the garbage collector does once its pods have no owner."""
    patch = '{"metadata":{"finalizers":null}}'
    world.kubectl("-n", world.namespace, "patch", f"sts/{SET}", "--type=merge", "-p", patch)


async def requested(world: World, name: str = NAME) -> str:
    claim = await world.get(PERSISTENT_VOLUME_CLAIM, name)
    return str(claim["spec"]["resources"]["requests"]["storage"])


async def template(world: World) -> str:
    live = await world.get(STATEFUL_SET, SET)
    (claim,) = live["spec"]["volumeClaimTemplates"]
    return str(claim["spec"]["resources"]["requests"]["storage"])


async def storage(world: World) -> tuple[str, str]:
    return (await world.conditions())["StorageReady"]


async def test_a_volume_grows_by_editing_the_stack(world: World) -> None:
    world.apply(stored("1Gi"))
    await world.go()
    make_claim(world, "1Gi", "grows")
    await world.go()
    assert await storage(world) == ("True", "StorageReady")
    before = (await world.get(STATEFUL_SET, SET))["metadata"]["uid"]

    world.apply(stored("2Gi"))
    world.recorder.written()
    assert (await world.go() or 99) < 1
    written = world.recorder.written()
    assert f"jsonPatch PersistentVolumeClaim/{NAME}" in written
    assert f"delete StatefulSet/{SET}" in written
    assert await requested(world) == "2Gi"
    assert (await world.conditions())["Applied"] == ("Unknown", "Replacing")
    assert (await world.conditions())["Ready"][0] == "False"
    going = await world.get(STATEFUL_SET, SET)
    assert "orphan" in going["metadata"]["finalizers"], "its pods stay"

    await world.go()
    assert "apply StatefulSet/main-prometheus" not in world.recorder.written()
    collect(world)
    await world.go()
    assert await template(world) == "2Gi"
    assert (await world.get(STATEFUL_SET, SET))["metadata"]["uid"] != before
    assert (await world.conditions())["Applied"] == ("True", "Applied")

    assert await storage(world) == ("False", "StorageResizing")
    row = {"name": NAME, "size": "1Gi", "wanted": "2Gi"}
    (shown,) = (await world.get(MONITORING_STACK, "main"))["status"]["volumes"]
    assert shown == {**row, "message": f"volume {NAME}: 1Gi → 2Gi, waiting for the storage"}
    set_capacity(world, "1Gi", NAME, {"type": "FileSystemResizePending", "status": "True"})
    await world.go()
    assert "its file system follows" in await message(world, "StorageReady")
    set_capacity(world, "2Gi")
    await world.go()
    assert await storage(world) == ("True", "StorageReady")
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == []


async def message(world: World, kind: str) -> str:
    live = await world.get(MONITORING_STACK, "main")
    return next(str(c["message"]) for c in live["status"]["conditions"] if c["type"] == kind)


async def test_a_volume_never_shrinks_and_the_rest_of_the_stack_goes_on(world: World) -> None:
    world.apply(stored("2Gi"))
    await world.go()
    make_claim(world, "2Gi", "grows")
    world.apply(stored("1Gi", scrapeInterval="7s", resources={"requests": {"cpu": "7m"}}))
    await world.go()
    assert await storage(world) == ("False", "ShrinkRefused")
    assert (await world.conditions())["Ready"] == ("False", "ShrinkRefused")
    said = await message(world, "StorageReady")
    assert f"volume {NAME} has 2Gi and cannot shrink to 1Gi" in said
    assert "put the storage size back to 2Gi" in said
    assert await template(world) == "2Gi"
    assert await requested(world) == "2Gi"
    live = await world.get(STATEFUL_SET, SET)
    (container,) = live["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "7m"}, "everything else is applied"
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == []
    world.apply(stored("2Gi"))
    await world.go()
    assert await storage(world) == ("True", "StorageReady")


async def test_a_class_that_does_not_expand_is_named_and_nothing_is_made_anew(
    world: World,
) -> None:
    world.apply(stored("1Gi", "fixed"))
    await world.go()
    make_claim(world, "1Gi", "fixed")
    world.apply(stored("2Gi", "fixed"))
    await world.go()
    assert await storage(world) == ("False", "ExpansionNotAllowed")
    said = await message(world, "StorageReady")
    assert "allowVolumeExpansion" in said
    assert "put the storage size back to 1Gi" in said
    assert (await template(world), await requested(world)) == ("1Gi", "1Gi")
    world.recorder.written()
    await world.go()
    assert [text for text in world.recorder.written() if "Claim" not in text] == []


async def test_one_replica_that_may_not_grow_keeps_the_others_as_they_are(world: World) -> None:
    world.apply(stored("1Gi"))
    await world.go()
    make_claim(world, "1Gi", "grows")
    make_claim(world, "1Gi", "fixed", "data-main-prometheus-1")
    world.apply(stored("2Gi"))
    await world.go()
    assert await requested(world) == "1Gi"
    assert await storage(world) == ("False", "ExpansionNotAllowed")


async def test_going_back_to_the_size_that_is_there_is_allowed(world: World) -> None:
    world.apply(stored("1Gi"))
    await world.go()
    make_claim(world, "1Gi", "grows")
    world.apply(stored("900Gi"))
    await world.go()
    collect(world)
    await world.go()
    error = {"type": "ControllerResizeError", "status": "True", "message": "pool is full"}
    set_capacity(world, "1Gi", NAME, error)
    await world.go()
    assert "which the storage refuses: pool is full" in await message(world, "StorageReady")

    world.apply(stored("3Gi"))
    await world.go()
    assert await requested(world) == "3Gi", "a request may be lowered to what is above the volume"
    collect(world)
    world.apply(stored("1Gi"))
    await world.go()
    collect(world)
    await world.go()
    assert await storage(world) == ("True", "StorageReady")
    assert await template(world) == "1Gi"


async def test_another_class_is_named_and_new_replicas_get_it(world: World) -> None:
    world.apply(stored("1Gi", "fixed"))
    await world.go()
    make_claim(world, "1Gi", "fixed")
    world.apply(stored("1Gi", "grows"))
    await world.go()
    collect(world)
    await world.go()
    assert await storage(world) == ("False", "OtherStorageClass")
    assert "stays in StorageClass fixed" in await message(world, "StorageReady")
    live = await world.get(STATEFUL_SET, SET)
    assert live["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "grows"


async def test_storage_can_be_added_to_a_stack_that_has_none(world: World) -> None:
    world.apply({"metrics": {}})
    await world.go()
    world.apply(stored("1Gi"))
    await world.go()
    collect(world)
    await world.go()
    assert await template(world) == "1Gi"
    assert (await world.conditions())["Applied"] == ("True", "Applied")


def make_pod(world: World, *, owner: Object | None, revision: str, ready: bool) -> None:
    labels = {
        "app.kubernetes.io/name": "prometheus",
        "app.kubernetes.io/managed-by": "firewatch",
        "monitoring.freeagentics.io/stack": "main",
        "controller-revision-hash": revision,
    }
    metadata: Object = {"name": f"{SET}-0", "labels": labels}
    if owner:
        reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "controller": True}
        metadata["ownerReferences"] = [{**reference, "name": SET, "uid": owner["metadata"]["uid"]}]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "prometheus", "image": "x"}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    for item in (account, pod):
        world.kubectl("-n", world.namespace, "apply", "-f", "-", text=json.dumps(item))
    condition = {
        "type": "Ready",
        "status": str(ready),
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    world.kubectl(
        *("-n", world.namespace, "patch", f"pod/{SET}-0", "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": {"conditions": [condition]}})),
    )


async def roll_out(world: World, revision: str) -> Object:
    """Say that the controller has seen the present StatefulSet and waits for its pod."""
    live = await world.get(STATEFUL_SET, SET)
    status = {
        "observedGeneration": live["metadata"]["generation"],
        "replicas": 1,
        "updateRevision": revision,
    }
    world.kubectl(
        *("-n", world.namespace, "patch", f"sts/{SET}", "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": status})),
    )
    return live


@pytest.mark.parametrize(
    ("revision", "ready", "goes"),
    [("old", False, True), ("old", True, False), ("new", False, False)],
    ids=["stuck", "serves", "is the new one"],
)
async def test_a_broken_pod_of_an_old_form_does_not_hold_up_a_rollout(
    world: World, revision: str, *, ready: bool, goes: bool
) -> None:
    world.apply({"metrics": {}})
    await world.go()
    owner = await roll_out(world, "new")
    make_pod(world, owner=owner, revision=revision, ready=ready)
    await world.go()
    assert await world.is_there(POD, f"{SET}-0") is not goes
    if goes:
        events = world.kubectl("-n", world.namespace, "get", "events", "-o", "name")
        assert f"event/{SET}." in events


async def test_pods_of_a_stack_that_went_while_they_had_no_owner_go_too(world: World) -> None:
    make_pod(world, owner=None, revision="old", ready=True)
    assert await world.go() != float("inf")
    assert not await world.is_there(POD, f"{SET}-0")
    assert await world.go() == float("inf")


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody"}}},
        {"metadata": {"labels": {"monitoring.freeagentics.io/stack": None}}},
        {"metadata": {"ownerReferences": None}},
        {"spec": {"selector": {"app.kubernetes.io/name": "other"}}},
    ],
    ids=["managed-by", "stack", "owner", "selector"],
)
async def test_what_somebody_corrupts_in_a_child_is_repaired(world: World, patch: Object) -> None:
    """Labels, selectors and owners are what other parts of a cluster hold on to."""
    world.apply({"metrics": {}})
    await world.go()
    before = await world.get(SERVICE, SET)
    world.kubectl(
        *("-n", world.namespace, "patch", f"service/{SET}", "--type=merge"),
        *("-p", json.dumps(patch)),
    )
    await world.go()
    after = await world.get(SERVICE, SET)
    for path in ("labels", "ownerReferences"):
        assert after["metadata"][path] == before["metadata"][path]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["selector"].items() >= before["spec"]["selector"].items()
    world.recorder.written()
    await world.go()
    assert world.recorder.written() == []

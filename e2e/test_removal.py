"""Removal: a stack in mid-rollout, and a namespace with everything in it."""

from e2e.installation import Testbed
from e2e.kubectl import wait_for
from e2e.station import STACK, Station

NAMESPACE = "e2e-gone"


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
    ours = "app.kubernetes.io/managed-by=firewatch"
    wait_for(
        "the stack's objects to go",
        lambda: not station.kubectl.list("statefulset,service,configmap", NAMESPACE, ours),
    )
    station.wait_reason("apol", "load", "Accepted", "NoStack")


def test_a_namespace_goes_with_everything_in_it_in_the_middle_of_an_episode(
    testbed: Testbed,
) -> None:
    station = Station(testbed, NAMESPACE)
    station.set_up()
    station.kubectl.apply(station.response(recovery={"hold": "1h"}))
    station.wait_ready("aresp", "scale")
    station.signal(6)
    station.wait_replicas(2)
    station.kubectl.run("delete", "namespace", NAMESPACE, "--timeout=90s")
    assert station.kubectl.get("namespace", NAMESPACE) is None

"""Volume claims as the StatefulSet controller, a provisioner and a resizer make and change them."""

import json

from firewatch.api.resource import Object
from tests.apiserver.world import World

NAME = "data-main-prometheus-0"


def make_claim(world: World, size: str, storage_class: str = "", name: str = NAME) -> None:
    """Make a claim that is bound to a volume of the size that it asks for."""
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    if storage_class:
        spec["storageClassName"] = storage_class
    labels = {
        "app.kubernetes.io/name": "prometheus",
        "monitoring.freeagentics.io/stack": "main",
        "app.kubernetes.io/managed-by": "firewatch",
    }
    metadata = {"name": name, "namespace": world.namespace, "labels": labels}
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": spec,
    }
    world.kubectl("create", "-f", "-", text=json.dumps(body))
    set_capacity(world, size, name=name)


def set_capacity(world: World, size: str, name: str = NAME, *conditions: Object) -> None:
    """Say what the volume has, as the external resizer and kubelet do."""
    status = {
        "phase": "Bound",
        "capacity": {"storage": size},
        "conditions": [{"lastTransitionTime": None, **each} for each in conditions],
    }
    world.kubectl(
        *("-n", world.namespace, "patch", f"pvc/{name}", "--subresource=status"),
        *("--type=merge", "-p", json.dumps({"status": status})),
    )

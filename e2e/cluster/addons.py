"""What a cluster has besides its own processes: DNS, a StorageClass and volumes for it."""

import shutil
import socket
import string
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.api import Api, ApiError
from e2e.cluster.images import COREDNS_IMAGE
from e2e.cluster.network import DNS_IP
from e2e.cluster.node import NODE_NAME

_MANIFESTS = Path(__file__).parent / "manifests" / "addons.yaml"
_STORAGE_CLASS = "firewatch-local"
_VOLUMES = 8
_CAPACITY = "10Gi"
_MERGE_PATCH = "application/merge-patch+json"


def apply_addons(api: Api) -> None:
    """Create or update DNS and the StorageClass."""
    template = string.Template(_MANIFESTS.read_text())
    text = template.substitute(COREDNS_IMAGE=COREDNS_IMAGE, DNS_IP=DNS_IP)
    for manifest in yaml.safe_load_all(text):
        api.apply(manifest)


def provide_volumes(api: Api, folder: Path) -> list[str]:
    """Create the missing volumes and make released ones usable again; return the latter's names.

    A volume that was released keeps its data until then, as on a cluster whose volumes an
    administrator recycles by hand.
    """
    listed = api.request("GET", "/api/v1/persistentvolumes")["items"]
    present = {item["metadata"]["name"]: item for item in listed}
    recycled = []
    for number in range(_VOLUMES):
        name = f"firewatch-{number}"
        place = folder / name
        volume = present.get(name)
        if volume is None:
            _empty(place)
            api.request("POST", "/api/v1/persistentvolumes", _volume(name, place))
        elif volume["status"].get("phase") in ("Released", "Failed"):
            _empty(place)
            change = {"spec": {"claimRef": None, "capacity": {"storage": _CAPACITY}}}
            path = f"/api/v1/persistentvolumes/{name}"
            api.request("PATCH", path, change, content=_MERGE_PATCH)
            recycled.append(name)
    return recycled


def _empty(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)


def _volume(name: str, place: Path) -> dict[str, Any]:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "firewatch-testbed"}},
        "spec": {
            "capacity": {"storage": _CAPACITY},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": _STORAGE_CLASS,
            "local": {"path": str(place)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def node_is_ready(api: Api) -> bool:
    """Tell whether the node has registered and calls itself ready."""
    try:
        node = api.request("GET", f"/api/v1/nodes/{NODE_NAME}")
    except ApiError:
        return False
    conditions = {each["type"]: each["status"] for each in node["status"].get("conditions", ())}
    return conditions.get("Ready") == "True"


def resolves(name: str = "kubernetes.default.svc.cluster.local") -> bool:
    """Tell whether the cluster's DNS, asked through its Service, knows an address for a name."""
    query = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0)
    query += b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    query += struct.pack(">BHH", 0, 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, suppress(OSError):
        asked.settimeout(0.5)
        asked.sendto(query, (DNS_IP, 53))
        answer = asked.recv(512)
        code, answers = answer[3] & 0x0F, struct.unpack(">H", answer[6:8])[0]
        return code == 0 and answers > 0
    return False

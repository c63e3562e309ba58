"""The volumes of a stack: what is asked of each, what it has, and what may be done (pure).

A StatefulSet makes its claims once and never changes them, so growing is our work: the claims are
patched, and the StatefulSet is made anew around its running pods. A volume never shrinks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.resource import Object
from firewatch.api.stack import VolumeStatus
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.quantities import quantity_bytes
from firewatch.reconcile.findings import STORAGE_READY

Refusals = Mapping[str, tuple[str, str]]
"""Reason and words of the API server, by the name of the claim that it does not let grow."""

_FAILED = ("ControllerResizeError", "NodeResizeError")
_ON_NODE = "FileSystemResizePending"


class Course(StrEnum):
    """What is to be done with a volume."""

    KEEP = "Keep"
    """It has what is wanted."""
    ASK = "Ask"
    """Its claim is to ask for another size."""
    WAIT = "Wait"
    """It is growing."""
    SHRINK = "Shrink"
    """It is larger than wanted, and stays so."""
    UNBOUND = "Unbound"
    """It is not there yet, and its claim asks for something else, which cannot be changed."""


@dataclass(frozen=True)
class Volume:
    """A claim of a StatefulSet, beside what its template says now."""

    claim: Object
    wanted: str
    wanted_class: str | None

    @property
    def name(self) -> str:
        """Return the claim's name."""
        return str(self.claim["metadata"]["name"])

    @property
    def requested(self) -> str:
        """Return the size that the claim asks for."""
        return str(self.claim["spec"]["resources"]["requests"]["storage"])

    @property
    def capacity(self) -> str:
        """Return the size that the volume has; empty while there is none."""
        return str((self.claim.get("status", {}).get("capacity") or {}).get("storage", ""))

    @property
    def other_class(self) -> str:
        """Return the volume's StorageClass if another one is wanted."""
        present = self.claim["spec"].get("storageClassName")
        return (
            str(present) if self.wanted_class and present not in (None, self.wanted_class) else ""
        )

    def course(self) -> Course:
        """Return what is to be done."""
        wanted, requested = quantity_bytes(self.wanted), quantity_bytes(self.requested)
        if not self.capacity:
            differs = wanted != requested or self.other_class
            return Course.UNBOUND if differs else Course.KEEP
        present = quantity_bytes(self.capacity)
        if wanted <= present:
            # A volume that was there before its claim may be larger than what was ever asked for.
            return Course.SHRINK if wanted < min(present, requested) else Course.KEEP
        return Course.WAIT if wanted == requested else Course.ASK


def claims_of(stateful_set: Object, claims: Sequence[Object]) -> Iterator[Volume]:
    """Yield the claims that a StatefulSet has made or will take over, by name."""
    name = stateful_set["metadata"]["name"]
    for template in stateful_set["spec"].get("volumeClaimTemplates", ()):
        prefix = f"{template['metadata']['name']}-{name}-"
        spec = template["spec"]
        for claim in sorted(claims, key=lambda each: str(each["metadata"]["name"])):
            before, _, ordinal = claim["metadata"]["name"].rpartition("-")
            if f"{before}-" == prefix and ordinal.isdecimal():
                yield Volume(
                    claim, spec["resources"]["requests"]["storage"], spec.get("storageClassName")
                )


def volumes_of(objects: Sequence[Object], claims: Sequence[Object]) -> list[Volume]:
    """Return the volumes of all StatefulSets among the objects."""
    sets = (item for item in objects if item["kind"] == "StatefulSet")
    return [*chain.from_iterable(claims_of(each, claims) for each in sets)]


def keep_claims(desired: Object, live: Object) -> Object:
    """Return a StatefulSet whose claims ask for what the live one's do: the change is refused."""
    sizes = {
        template["metadata"]["name"]: template["spec"]["resources"]["requests"]["storage"]
        for template in live["spec"].get("volumeClaimTemplates", ())
    }
    templates = [_sized(each, sizes) for each in desired["spec"]["volumeClaimTemplates"]]
    return {**desired, "spec": {**desired["spec"], "volumeClaimTemplates": templates}}


def _sized(template: Object, sizes: Mapping[str, str]) -> Object:
    size = sizes.get(template["metadata"]["name"])
    if size is None:
        return template
    requests = {"requests": {"storage": size}}
    return {**template, "spec": {**template["spec"], "resources": requests}}


def is_refused(volume: Volume, refusals: Refusals) -> bool:
    """Tell whether the StatefulSet must go on with the size that it has."""
    return volume.course() is Course.SHRINK or volume.name in refusals


def storage_ready(volumes: Sequence[Volume], refusals: Refusals) -> Finding | None:
    """Return whether every volume is as wanted; None if there are none."""
    if not volumes:
        return None
    found = [_finding(volume, refusals) for volume in volumes]
    refused = [each for each in found if each and each.reason != "StorageResizing"]
    growing = [each for each in found if each and each.reason == "StorageResizing"]
    return next(
        chain(refused, growing),
        good(STORAGE_READY, "StorageReady", "every volume has the size that is wanted"),
    )


def _finding(volume: Volume, refusals: Refusals) -> Finding | None:
    name, wanted, capacity = volume.name, volume.wanted, volume.capacity
    if volume.name in refusals:
        reason, words = refusals[volume.name]
        return bad(
            STORAGE_READY,
            reason,
            f"volume {name} stays at {capacity} and does not become {wanted}: {words}; put the"
            f" storage size back to {capacity}, or remove what is in the way",
        )
    match volume.course():
        case Course.SHRINK:
            return bad(
                STORAGE_READY,
                "ShrinkRefused",
                f"volume {name} has {capacity} and cannot shrink to {wanted}; put the storage size"
                f" back to {capacity}, or delete the claim and its pod to have it made anew, empty",
            )
        case Course.UNBOUND:
            return bad(
                STORAGE_READY,
                "ClaimUnchangeable",
                f"claim {name} has no volume yet and still asks for {volume.requested}, which"
                f" cannot be changed; it holds nothing: kubectl delete pvc {name}, then its pod",
            )
        case Course.ASK | Course.WAIT:
            return bad(STORAGE_READY, "StorageResizing", f"volume {name}: {progress(volume)}")
    if volume.other_class:
        return bad(
            STORAGE_READY,
            "OtherStorageClass",
            f"volume {name} stays in StorageClass {volume.other_class}: the class of a volume"
            " cannot change; put storageClassName back, or delete the claim and its pod to have it"
            " made anew, empty",
        )
    return None


def progress(volume: Volume) -> str:
    """Return how far the growing of a volume has come, in words that do not change by themselves."""
    conditions = {c["type"]: c for c in volume.claim.get("status", {}).get("conditions") or ()}
    step = f"{volume.capacity} → {volume.wanted}"
    for failure in _FAILED:
        if conditions.get(failure, {}).get("status") == "True":
            words = conditions[failure].get("message", "")
            return (
                f"{step}, which the storage refuses: {words}; to withdraw, set a size above"
                f" {volume.capacity}"
            )
    if _ON_NODE in conditions:
        return f"{step}, the volume has grown and its file system follows"
    return f"{step}, waiting for the storage"


def volume_rows(volumes: Sequence[Volume], refusals: Refusals) -> list[VolumeStatus]:
    """Return the volumes as rows of the stack's status."""
    rows = []
    for volume in volumes[:32]:
        finding = _finding(volume, refusals)
        rows.append(
            VolumeStatus(
                name=volume.name,
                size=volume.capacity,
                wanted=volume.wanted,
                message=finding.message[:1024] if finding else "",
            )
        )
    return rows


def smallest_capacity(stack: Stack, claims: Sequence[Object]) -> int | None:
    """Return the bytes that Prometheus' smallest volume really has; None if it has no storage.

    Before a volume is there, it is what was asked for.
    """
    if stack.spec.metrics is None or stack.spec.metrics.storage is None:
        return None
    present = [
        quantity_bytes(claim["status"]["capacity"]["storage"])
        for claim in claims
        if claim["metadata"]["labels"].get(names.NAME_LABEL) == names.PROMETHEUS
        and "storage" in (claim.get("status", {}).get("capacity") or {})
    ]
    return min(present, default=quantity_bytes(stack.spec.metrics.storage.size))

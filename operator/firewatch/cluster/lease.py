"""Who acts (pure): what one replica knows of the Lease, and what it may do about it.

Every moment is one of the replica's own monotonic clock. What others write about time into the Lease
counts for nothing: a record counts from when it was first seen here as it is, and whoever holds the
Lease counts from when the request was *sent* by which it was last got or renewed. So whoever acts
stops before anybody else may begin, however the clocks are set, as long as none of them runs more
than LEASE_SECONDS ÷ RENEW_SECONDS times as fast as another.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from firewatch.api.resource import GROUP, Object
from firewatch.cluster.kinds import LEASE
from firewatch.settings import LEASE_NAME, MANAGED_BY

LEASE_SECONDS = 4.0
"""A Lease that has not been seen to change for so long may be taken from whoever holds it."""
RENEW_SECONDS = 2.5
"""Whoever holds it acts no longer than this without having renewed it."""
RETRY_SECONDS = 0.5
"""How often it is renewed by whoever holds it, and looked at by the others."""

UNCLAIMED = "unclaimed"
"""Holder of a Lease that has just been made. It is taken like that of a holder who is gone: the one
before it may have been deleted under somebody who still acts.
"""
ADDRESS = f"{GROUP}/receiver"
"""Annotation with ``host:port`` at which the holder takes in alerts."""

_NEVER = float("-inf")


@dataclass(frozen=True)
class Record:
    """A Lease as the API server has it; two are equal only if nothing was written in between."""

    version: str
    """Its resourceVersion, which no two writes share, not even to Leases of the same name."""
    holder: str
    """Identity of whoever holds it; empty once it has been given up."""
    address: str = ""
    """``host:port`` at which the holder takes in alerts; empty if that is not known."""
    transitions: int = 0
    """How often it has had another holder."""


class Move(Enum):
    """What a replica may do about the Lease."""

    LOOK = auto()
    """Read it."""
    CREATE = auto()
    """Make it, which gives nobody the right to act."""
    WRITE = auto()
    """Take or renew it, if it still is as it was last seen."""


class Candidate:
    """What one replica knows of the Lease. Every ``now`` is of its own monotonic clock, in seconds."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.known: Record | None = None
        """The Lease as it was last seen; None if there was none."""
        self._since = _NEVER
        """When it was first seen as it is."""
        self._sure = False
        """Whether nothing has happened since that may have changed it."""
        self._renewed = _NEVER
        """When the request was sent by which the Lease was last got or renewed."""
        self._terms = 0
        self._resigned = False

    def holds(self, now: float) -> bool:
        """Tell whether this replica may act at this moment."""
        return now - self._renewed < RENEW_SECONDS

    def term(self, now: float) -> int:
        """Return which of its terms this replica leads in at this moment, from 1; 0 if in none.

        One that is interrupted for however short a time is followed by another.
        """
        return self._terms if self.holds(now) else 0

    def move(self, now: float) -> Move:
        """Return what may be done about the Lease at this moment."""
        if not self._sure or self._resigned:
            return Move.LOOK
        if self.known is None:
            return Move.CREATE
        is_free = self.known.holder in ("", self.identity)
        return Move.WRITE if is_free or now - self._since >= LEASE_SECONDS else Move.LOOK

    def pause(self, began: float, now: float) -> float:
        """Return how long to wait now for the next step, after one that began at that moment."""
        usual = max(0.0, began + RETRY_SECONDS - now)
        if not self._sure or self.known is None or self.known.holder in ("", self.identity):
            return usual
        return min(usual, max(0.0, self._since + LEASE_SECONDS - now))

    def saw(self, record: Record | None, now: float) -> None:
        """Take in the Lease as it was read, or made; None if there is none."""
        if record != self.known:
            self.known, self._since = record, now
        if record is None or record.holder != self.identity:
            self._renewed = _NEVER
        self._sure = True

    def wrote(self, record: Record, *, sent: float, now: float) -> None:
        """Take in that a write which was sent at that moment has been accepted."""
        self.saw(record, now)
        if record.holder == self.identity and not self._resigned:
            if not self.holds(now):
                self._terms += 1
            self._renewed = sent

    def doubt(self) -> None:
        """Take in that a write failed, or that nobody knows what became of it: look first."""
        self._sure = False

    def resign(self) -> None:
        """Stop acting, and never begin again."""
        self._resigned = True
        self._renewed = _NEVER


def parse_record(live: Object) -> Record:
    """Return what counts of a Lease."""
    metadata, spec = live["metadata"], live.get("spec") or {}
    return Record(
        version=metadata["resourceVersion"],
        holder=spec.get("holderIdentity") or "",
        address=(metadata.get("annotations") or {}).get(ADDRESS, ""),
        transitions=spec.get("leaseTransitions") or 0,
    )


def build_lease(namespace: str, now: datetime) -> Object:
    """Return a Lease that nobody holds yet."""
    metadata = {"name": LEASE_NAME, "namespace": namespace, "labels": MANAGED_BY}
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": metadata,
        "spec": {**_held(UNCLAIMED, now), "leaseTransitions": 0},
    }


def build_change(known: Record, holder: str, address: str, now: datetime) -> Object:
    """Return the merge patch that gives the Lease to a holder, if it still is as it is known.

    The times are for people: nobody goes by them.
    """
    spec = _held(holder, now)
    if holder and known.holder != holder:
        spec |= {"acquireTime": _micro(now), "leaseTransitions": known.transitions + 1}
    metadata = {"resourceVersion": known.version, "annotations": {ADDRESS: address}}
    return {"metadata": metadata, "spec": spec}


def _held(holder: str, now: datetime) -> Object:
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": int(LEASE_SECONDS),
        "renewTime": _micro(now),
    }


def _micro(moment: datetime) -> str:
    """Return a time as the API server wants it here: with exactly six digits behind the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

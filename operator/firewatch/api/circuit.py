"""Where a circuit breaker stands, as the status of its AutoResponse keeps it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from firewatch.api.circuit_breaker import Mechanism
from firewatch.api.ledger import LedgerTarget
from firewatch.api.resource import Status

_PodName = Annotated[str, Field(max_length=253)]


class Phase(StrEnum):
    """What a circuit breaker does with the traffic."""

    OPEN = "Open"
    HALF_OPEN = "HalfOpen"
    CLOSED = "Closed"


class Counted(Status):
    """What a share of the traffic had been through when its trial began."""

    pods: list[_PodName] = Field(max_length=64)
    """Names of the pods that answer it."""
    requests: float = Field(ge=0)
    """Requests of these pods so far, as their counters said."""
    errors: float = Field(ge=0)
    """Those of them that failed."""


class Circuit(Status):
    """The automaton of a breaker; times are RFC 3339, UTC."""

    phase: Phase
    """Open, HalfOpen (a share of the traffic is tried), or Closed."""
    since: str = Field(max_length=32)
    """Since when it is in this phase; of HalfOpen, since when the present share is tried."""
    ends_at: str = Field(max_length=32)
    """When the phase may end: a share is tried after Open, and has been tried long enough after HalfOpen."""
    opened_at: str = Field(max_length=32)
    """When it was opened first."""
    openings: int = Field(ge=1)
    """How often it has been opened: twice after one trial that went badly."""
    passed: int = Field(default=0, ge=0)
    """How many shares have been tried and were good."""
    counted: Counted | None = None
    """What the present share had been through before its trial; empty until that is known."""


class Change(Status):
    """One field of one object as it is changed at present; values are JSON, empty for none."""

    kind: str = Field(max_length=64)
    """Kind of the object."""
    name: str = Field(max_length=253)
    """Its name."""
    uid: str = Field(max_length=64)
    """Its uid: an object of the same name made anew is not this one."""
    field: str = Field(max_length=512)
    """The field, as a JSON pointer."""
    before: str | None = Field(default=None, max_length=4096)
    """What stood there before."""
    written: str | None = Field(default=None, max_length=4096)
    """What stands there after the operator's last confirmed write."""
    intended: str | None = Field(default=None, max_length=4096)
    """What the operator is writing; differs from ``written`` only during a write."""
    reverts: int = Field(default=0, ge=0)
    """How often somebody else has put back what stood there before."""
    released_by: str = Field(default="", max_length=256)
    """Who else has changed it; the operator then leaves it alone."""


class BreakerRecord(Status):
    """A circuit breaker that is not over: written down before whatever it changes."""

    schema_version: int = Field(alias="schema", ge=0)
    """Version of this record; an operator that does not know it holds still."""
    target: LedgerTarget
    """The very object whose traffic it is."""
    alert: str = Field(max_length=64)
    """Identity of the alert that opened it (hash of its labels)."""
    alert_name: str = Field(max_length=256)
    """Name of that alert."""
    mechanism: Mechanism
    """How it takes traffic off."""
    does: str = Field(max_length=1024)
    """What it does, and why this and nothing less."""
    service: str = Field(default="", max_length=253)
    """The Service whose traffic it is, where there is one."""
    revision: str = Field(default="", max_length=253)
    """The ReplicaSet whose pod template the target has been given back."""
    circuit: Circuit
    """Where it stands."""
    shares: list[_PodName] = Field(default=[], max_length=64)
    """What is still to be tried, one after the other: names of pods, or one share without a name."""
    changes: list[Change] = Field(default=[], max_length=128)
    """What is changed at present."""
    in_force: bool = False
    """Whether all that the present phase asks for is written."""
    gave_up: bool = False
    """Whether a human was told that nothing more is tried."""
    ends: str = Field(default="", max_length=256)
    """Why it is taken back before it could close; empty while it is not."""
    errors_before: float | None = Field(default=None, ge=0, le=1)
    """Share of the requests that failed before it was opened."""
    errors_open: float | None = Field(default=None, ge=0, le=1)
    """Share that failed of those that came through while it was open, when last measured."""

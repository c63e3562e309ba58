"""What a decision is made from, and what it says (data only)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from firewatch.api.circuit import BreakerRecord, Change
from firewatch.api.conditions import Finding
from firewatch.api.ledger import Ledger
from firewatch.api.lost_ledger import LostLedger
from firewatch.api.responses import AutoResponseSpec, Mode, Request, State, Tripped
from firewatch.api.restart import RestartRecord
from firewatch.api.scale_up import ScaleUp
from firewatch.cluster.kinds import Kind as ApiKind
from firewatch.respond.approval import Verdict
from firewatch.respond.circuit.choice import choose
from firewatch.respond.circuit.plan import Obstacle, Plan
from firewatch.respond.circuit.world import World
from firewatch.respond.limits import Usage
from firewatch.respond.pausing import Pause
from firewatch.respond.renewal import Renewal
from firewatch.respond.signals import Kind, Signal

LEDGER_SCHEMA = 1
"""Version of a ledger about a target's own replicas."""
AUTOSCALER_SCHEMA = 2
"""Version of a ledger about an autoscaler: an operator that knows none must not restore it."""


@dataclass(frozen=True)
class Responder:
    """One AutoResponse on the target, with what its alerts say."""

    name: str
    uid: str
    created: str
    spec: AutoResponseSpec
    signal: Signal
    leaving: bool = False
    """It is being deleted, or no longer names this target: its claim is to be given up."""
    cooldown_until: datetime | None = None
    pause: Pause | None = None
    request: Request | None = None
    """Its request for an approval, from its status."""
    verdict: Verdict = Verdict.NONE
    """What people have said of that."""
    undo: str = ""
    """When the claim was opened that somebody wants to be given up."""
    holds_claim: bool = False
    """What was begun with an approval needs none to go on."""
    restart: RestartRecord | None = None
    """Its restart for the present alert, from its status."""
    breaker: BreakerRecord | None = None
    """Its circuit breaker that is not over, from its status."""
    unreadable_breaker: str = ""
    """Why there is one that cannot be understood; it is then left exactly as it is."""
    world: World | None = None
    """What its circuit breaker has to know; None while nothing asks for one."""
    tripped_at: str = ""
    """Of which trip of the breaker its status tells."""
    lost: LostLedger | None = None
    """What its status says of a lost record, unless it is being deleted."""
    is_unrecorded: bool = False
    """It owes something to the target, and no ledger says what."""

    @property
    def scale_up(self) -> ScaleUp | None:
        """Return the scale-up that it asks for; None if it was changed to only tell people."""
        return self.spec.scale_up

    @property
    def restarts(self) -> bool:
        """Tell whether it is to restart the target."""
        return self.spec.restart is not None

    @property
    def breaks(self) -> bool:
        """Tell whether it is to open a circuit breaker."""
        return self.spec.circuit_breaker is not None

    @cached_property
    def plan(self) -> Plan | Obstacle | None:
        """Return what its circuit breaker would do now, or why it can do nothing; None if unknown."""
        wanted = self.spec.circuit_breaker
        return choose(self.world, wanted) if self.world and wanted else None

    @property
    def has_breaker(self) -> bool:
        """Tell whether it has a circuit breaker that is not over, be it understood or not."""
        return self.breaker is not None or bool(self.unreadable_breaker)

    @property
    def has_begun(self) -> bool:
        """Tell whether there is something beside a claim that was begun for it and is not over."""
        return self.restart is not None or self.has_breaker

    @property
    def may_write(self) -> bool:
        """Tell whether it may hold a claim."""
        is_approved = self.verdict is Verdict.APPROVED or self.holds_claim
        may_act = self.spec.mode is Mode.ENFORCE or (self.spec.mode is Mode.APPROVE and is_approved)
        return may_act and not self.leaving

    @property
    def is_armed(self) -> bool:
        """Tell whether its mode lets it change something, if need be after an approval."""
        return self.spec.is_armed

    @property
    def fires(self) -> bool:
        """Tell whether its alert fires."""
        return self.signal.kind is Kind.FIRING

    @property
    def asks(self) -> bool:
        """Tell whether more may be done for it now."""
        return self.fires and self.pause is None


@dataclass(frozen=True)
class Autoscaler:
    """What keeps a target at a number of replicas, and from how many on."""

    kind: str
    name: str
    uid: str
    minimum: int
    is_set: bool
    """Whether the minimum stands in its spec, and is not only the default."""
    maximum: int
    paused: bool
    last_writer: str
    """Who last wrote the minimum, from managedFields."""


@dataclass(frozen=True)
class Target:
    """The target as the API server shows it now."""

    kind: str
    name: str
    uid: str
    replicas: int
    paused: bool
    opted_in: bool
    last_writer: str
    """Who last wrote the number of replicas, from managedFields."""
    ready: int = 0
    """How many replicas are ready."""
    autoscaler: Autoscaler | None = None
    """What scales it, if anything does."""
    ambiguity: str = ""
    """Why it cannot be told what scales it."""
    renewal: Renewal = field(default_factory=Renewal)
    """What a restart has to know of it."""
    extra: ApiKind | None = None
    """Its kind, if only the chart names it."""

    @property
    def level(self) -> int:
        """Return the number that is raised and put back: replicas, or an autoscaler's minimum."""
        return self.autoscaler.minimum if self.autoscaler else self.replicas

    @property
    def ceiling(self) -> int | None:
        """Return the replicas above which an autoscaler does not let it."""
        return self.autoscaler.maximum if self.autoscaler else None

    @property
    def lever(self) -> str:
        """Return what that number is, for people."""
        if self.autoscaler:
            return f"the minimum of {self.autoscaler.kind} {self.autoscaler.name}"
        return self.name

    @property
    def level_writer(self) -> str:
        """Return who last wrote that number."""
        return self.autoscaler.last_writer if self.autoscaler else self.last_writer

    def at_level(self, level: int) -> "Target":
        """Return the target after its level was written."""
        if self.autoscaler is None:
            return replace(self, replicas=level)
        return replace(self, autoscaler=replace(self.autoscaler, minimum=level, is_set=True))

    def restarted(self, at: str) -> "Target":
        """Return the target after its pod template was annotated."""
        renewal = replace(
            self.renewal,
            generation=self.renewal.generation + 1,
            restarted_at=at,
            is_annotated=True,
            is_rolled_out=False,
            obstacle=("RolloutInProgress", f"pods of {self.kind} {self.name} are being renewed"),
        )
        return replace(self, renewal=renewal)


class OpenBreaker(NamedTuple):
    """A circuit breaker of another target of the namespace."""

    target: str
    """Name of that target."""
    depends_on: frozenset[str]
    """Names of the targets that it calls, or that call it."""


@dataclass(frozen=True)
class Situation:
    """Everything that a decision about one target depends on."""

    now: datetime
    target: Target | None
    """None: a live GET has shown that it does not exist."""
    responders: tuple[Responder, ...]
    """Oldest first."""
    ledger: Ledger | None = None
    usage: Usage = field(default_factory=Usage)
    """How much has been done lately."""
    trip: Tripped | None = None
    """Why nothing more is begun in the namespace."""
    unreadable: str = ""
    """Why there is a ledger that cannot be understood; it is then left exactly as it is."""
    breakers: tuple[OpenBreaker, ...] = ()
    """Circuit breakers of other targets of the namespace that are not over."""
    most_breakers: int = 1
    """How many of a namespace may be open at the same time."""


TARGET_READY = "TargetReady"
"""Condition: the target can be acted on."""


@dataclass(frozen=True)
class Note:
    """Something worth telling: goes into history, an Event and a metric."""

    event: str
    message: str
    responder: str
    alert: str = ""
    replicas_from: int | None = None
    replicas_to: int | None = None
    warning: bool = False
    at: str = ""
    """Instant of the write that it tells of, as the ledger has it; empty for now."""


@dataclass(frozen=True)
class View:
    """What the status of one AutoResponse says."""

    state: State
    message: str
    target: Finding
    request: Request | None = None
    """What waits for an approval."""


class Pull(NamedTuple):
    """A field to write for a circuit breaker."""

    responder: str
    """Name of the AutoResponse that it is for."""
    record: BreakerRecord
    """What must stand in its status before."""
    change: Change
    """The field; it is among those of the record."""


@dataclass(frozen=True)
class Decision:
    """What to do about one target now."""

    ledger: Ledger | None
    """The ledger as it must stand before the target is written to; None: nothing is owed."""
    keeps_ledger: bool = False
    """Leave whatever ledger there is exactly as it is."""
    scale_to: int | None = None
    """Level to write to the target or its autoscaler; None: leave it."""
    nudge_to: int | None = None
    """Replicas to write to a target whose autoscaler would get there by itself, and later."""
    views: dict[str, View] = field(default_factory=dict)
    """By name of the AutoResponse."""
    notes: tuple[Note, ...] = ()
    """What has happened since the last decision, told with it."""
    ended: frozenset[str] = frozenset()
    """AutoResponses whose episode ends with this: their cooldown begins."""
    lost: Mapping[str, LostLedger] | None = None
    """What is known of lost records, by name of the AutoResponse; None: what the statuses say."""
    dry_run_to: int | None = None
    """Replicas to send as a dry run, for responders in that mode."""
    dry_run_restart: bool = False
    """Whether to send a restart as a dry run, for the same."""
    dry_run_change: Change | None = None
    """What a circuit breaker would write first, for the same."""
    restart: tuple[str, RestartRecord] | None = None
    """A restart to announce and to do, and the AutoResponse that it is for."""
    trip: Tripped | None = None
    """That nothing more is begun in the namespace, for all statuses."""
    knows_trip: bool = False
    """Whether that was found out in this pass."""
    records: dict[str, RestartRecord | None] = field(default_factory=dict)
    """Restarts as they must stand in the statuses, where that may have changed."""
    pull: Pull | None = None
    """A field to write for a circuit breaker, and what to announce before."""
    breakers: dict[str, BreakerRecord | None] = field(default_factory=dict)
    """Circuit breakers as they must stand in the statuses, where that may have changed."""
    seconds: float | None = None
    """When to look again; None: when something changes."""

    @property
    def writes(self) -> bool:
        """Tell whether the target is to be written to."""
        return self.scale_to is not None or self.restart is not None or self.pull is not None

"""What a decision is made from, and what it says (data only)."""

from dataclasses import dataclass, field
from datetime import datetime

from firewatch.api.conditions import Finding
from firewatch.api.responses import AutoResponseSpec, Ledger, Mode, ScaleUp, State
from firewatch.respond.signals import Kind, Signal

LEDGER_SCHEMA = 1
"""Version of the ledger that this operator writes."""


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

    @property
    def scale_up(self) -> ScaleUp:
        """Return the scale-up that it asks for."""
        action = next(a.scale_up for a in self.spec.actions if a.scale_up)
        assert action is not None
        return action

    @property
    def may_write(self) -> bool:
        """Tell whether it may hold a claim."""
        return self.spec.mode is Mode.ENFORCE and not self.leaving

    @property
    def fires(self) -> bool:
        """Tell whether its alert fires."""
        return self.signal.kind is Kind.FIRING


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


@dataclass(frozen=True)
class Situation:
    """Everything that a decision about one target depends on."""

    now: datetime
    target: Target | None
    """None: a live GET has shown that it does not exist."""
    responders: tuple[Responder, ...]
    """Oldest first."""
    ledger: Ledger | None = None
    unreadable: str = ""
    """Why there is a ledger that cannot be understood; it is then left exactly as it is."""


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


@dataclass(frozen=True)
class View:
    """What the status of one AutoResponse says."""

    state: State
    message: str
    target: Finding


@dataclass(frozen=True)
class Decision:
    """What to do about one target now."""

    ledger: Ledger | None
    """The ledger as it must stand before the target is written to; None: nothing is owed."""
    keeps_ledger: bool = False
    """Leave whatever ledger there is exactly as it is."""
    scale_to: int | None = None
    """Replicas to write to the target; None: leave it."""
    views: dict[str, View] = field(default_factory=dict)
    """By name of the AutoResponse."""
    notes: tuple[Note, ...] = ()
    """What has happened since the last decision, told with it."""
    ended: frozenset[str] = frozenset()
    """AutoResponses whose episode ends with this: their cooldown begins."""
    dry_run_to: int | None = None
    """Replicas to send as a dry run, for responders in that mode."""
    seconds: float | None = None
    """When to look again; None: when something changes."""

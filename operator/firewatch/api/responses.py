"""AutoResponse: what the operator does by itself while an alert fires, and undoes afterwards."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from firewatch.api.alert_source import ExternalSource
from firewatch.api.circuit import BreakerRecord
from firewatch.api.circuit_breaker import CircuitBreaker
from firewatch.api.ledger import Ledger
from firewatch.api.lost_ledger import LostLedger
from firewatch.api.notices import Notices, Notify
from firewatch.api.recovery import OnSilence, Recovery
from firewatch.api.resource import (
    Column,
    Conditions,
    CustomKind,
    Duration,
    Model,
    ObjectRef,
    Rule,
    Status,
    rules,
)
from firewatch.api.restart import Restart, RestartRecord
from firewatch.api.scale_up import ScaleUp
from firewatch.api.target_ref import TargetRef
from firewatch.api.triggers import Trigger

OPT_IN_LABEL = "monitoring.freeagentics.io/auto-response"
"""On a target or its namespace, with the value ``enabled``: AutoResponses may change it."""


APPROVED = "monitoring.freeagentics.io/approved"
REJECTED = "monitoring.freeagentics.io/rejected"
"""Annotations of an AutoResponse: the id of the request that is approved or rejected. Whoever writes
them must have the verb ``approve`` on it.
"""
UNDO = "monitoring.freeagentics.io/undo"
"""Annotation of an AutoResponse: ``since`` of a claim of it that is to be given up at once, or
``openedAt`` of its circuit breaker.
"""
PAUSED_UNTIL = "monitoring.freeagentics.io/paused-until"
"""Annotation of an AutoResponse: until this time (RFC 3339), or for ever if it is ``true``, nothing is
done for it and nothing is undone.
"""
RESET = "monitoring.freeagentics.io/reset"
"""Annotation of an AutoResponse: ``at`` of ``status.tripped`` that a human has looked after. Whoever writes
it must have the verb ``approve`` on it.
"""
ANNOTATIONS = (APPROVED, REJECTED, UNDO, PAUSED_UNTIL, RESET)
"""Annotations by which people steer an AutoResponse."""

MOST_ACTIONS = 60
"""How many actions within an hour a target may be allowed, and so how many are remembered."""


class Action(
    Model,
    json_schema_extra=rules(
        Rule(
            "[has(self.scaleUp), has(self.restart), has(self.circuitBreaker), has(self.notify)]"
            ".filter(x, x).size() == 1",
            "set one action: scaleUp, restart, circuitBreaker or notify",
        )
    ),
):
    """One thing that is done; exactly one field is set."""

    scale_up: ScaleUp | None = None
    """Raise the number of replicas."""
    restart: Restart | None = None
    """Renew all pods, once."""
    circuit_breaker: CircuitBreaker | None = None
    """Take traffic off what fails, and give it back once that works again."""
    notify: Notify | None = None
    """Tell people, once each, of what happens, also while Alertmanager is down. What is not taken is
    tried again for a day, and nothing waits for it. While the AutoResponse is paused nobody is told.
    """


class Rails(Model):
    """Limits that hold whatever the alerts say."""

    cooldown: Duration = "5m"
    """After a response has ended, none starts on the same target for this long."""
    actions_per_hour: int = Field(default=3, ge=1, le=MOST_ACTIONS)
    """How often within an hour the target may be raised, whatever AutoResponse asks for it. How often
    targets of a namespace and of the cluster may be is set in the chart (``rails``).
    """
    verify_within: Duration = "5m"
    """Within this time of the last replica being ready, the alert must resolve, or what its rule
    measures must fall by a tenth; if neither is the case, or the replicas are not ready in this time,
    the response is ``Ineffective``: it takes no further step before the alert is over, and says so.
    With ``escalation`` it counts from the first step. ``0s`` asks for nothing.
    """
    approval_expires: Duration = "1h"
    """With ``mode: approve``: how long a request can be approved; if its alert still fires then,
    another takes its place.
    """


class Mode(StrEnum):
    """How far the operator goes."""

    OBSERVE = "observe"
    DRY_RUN = "dryRun"
    APPROVE = "approve"
    ENFORCE = "enforce"


_TELLS = "self.actions.all(a, !has(a.notify) || {})"


class AutoResponseSpec(
    Model,
    json_schema_extra=rules(
        Rule(
            "!has(self.stackRef) || !has(self.source)",
            "set at most one of stackRef and source: alerts come from one place",
        ),
        Rule(
            "has(self.target) == self.actions.exists(a, !has(a.notify))",
            "target is what scaleUp, restart or circuitBreaker changes: set it with them, and leave it"
            " out without",
        ),
        Rule(
            "!has(self.target) || !has(self.target.kind)"
            " || self.target.kind in ['Deployment', 'StatefulSet']"
            " || !self.actions.exists(a, has(a.restart))",
            "restart is for Deployments and StatefulSets: another pod template begins a release of a"
            " Rollout, and of further kinds only the scale is known",
        ),
        Rule(
            "!has(self.target) || !has(self.target.kind)"
            " || self.target.kind in ['Deployment', 'StatefulSet']"
            " || !self.actions.exists(a, has(a.circuitBreaker))",
            "circuitBreaker is for Deployments and StatefulSets: of other kinds it is not known which"
            " pods are theirs",
        ),
        Rule(
            "!has(self.trigger.preset) || self.trigger.preset != 'alert_created'"
            " || !has(self.target)",
            "the preset alert_created is for responses that only notify; leave out target",
        ),
        Rule(
            "has(self.target) || !has(self.recovery) || !has(self.recovery.when)",
            "recovery.when says when a target goes back, and there is no target; leave it out",
        ),
        Rule(
            "!has(self.source) || !has(self.recovery) || !has(self.recovery.onSilence)"
            " || self.recovery.onSilence != 'release' || has(self.source.alertmanager)",
            "recovery.onSilence: release asks Alertmanager for silences; set source.alertmanager",
        ),
        Rule(
            "!has(self.source) || " + _TELLS.format("!has(a.notify.receiver)"),
            "notify.receiver is one of a MonitoringStack's, and with source there is no stack; set"
            " slack, pagerduty, webhook or email",
        ),
        Rule(
            "!has(self.source) || "
            + _TELLS.format("!has(a.notify.email) || has(a.notify.email.smtp)"),
            "notify.email needs smtp: with source there is no stack whose mail server it could use",
        ),
    ),
):
    """What the operator does by itself while an alert fires."""

    stack_ref: ObjectRef | None = None
    """The MonitoringStack whose alerts count; the only one of the namespace when left out."""
    source: ExternalSource | None = None
    """A Prometheus of your own instead of a MonitoringStack."""
    trigger: Trigger
    """Which alerts start the response."""
    target: TargetRef | None = None
    """What is acted on; left out where actions only notify."""
    actions: list[Action] = Field(
        min_length=1,
        max_length=4,
        json_schema_extra=rules(
            Rule(
                "self.filter(a, !has(a.notify)).size() <= 1",
                "actions: one of scaleUp, restart and circuitBreaker may stand there, and only once",
            )
        ),
    )
    """What is done, in this order."""
    recovery: Recovery = Recovery()
    """When and how it is undone."""
    rails: Rails = Rails()
    """Limits that hold whatever the alerts say."""
    mode: Mode = Mode.OBSERVE
    """``observe`` only says what it would do; ``dryRun`` also sends the change as a dry run, which
    proves rights and admission; ``approve`` does it once somebody has approved it, which takes the
    verb ``approve`` on this AutoResponse; ``enforce`` does it at once. The last two need the label
    ``monitoring.freeagentics.io/auto-response: enabled`` on the target or its namespace. Putting
    things back needs no approval. People are told with ``approve`` and ``enforce``; the first two
    only say what they would be told.
    """

    @property
    def scale_up(self) -> ScaleUp | None:
        """Return the scale-up that it asks for, if any."""
        return next((action.scale_up for action in self.actions if action.scale_up), None)

    @property
    def restart(self) -> Restart | None:
        """Return the restart that it asks for, if any."""
        return next((a.restart for a in self.actions if a.restart is not None), None)

    @property
    def circuit_breaker(self) -> CircuitBreaker | None:
        """Return the circuit breaker that it asks for, if any."""
        return next((a.circuit_breaker for a in self.actions if a.circuit_breaker), None)

    @property
    def changes(self) -> bool:
        """Tell whether it is to change something, and not only to tell people."""
        return any(action.notify is None for action in self.actions)

    @property
    def tells(self) -> dict[int, Notify]:
        """Return the actions that tell people, by their place in ``actions``."""
        return {n: action.notify for n, action in enumerate(self.actions) if action.notify}

    @property
    def heeds_silences(self) -> bool:
        """Tell whether an alert that Alertmanager mutes counts as resolved."""
        return self.recovery.on_silence is OnSilence.RELEASE

    @property
    def awaits_poll(self) -> bool:
        """Tell whether an alert counts only once its source has been asked.

        A push says neither whether the alert is muted, nor when the errors began, by which a circuit
        breaker chooses.
        """
        return self.heeds_silences or self.circuit_breaker is not None

    @property
    def is_armed(self) -> bool:
        """Tell whether anything may be done for it, if need be after an approval."""
        return self.mode in (Mode.APPROVE, Mode.ENFORCE)


class Request(Status):
    """What waits for an approval."""

    id: str = Field(max_length=64)
    """What to write into the annotation that approves or rejects it."""
    alert: str = Field(max_length=256)
    """Name of the alert."""
    message: str = Field(max_length=1024)
    """What would be done."""
    since: str = Field(max_length=32)
    """When it was made (RFC 3339, UTC)."""
    expires_at: str = Field(max_length=32)
    """Until when it can be approved."""


class HistoryEntry(Status):
    """Something that the operator did or refused to do."""

    time: str = Field(max_length=32)
    """When (RFC 3339, UTC)."""
    event: str = Field(max_length=64)
    """ScaledUp, RampedDown, Restored, Rewritten (after a revert), Contested, Released, RestoreSkipped, TargetGone,
    AutoscalerChanged, LedgerLost, Restarted, RestartSkipped, BreakerOpened, BreakerReopened, BreakerHalfOpen,
    BreakerClosed, BreakerRewritten (after a revert), BreakerReleased (left to others), BreakerTakenBack,
    BreakerKept, BreakerIneffective, BreakerRefused, Ineffective, WriteRefused, Tripped, Observed, DryRun,
    Requested, Rejected, Limited, Refused.
    """
    alert: str = Field(default="", max_length=256)
    """Name of the alert."""
    replicas_from: int | None = Field(default=None, ge=0)
    """Replicas before."""
    replicas_to: int | None = Field(default=None, ge=0)
    """Replicas after."""
    message: str = Field(default="", max_length=1024)
    """For people."""


class Tripped(Status):
    """That nothing more is begun in the namespace until a human resets it."""

    at: str = Field(max_length=32)
    """When (RFC 3339, UTC): what the annotation that resets it must say."""
    message: str = Field(max_length=1024)
    """Why, and what to do."""


class State(StrEnum):
    """Where a response stands."""

    IDLE = "Idle"
    FIRING = "Firing"
    WOULD_ACT = "WouldAct"
    WAITING = "WaitingForApproval"
    REJECTED = "Rejected"
    ACTIVE = "Active"
    INEFFECTIVE = "Ineffective"
    HOLDING = "Holding"
    RESTORING = "Restoring"
    RELEASED = "Released"
    CONTESTED = "Contested"
    BREAKER_OPEN = "BreakerOpen"
    BREAKER_HALF_OPEN = "BreakerHalfOpen"
    COOLDOWN = "Cooldown"
    LIMITED = "Limited"
    TRIPPED = "Tripped"
    PAUSED = "Paused"
    REFUSED = "Refused"


class AutoResponseStatus(Status):
    """What the operator has seen and done; written by the operator only."""

    observed_generation: int | None = Field(default=None, ge=0)
    """The ``metadata.generation`` that this status speaks of."""
    conditions: Conditions = Field(default=[])
    """Accepted, TargetReady (it can be acted on), AlertSourceHealthy, Notifying (people can be told,
    and the last message was taken), Ready (all of them).
    """
    state: State = State.IDLE
    """Idle, Firing (the alert fires, and people are told), WouldAct (the alert fires, but ``mode``
    lets nothing be done), WaitingForApproval,
    Rejected (until the alert fires anew), Active (more replicas, or restarted), Ineffective (that has not helped
    within ``rails.verifyWithin``),
    Holding (resolved, waiting), Restoring, Released (somebody else changed the target), Contested
    (somebody else has put it back twice), BreakerOpen (traffic is taken off), BreakerHalfOpen (a share
    of it is tried), Cooldown, Limited (enough has been done within an hour),
    Tripped (too many episodes have ended badly; ``firewatch response reset``),
    Paused (by its annotation), Refused.
    """
    message: str = Field(default="", max_length=1024)
    """What the state means right now, for people."""
    ledger: Ledger | None = None
    """What is changed at present; kept by the oldest AutoResponse with a claim on the target."""
    restart: RestartRecord | None = None
    """The restart for the present alert; empty once that is over."""
    breaker: BreakerRecord | None = None
    """The circuit breaker that is not over: where it stands, and what is changed for it."""
    ledger_lost: LostLedger | None = None
    """That such a record is missing which must have been there: what it said is not guessed."""
    request: Request | None = None
    """What waits for an approval at present, or was rejected."""
    cooldown_until: str | None = Field(default=None, max_length=32)
    """No response starts on the target before this time."""
    notices: Notices | None = None
    """What people are told; empty without ``notify``."""
    acted: list[Annotated[str, Field(max_length=32)]] | None = Field(
        default=None, max_length=MOST_ACTIONS
    )
    """When the target was last acted on for its alerts (RFC 3339, UTC), newest first: those within an
    hour count against ``rails.actionsPerHour``.
    """
    failed: list[Annotated[str, Field(max_length=32)]] | None = Field(
        default=None, max_length=MOST_ACTIONS
    )
    """When episodes of it have ended badly (RFC 3339, UTC), newest first: Ineffective, Contested,
    RestoreSkipped, RestartSkipped, BreakerIneffective, or refused by the API server (WriteRefused).
    """
    tripped: Tripped | None = None
    """That too many in the namespace have, so that nothing more is begun."""
    history: list[HistoryEntry] = Field(default=[], max_length=20)
    """The last 20 things done or refused, newest first."""


AUTO_RESPONSE = CustomKind(
    kind="AutoResponse",
    plural="autoresponses",
    singular="autoresponse",
    short="aresp",
    description="What the operator does by itself while an alert fires, and undoes afterwards.",
    spec=AutoResponseSpec,
    status=AutoResponseStatus,
    columns=(
        Column("Mode", ".spec.mode"),
        Column("Target", ".spec.target.name"),
        Column("State", ".status.state"),
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Baseline", ".status.ledger.baseline", type="integer", priority=1),
        Column("Replicas", ".status.ledger.written", type="integer", priority=1),
        Column("Message", ".status.message", priority=1),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
)

"""AutoResponse: what the operator does by itself while an alert fires, and undoes afterwards."""

from enum import StrEnum

from pydantic import Field

from firewatch.api.alert_source import ExternalSource
from firewatch.api.lost_ledger import LostLedger
from firewatch.api.notices import Notices, Notify
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
"""Annotation of an AutoResponse: ``since`` of a claim of it that is to be given up at once."""
PAUSED_UNTIL = "monitoring.freeagentics.io/paused-until"
"""Annotation of an AutoResponse: until this time (RFC 3339), or for ever if it is ``true``, nothing is
done for it and nothing is undone.
"""
ANNOTATIONS = (APPROVED, REJECTED, UNDO, PAUSED_UNTIL)
"""Annotations by which people steer an AutoResponse."""


class Action(
    Model,
    json_schema_extra=rules(
        Rule("has(self.scaleUp) != has(self.notify)", "set one action: scaleUp or notify")
    ),
):
    """One thing that is done; exactly one field is set."""

    scale_up: ScaleUp | None = None
    """Raise the number of replicas."""
    notify: Notify | None = None
    """Tell people, once each, of what happens, also while Alertmanager is down. What is not taken is
    tried again for a day, and nothing waits for it. While the AutoResponse is paused nobody is told.
    """


class RampDown(Model):
    """How the replicas go back."""

    step: str = Field(default="100%", pattern=r"^([1-9][0-9]?|100)%$", max_length=4)
    """Share of what was added that is taken away at once, rounded up."""
    every: Duration = "60s"
    """Time between two steps."""


class Recovery(Model):
    """When and how the target is put back."""

    hold: Duration = "300s"
    """How long the alert must stay resolved first."""
    ramp_down: RampDown = RampDown()
    """How the replicas go back."""
    load_aware: bool = True
    """More replicas lower what each of them carries, so an alert may be resolved only because of
    them. Therefore, where the alert's rule compares something with a number (``… > 0.8``), the
    target goes back only once the present value, times the present replicas and divided by the
    baseline, is below nine tenths of that number. Not where it compares bytes that are held, as of
    memory.
    """
    when: str | None = Field(default=None, min_length=1, max_length=4096)
    """A PromQL expression that says when the target may go back, instead of ``loadAware``: while it
    returns nothing, the target is held. The alert must have resolved all the same.
    """
    orphan_after: Duration = "1h"
    """If the alert's rule disappears while the response is active, the replicas are held this long,
    then put back as if the alert had resolved.
    """


class Rails(Model):
    """Limits that hold whatever the alerts say."""

    cooldown: Duration = "5m"
    """After a response has ended, none starts on the same target for this long."""
    actions_per_hour: int = Field(default=3, ge=1, le=60)
    """How often within an hour the target may be raised, whatever AutoResponse asks for it. How often
    targets of a namespace and of the cluster may be is set in the chart (``rails``).
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
            "has(self.target) == self.actions.exists(a, has(a.scaleUp))",
            "target is what scaleUp changes: set it with scaleUp, and leave it out without",
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
                "self.filter(a, has(a.scaleUp)).size() <= 1",
                "actions: scaleUp may stand only once",
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
    def tells(self) -> dict[int, Notify]:
        """Return the actions that tell people, by their place in ``actions``."""
        return {n: action.notify for n, action in enumerate(self.actions) if action.notify}

    @property
    def is_armed(self) -> bool:
        """Tell whether anything may be done for it, if need be after an approval."""
        return self.mode in (Mode.APPROVE, Mode.ENFORCE)


class Claim(Status):
    """One AutoResponse's wish for the target."""

    response: str = Field(max_length=253)
    """Name of the AutoResponse."""
    uid: str = Field(max_length=64)
    """Its uid."""
    alert: str = Field(max_length=64)
    """Identity of the alert that opened the claim (hash of its labels)."""
    alert_name: str = Field(max_length=256)
    """Name of that alert."""
    floor: int = Field(ge=1)
    """Replicas that this claim asks for, computed from the baseline."""
    steps: int = Field(default=0, ge=0)
    """How many steps it has escalated."""
    since: str = Field(max_length=32)
    """When the claim was opened (RFC 3339, UTC)."""
    resolved_at: str | None = Field(default=None, max_length=32)
    """Since when no matching alert is active; empty while one is, or while it cannot be told."""
    orphaned_at: str | None = Field(default=None, max_length=32)
    """Since when the alert's rule is gone from Prometheus."""


class LedgerTarget(Status):
    """The very object that was changed."""

    kind: str = Field(max_length=64)
    """Kind of the target."""
    name: str = Field(max_length=253)
    """Name of the target."""
    uid: str = Field(max_length=64)
    """Uid of the target: an object of the same name made anew is not this one."""


class LedgerAutoscaler(Status):
    """The very autoscaler whose minimum was raised."""

    kind: str = Field(max_length=64)
    """HorizontalPodAutoscaler or ScaledObject."""
    name: str = Field(max_length=253)
    """Name of the autoscaler."""
    uid: str = Field(max_length=64)
    """Uid of the autoscaler."""
    was_set: bool = True
    """Whether the minimum was written in it before; if not, it is removed again."""


class Ledger(Status):
    """What the operator changed on the target, written before the change itself."""

    schema_version: int = Field(alias="schema", ge=0)
    """Version of this record; an operator that does not know it holds still."""
    target: LedgerTarget
    """The very object that was changed."""
    autoscaler: LedgerAutoscaler | None = None
    """The autoscaler whose minimum was raised; if there is none, the target's own replicas were."""
    baseline: int
    """Replicas, or the autoscaler's minimum, before the first claim: what it goes back to."""
    written: int
    """The same after the operator's last confirmed write."""
    intended: int
    """What the operator is writing; differs from ``written`` only during a write."""
    counted_from: int | None = Field(default=None, ge=0)
    """Replicas from which steps are counted, where they are not the baseline: those that an
    autoscaler had set.
    """
    changed_at: str = Field(max_length=32)
    """When the operator last wrote to the target (RFC 3339, UTC)."""
    released_by: str = Field(default="", max_length=256)
    """Who else changed the target during the episode; the operator then leaves it alone."""
    reverts: int = Field(default=0, ge=0)
    """How often somebody else has put the baseline back during the episode."""
    reverted_by: str = Field(default="", max_length=256)
    """Who did that last."""
    claims: list[Claim] = Field(default=[], max_length=64)
    """Who asks for how much."""


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
    AutoscalerChanged, LedgerLost, Observed, DryRun, Requested, Rejected, Limited, Refused.
    """
    alert: str = Field(default="", max_length=256)
    """Name of the alert."""
    replicas_from: int | None = Field(default=None, ge=0)
    """Replicas before."""
    replicas_to: int | None = Field(default=None, ge=0)
    """Replicas after."""
    message: str = Field(default="", max_length=1024)
    """For people."""


class State(StrEnum):
    """Where a response stands."""

    IDLE = "Idle"
    FIRING = "Firing"
    WOULD_ACT = "WouldAct"
    WAITING = "WaitingForApproval"
    REJECTED = "Rejected"
    ACTIVE = "Active"
    HOLDING = "Holding"
    RESTORING = "Restoring"
    RELEASED = "Released"
    CONTESTED = "Contested"
    COOLDOWN = "Cooldown"
    LIMITED = "Limited"
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
    Rejected (until the alert fires anew), Active (more replicas),
    Holding (resolved, waiting), Restoring, Released (somebody else changed the target), Contested
    (somebody else has put it back twice), Cooldown, Limited (enough has been done within an hour),
    Paused (by its annotation), Refused.
    """
    message: str = Field(default="", max_length=1024)
    """What the state means right now, for people."""
    ledger: Ledger | None = None
    """What is changed at present; kept by the oldest AutoResponse with a claim on the target."""
    ledger_lost: LostLedger | None = None
    """That such a record is missing which must have been there: what it said is not guessed."""
    request: Request | None = None
    """What waits for an approval at present, or was rejected."""
    cooldown_until: str | None = Field(default=None, max_length=32)
    """No response starts on the target before this time."""
    notices: Notices | None = None
    """What people are told; empty without ``notify``."""
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

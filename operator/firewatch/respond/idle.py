"""A target that is not changed at present (pure): whether a response may start, and why not."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from firewatch.api.conditions import Finding, bad, format_time, good, parse_time
from firewatch.api.responses import OPT_IN_LABEL, Mode, State
from firewatch.respond.circuit.plan import Obstacle, Plan
from firewatch.respond.guards import obstacles_of_breakers
from firewatch.respond.lost import (
    LEDGER_LOST,
    all_lost,
    lost_notes,
    obstacle_of,
    reminder_of,
)
from firewatch.respond.scaling import floor_of
from firewatch.respond.situation import (
    TARGET_READY,
    Decision,
    Note,
    Responder,
    Situation,
    Target,
    View,
)
from firewatch.respond.waiting import waiting_view

RECHECK_SECONDS = 30.0
"""How often a target that cannot be acted on is looked at again."""
_REACHABLE = "Reachable"


def idle(situation: Situation) -> Decision:
    """Return what is said about a target on which no response starts now."""
    views = {r.name: idle_view(situation, r) for r in situation.responders}
    target = situation.target
    floors = [
        _floor(r, target)
        for r in situation.responders
        if target is not None and r.scale_up and dry_runs(situation, r)
    ]
    return Decision(
        None,
        views=views,
        notes=(*lost_notes(situation), *would_notes(situation)),
        lost=all_lost(situation),
        dry_run_to=max(floors, default=None),
        dry_run_restart=any(r.restarts and dry_runs(situation, r) for r in situation.responders),
        seconds=0.0 if lost_notes(situation) else _seconds(situation, views.values()),
    )


def openers(situation: Situation) -> list[Responder]:
    """Return the responders that may raise the target now, oldest first."""
    return [r for r in situation.responders if r.scale_up and may_begin(situation, r)]


def may_begin(situation: Situation, responder: Responder) -> bool:
    """Tell whether something may be begun for a responder now.

    Nothing is before it has been told that a record is lost.
    """
    return (
        responder.may_write
        and responder.asks
        and not lost_notes(situation)
        and not _cooling_until(situation, responder)
        and not limit_of(situation, responder)
        and can_act(situation, responder)
    )


def can_act(situation: Situation, responder: Responder) -> bool:
    """Tell whether the target can be acted on for this responder."""
    return refusal(situation, responder).reason == _REACHABLE


def refusal(situation: Situation, responder: Responder) -> Finding:
    """Return whether the target can be acted on, and if not, what to do about it."""
    target, ref = situation.target, responder.spec.target
    if ref is None:  # it was changed to only tell people, and lets go of what it has changed
        return _no("NoTarget", "it changes nothing any more")
    if target is None:
        return _no("TargetNotFound", f"there is no {ref.kind} {ref.name} here; create it")
    if missing := obstacle_of(situation):
        return missing
    obstacle = next(_obstacles(situation, target, responder), None)
    if obstacle:
        return _no(*obstacle)
    return good(TARGET_READY, _REACHABLE, _possibility(target, responder))


def _possibility(target: Target, responder: Responder) -> str:
    """Return in words what can be done to a target."""
    who, plan = f"{target.kind} {target.name}", responder.plan
    if responder.breaks:
        does = f": {plan.does}" if isinstance(plan, Plan) else ""
        return f"the circuit breaker of {who} can be opened{does}"
    if responder.restarts:
        return f"{who} can be restarted"
    return f"{who} can be scaled" + (f" by {target.lever}" if target.autoscaler else "")


def _obstacles(
    situation: Situation, target: Target, responder: Responder
) -> Iterator[tuple[str, str]]:
    """Yield what stands in the way: reason, and message with the remedy."""
    who = f"{target.kind} {target.name}"
    yield from obstacles_of_breakers(situation, responder, who)
    if responder.is_armed and not target.opted_in:
        yield (
            "NotOptedIn",
            f"neither {who} nor its namespace has the label {OPT_IN_LABEL}=enabled; set it on one",
        )
    if target.paused:
        yield "TargetPaused", f"{who} is paused; resume it"
    if target.replicas == 0:
        yield "ScaledToZero", f"{who} has 0 replicas: somebody parked it; scale it to 1"
    if responder.scale_up:
        yield from _obstacles_to_more(target, responder, who)
    elif responder.restarts and target.renewal.obstacle:
        yield target.renewal.obstacle
    elif isinstance(responder.plan, Obstacle):
        yield responder.plan


def _obstacles_to_more(target: Target, responder: Responder, who: str) -> Iterator[tuple[str, str]]:
    has, scale_up = f"{who} has {target.replicas} replicas", responder.scale_up
    if scale_up and target.replicas >= (maximum := scale_up.max_replicas):
        yield "MaximumReached", f"{has} and maxReplicas is {maximum}; raise maxReplicas"
    if target.ambiguity:
        yield "AmbiguousAutoscaler", target.ambiguity
    if scaler := target.autoscaler:
        by = f"{scaler.kind} {scaler.name}"
        if scaler.paused:
            yield "AutoscalerPaused", f"{by}, which scales {who}, is paused; resume it"
        if target.replicas >= scaler.maximum:
            yield "CappedByAutoscaler", f"{has} and {by} allows {scaler.maximum}; raise its maximum"


def _no(reason: str, message: str) -> Finding:
    return bad(TARGET_READY, reason, message)


def _cooling_until(situation: Situation, responder: Responder) -> datetime | None:
    # The cooldown protects the target: one that any response on it has left behind counts for all.
    if not responder.is_armed:
        return None
    moments = [r.cooldown_until for r in situation.responders if r.cooldown_until]
    return max((m for m in moments if situation.now < m), default=None)


def limit_of(situation: Situation, responder: Responder) -> str:
    """Return why enough has been done for now; nothing if more may be done."""
    if not responder.is_armed:
        return ""
    if situation.trip is not None:
        return situation.trip.message
    usage, most = situation.usage, responder.spec.rails.actions_per_hour
    if usage.on_target >= most:
        return (
            f"the target was acted on {usage.on_target} times within an hour, and"
            f" rails.actionsPerHour is {most}; look after it"
        )
    return usage.limit


def _would_act(situation: Situation, responder: Responder) -> bool:
    return (
        not responder.is_armed
        and not responder.leaving
        and responder.asks
        and can_act(situation, responder)
    )


def dry_runs(situation: Situation, responder: Responder) -> bool:
    """Tell whether what a responder asks for is to be sent as a dry run."""
    return responder.spec.mode is Mode.DRY_RUN and _would_act(situation, responder)


def idle_view(situation: Situation, responder: Responder) -> View:
    """Return what the status of a responder without a claim says."""
    finding, says = refusal(situation, responder), responder.signal.message
    if stopped := _stopped_view(situation, responder, finding):
        return stopped
    if not responder.fires:
        reminder = reminder_of(situation, responder)
        return View(State.IDLE, f"{says}; {reminder}" if reminder else says, finding)
    if not_now := _not_now(situation, responder, finding):
        state, why = not_now
        return View(state, f"{says}{why}", finding)
    plan = f"{says}; {_plan(situation, responder)}"
    if responder.is_armed:
        return waiting_view(situation, responder, finding, plan)
    return View(State.WOULD_ACT, plan, finding)


def _stopped_view(situation: Situation, responder: Responder, finding: Finding) -> View | None:
    """Return what is said where a human must act first, whether the alert fires or not.

    What concerns the target alone comes before what concerns the whole namespace.
    """
    says = responder.signal.message
    if responder.pause:
        return View(State.PAUSED, f"{responder.pause.message}; {says}", finding)
    if finding.reason == LEDGER_LOST:
        return View(State.REFUSED, f"{says}, but {finding.message}", finding)
    if situation.trip is not None and responder.is_armed:
        message = f"{says}; {situation.trip.message}"
        return View(State.TRIPPED, message, _no("Tripped", situation.trip.message))
    return None


def _not_now(
    situation: Situation, responder: Responder, finding: Finding
) -> tuple[State, str] | None:
    """Return why nothing is done although the alert fires, if that is so."""
    if until := _cooling_until(situation, responder):
        return State.COOLDOWN, f"; nothing is done before {format_time(until)} (cooldown)"
    if finding.reason != _REACHABLE:
        return State.REFUSED, f", but {finding.message}"
    if limit := limit_of(situation, responder):
        return State.LIMITED, f", but {limit}"
    return None


def _plan(situation: Situation, responder: Responder) -> str:
    target = situation.target
    assert target is not None
    if isinstance(responder.plan, Plan):
        return f"would open its circuit breaker: {responder.plan.does} (mode {responder.spec.mode})"
    if responder.restarts:
        return f"would restart {target.name} (mode {responder.spec.mode})"
    floor = _floor(responder, target)
    return f"would scale {target.name} {target.replicas} → {floor} (mode {responder.spec.mode})"


def _floor(responder: Responder, target: Target) -> int:
    """Return the replicas that a responder whose target can be acted on asks for."""
    assert responder.scale_up is not None
    return floor_of(responder.scale_up, target.replicas, target.ceiling)


def would_notes(situation: Situation) -> Iterable[Note]:
    """Return what is worth telling of responders that fire and do nothing."""
    for responder in situation.responders:
        if not responder.asks or responder.leaving or responder.has_begun:
            continue
        if situation.trip is not None and responder.is_armed:
            continue  # which is told once for all
        if _cooling_until(situation, responder):
            continue  # nothing would be begun anyway
        alert = responder.signal.alert.name if responder.signal.alert else ""
        finding = refusal(situation, responder)
        if finding.reason != _REACHABLE:
            message = f"{alert} fires, but {finding.message}"
            event = "BreakerRefused" if responder.breaks else "Refused"
            yield Note(event, message, responder.name, alert, warning=True)
        elif limit := limit_of(situation, responder):
            message = f"{alert} fires, but {limit}"
            yield Note("Limited", message, responder.name, alert, warning=True)
        elif responder.is_armed and not responder.may_write:
            yield from _request_notes(situation, responder, alert)
        elif _would_act(situation, responder) and situation.target is not None:
            yield _would_note(situation, responder, situation.target, alert)


def _request_notes(situation: Situation, responder: Responder, alert: str) -> Iterable[Note]:
    view = idle_view(situation, responder)
    event = "Rejected" if view.state is State.REJECTED else "Requested"
    yield Note(event, view.message, responder.name, alert)


def _would_note(situation: Situation, responder: Responder, target: Target, alert: str) -> Note:
    event = "DryRun" if responder.spec.mode is Mode.DRY_RUN else "Observed"
    message = f"{alert} fires; {_plan(situation, responder)}"
    if responder.scale_up is None:
        return Note(event, message, responder.name, alert)
    floor = _floor(responder, target)
    return Note(event, message, responder.name, alert, target.replicas, floor)


def _seconds(situation: Situation, views: Iterable[View]) -> float | None:
    views = list(views)
    ends = [
        until
        for r in situation.responders
        if r.fires and (until := _cooling_until(situation, r)) is not None
    ]
    ends += [
        parse_time(view.request.expires_at)
        for view in views
        if view.request and view.state is State.WAITING
    ]
    ends += [r.pause.until for r in situation.responders if r.pause and r.pause.until]
    if ends:
        return max(0.05, (min(ends) - situation.now).total_seconds())
    if any(v.target.reason != _REACHABLE or v.state is State.LIMITED for v in views):
        return RECHECK_SECONDS
    return None

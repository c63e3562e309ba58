"""What follows from what Alertmanager says, or does not say, of the alerts that fire (pure).

An alert that it does not have yet may be silenced, as after its restart, until Prometheus sends the
alert again. So what newly fires, or was muted before, is waited for; what has counted before goes on to
count. Nothing is waited for long: an Alertmanager that says nothing may not keep anything from being done.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from firewatch.respond.alerts import AlertState
from firewatch.respond.signals import RuleState, SourceState

PATIENCE = timedelta(seconds=75)
"""How long an alert is waited for, and how long what was muted is remembered without an answer."""
_RESEND = timedelta(seconds=65)
"""Prometheus' resend delay of a minute, and a moment for the way."""


def answered(state: SourceState, before: SourceState, listed: Mapping[str, bool]) -> SourceState:
    """Return a poll with what Alertmanager has: identities of alerts, with whether it mutes them."""
    known = {*listed, *_counted(before)}
    waited = {
        identity: before.unlisted.get(identity, state.polled_at)
        for identity, _ in _firing(state)
        if identity not in known
    }
    muted = frozenset(identity for identity, is_muted in listed.items() if is_muted)
    return replace(state, muted=muted, unlisted=_in_time(state, waited))


def unanswered(state: SourceState, before: SourceState, why: str) -> SourceState:
    """Return a poll after which Alertmanager could not be asked.

    What newly fires counts. What was muted when it last answered is doubtful for a while.
    """
    since = before.unanswered_since or state.polled_at
    is_recent = state.polled_at - since < PATIENCE
    return replace(
        state,
        muted=before.muted if is_recent else frozenset(),
        muted_error=why,
        unanswered_since=since,
        unlisted=_in_time(state, before.unlisted),
    )


def _in_time(state: SourceState, waited: Mapping[str, datetime]) -> dict[str, datetime]:
    """Return the alerts among those that fire which are waited for any longer."""
    return {
        identity: waited[identity]
        for identity, rule in _firing(state)
        if identity in waited and state.polled_at - waited[identity] < _patience(rule)
    }


def _patience(rule: RuleState) -> timedelta:
    """Return how long it may take until Prometheus sends an alert again: only evaluations do that."""
    return max(PATIENCE, _RESEND + rule.interval)


def _counted(state: SourceState) -> set[str]:
    """Return the alerts that fired and counted."""
    left_out = state.muted.union(state.unlisted)
    return {identity for identity, _ in _firing(state) if identity not in left_out}


def _firing(state: SourceState) -> Iterator[tuple[str, RuleState]]:
    for rule in state.rules:
        for alert in rule.alerts:
            if alert.state is AlertState.FIRING:
                yield alert.identity, rule

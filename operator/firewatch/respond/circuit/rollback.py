"""``rollback`` (pure): the last rollout of a Deployment is undone, if the errors began with it.

It goes back to the revision before, as ``kubectl rollout undo`` does, and all of the traffic tries that
once it is rolled out.
If it is good it stays: rolling forward again would bring the errors back. If it is not, the rollout was
not the cause, and is put back.
"""

from datetime import timedelta

from firewatch.api.circuit import BreakerRecord
from firewatch.api.circuit_breaker import CircuitBreaker, Mechanism
from firewatch.api.resource import parse_duration
from firewatch.respond.circuit.levers import Lever, as_text
from firewatch.respond.circuit.plan import Obstacle, Plan, all_ready, find_too_little
from firewatch.respond.circuit.world import Revision, World

TEMPLATE = "/spec/template"
"""Field of a Deployment; held as the name of the ReplicaSet that has it."""
_BOTH = 2
"""Revisions that it takes: the present one and the one before."""
_SLACK = timedelta(seconds=30)
"""By how much errors may seem older than their cause: clocks differ, and windows reach back."""


def plan(world: World, wanted: CircuitBreaker) -> Plan | Obstacle:
    """Return to which revision it would go back."""
    who = str(world.target)
    if obstacle := _find_not_ours(world, who) or find_too_little(world, wanted):
        return obstacle
    if len(world.revisions) < _BOTH:
        return Obstacle("NoRevision", f"{who} keeps no revision before the present one")
    present, before, *_ = world.revisions
    if obstacle := _find_innocent(world, wanted, present):
        return obstacle
    if before.lacking:
        message = f"revision {before.number} of {who} cannot be gone back to: {before.lacking}"
        return Obstacle("RevisionLacks", message)
    does = f"roll {who} back to revision {before.number}"
    return Plan(Mechanism.ROLLBACK, does, revision=before.replica_set)


def wanted_in(
    record: BreakerRecord, _wanted: CircuitBreaker, world: World
) -> dict[Lever, str | None]:
    """Return the template that it is to have, whatever the phase."""
    return {Lever("Deployment", world.target.name, TEMPLATE): as_text(record.revision)}


def tried(record: BreakerRecord, world: World) -> list[str]:
    """Return the pods that answer with the revision before, once no others do.

    While it is being rolled out, pods of the revision after it answer as well, and fail.
    """
    is_done = all(pod.replica_set == record.revision for pod in world.target.ready)
    return serving(record, world) if is_done else []


def serving(record: BreakerRecord, world: World) -> list[str]:
    """Return the pods that answer with the revision before."""
    mine = {pod.name for pod in world.target.pods if pod.replica_set == record.revision}
    return [name for name in all_ready(record, world) if name in mine]


def _find_not_ours(world: World, who: str) -> Obstacle | None:
    """Return why it is not for a response to roll the target back."""
    if world.target.kind != "Deployment":
        return Obstacle("NotADeployment", f"{who} is no Deployment, which alone keeps what it was")
    if world.kept_by:
        message = f"{world.kept_by} keeps {who} as it is and would roll it out again; undo it there"
        return Obstacle("KeptByOthers", message)
    if world.is_paused:
        return Obstacle("TargetPaused", f"{who} is paused; resume it")
    return None


def _find_innocent(world: World, wanted: CircuitBreaker, present: Revision) -> Obstacle | None:
    """Return why the last rollout is not what the errors came from, if so."""
    who, since = f"{world.target}, revision {present.number}", world.errors_since
    if since is None:
        return Obstacle("NotTheRollout", "it cannot be told since when there are errors")
    if since < present.began - _SLACK:
        return Obstacle("NotTheRollout", f"there were errors before the last rollout of {who}")
    within = timedelta(seconds=parse_duration(wanted.rollback.within))
    if since > present.began + within:
        message = f"{who} was rolled out more than {wanted.rollback.within} before the errors began"
        return Obstacle("NotTheRollout", message)
    return None

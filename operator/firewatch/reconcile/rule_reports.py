"""Telling policies and their stack how the rules stand."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from firewatch.api.conditions import Finding
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.cluster.errors import absent_is_fine
from firewatch.cluster.kinds import ALERT_POLICY, MONITORING_STACK
from firewatch.cluster.status import write_status
from firewatch.reconcile.context import Context
from firewatch.reconcile.delivery import Proof
from firewatch.reconcile.judging import is_culprit, is_loaded
from firewatch.reconcile.policies import Share
from firewatch.reconcile.policy_report import Outcome, Standing, policy_status, status_of
from firewatch.reconcile.rule_work import Work

_SLOW = timedelta(seconds=5)
"""After this long without confirmation the policies' statuses say so."""
_AT_A_TIME = 16
_PER_CALL = 128


async def report_finding(
    context: Context, policy: Object, finding: Finding, *, stack: str | None = None
) -> None:
    """Tell a policy one thing that keeps it from being used at all."""
    status = policy_status(policy, [finding], now=context.clock(), stack=stack)
    with absent_is_fine():
        await write_status(context.cluster, ALERT_POLICY, policy, status)


async def report_unusable(context: Context, share: Share, finding: Finding) -> None:
    """Tell the policies of a stack that it cannot run rules at all."""
    for policy in share.policies:
        runs_in = share.held.get(policy["metadata"]["uid"], share.taker)
        title = runs_in.title(policy["metadata"]["namespace"])
        await report_finding(context, policy, finding, stack=title)


async def report_policies(
    context: Context, work: Work, proof: Proof | None, *, limit: int | None = _PER_CALL
) -> bool:
    """Tell the policies about which something new is known; False if some are left for next time.

    ``proof`` is None while no server is ready.
    """
    late = _is_late(context, work)
    news = [
        (uid, outcome)
        for uid in work.scene.policies
        if (found := _outcome(work, uid, proof, late=late))
        and (outcome := replace(found, routed=context.routed.get(uid)))
        and _is_new(work, uid, outcome)
    ]
    now = news if limit is None else news[:limit]
    await _tell(context, work, now)
    work.memory.told_at = context.clock()
    return len(now) == len(news)


async def _tell(context: Context, work: Work, news: Sequence[tuple[str, Outcome]]) -> None:
    slots = asyncio.Semaphore(_AT_A_TIME)

    async def tell(uid: str, outcome: Outcome) -> None:
        policy = work.scene.policies[uid]
        stack = _runs_in(work, uid, outcome)
        status = status_of(policy, outcome, stack=stack, now=context.clock())
        async with slots:
            with absent_is_fine():
                policy = await write_status(context.cluster, ALERT_POLICY, policy, status)
        work.scene.renew(uid, policy)
        version = policy["metadata"]["resourceVersion"]
        work.memory.reported[uid] = (version, outcome)
        if outcome.standing is Standing.LOADED and uid in work.scene.held:
            context.wake(work.scene.held[uid].key)

    telling = (tell(uid, outcome) for uid, outcome in news)
    # One that cannot be told, as while its namespace goes, keeps the others from nothing.
    for result in await asyncio.gather(*telling, return_exceptions=True):
        if result is not None:
            raise result


def _runs_in(work: Work, uid: str, outcome: Outcome) -> str:
    """Return the title of the stack that runs a policy: the old one until the new one has it."""
    namespace = work.scene.policies[uid]["metadata"]["namespace"]
    if outcome.standing is not Standing.LOADED and uid in work.scene.held:
        return work.scene.held[uid].title(namespace)
    stack = work.scene.stack
    return names.stack_title(stack.namespace, stack.name, namespace)


def _is_late(context: Context, work: Work) -> bool:
    written = work.memory.written_at
    return written is not None and context.clock() - written > _SLOW


def _is_new(work: Work, uid: str, outcome: Outcome) -> bool:
    version = work.scene.policies[uid]["metadata"]["resourceVersion"]
    return work.memory.reported.get(uid) != (version, outcome)


def _outcome(work: Work, uid: str, proof: Proof | None, *, late: bool) -> Outcome | None:
    """Return how a policy stands, or None while there is nothing new to say."""
    opinion = work.opinions.get(uid)
    if opinion is None:
        return None
    judged, file = opinion.judged, opinion.file
    if judged is None:
        return Outcome(None, Standing.NO_SERVER, elsewhere=work.scene.elsewhere)
    if file is None:
        return Outcome(judged, Standing.WAITING)
    tested = work.tests.of_policy.get(uid)
    if work.tests.withheld(uid):
        return Outcome(judged, Standing.UNTESTED, tested=tested)
    standing = _standing(work, uid, proof)
    if standing is Standing.WAITING:
        settled = proof is None and is_loaded(work.scene.policies[uid], work.scene.stack)
        if settled or not (late or proof is None):
            return None
    return Outcome(
        judged,
        standing,
        work.fault_of(file.name),
        tested=tested,
        elsewhere=work.scene.elsewhere,
        is_refusing=work.is_refusing,
    )


def _standing(work: Work, uid: str, proof: Proof | None) -> Standing:
    policy, opinion = work.scene.policies[uid], work.opinions[uid]
    assert opinion.file
    assert opinion.judged
    entry = (opinion.file.name, opinion.judged.digest)
    if work.culprits.get(entry[0]) == entry[1] or is_culprit(policy):
        return Standing.REFUSED
    if entry[0] in work.homeless:
        return Standing.NO_ROOM
    if work.fault_of(entry[0]):
        return Standing.NOT_WRITTEN
    if proof and entry in proof.loaded:
        return Standing.LOADED
    return Standing.WAITING


async def report_stack(context: Context, work: Work) -> None:
    """Tell the stack how many policies it has and how many are confirmed."""
    live = work.scene.live
    if "status" not in live:
        return  # its own pass writes the first one; the next pass here comes with its first server
    counts = {
        "policies": len(work.scene.policies),
        "loaded": sum(is_loaded(p, work.scene.stack) for p in work.scene.policies.values()),
    }
    status = {**live.get("status", {}), "rules": counts}
    with absent_is_fine():
        await write_status(context.cluster, MONITORING_STACK, live, status)

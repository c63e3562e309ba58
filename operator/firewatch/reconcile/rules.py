"""A pass over the rules of a stack: judge, write, confirm, report.

All policies of a stack are looked at together, so that a thousand changes cost a handful of passes.
A pass does not wait for its own confirmation if policies change meanwhile: the next one begins at
once, and earlier versions still prove what a server runs.
"""

import asyncio
import math
from datetime import datetime, timedelta

from pydantic import ValidationError

from firewatch.api.conditions import Finding, bad, unknown
from firewatch.api.resource import Key, Object
from firewatch.build import names
from firewatch.build.external import has_prometheus
from firewatch.build.objects import Stack
from firewatch.build.rules import RuleFile, digest
from firewatch.build.slots import plan_slots
from firewatch.cluster.kinds import MONITORING_STACK
from firewatch.reconcile.context import Context
from firewatch.reconcile.delivery import (
    Proof,
    gather_health,
    gather_proof,
    gather_slots,
    write_slots,
)
from firewatch.reconcile.findings import ACCEPTED, LOADED
from firewatch.reconcile.handover import hand_over_routes
from firewatch.reconcile.judge import NEW_IN_A_PASS, judge_policies
from firewatch.reconcile.judging import is_culprit, is_loaded
from firewatch.reconcile.neighbours import Neighbours
from firewatch.reconcile.policies import Scene, Share, gather_policies
from firewatch.reconcile.refusals import advance_search, is_refused
from firewatch.reconcile.rule_reports import (
    report_finding,
    report_policies,
    report_stack,
    report_unusable,
)
from firewatch.reconcile.rule_tests import advance_tests
from firewatch.reconcile.rule_work import Memory, Work
from firewatch.reconcile.servers import gather_servers
from firewatch.reconcile.slim import without_groups
from firewatch.reconcile.stack_plan import parse_stack
from firewatch.reconcile.verdicts import Verdicts

_POLL_SECONDS = 0.2
_WAIT = timedelta(seconds=5)
"""How long a pass waits for the servers before it looks at everything anew, if they are not slow."""
_PASS = timedelta(seconds=20)
"""After so long a pass ends although servers are slow or policies have not been told; below what
the loop takes for a standstill.
"""
_UNCONFIRMED_SECONDS = 1.0
_NO_SERVER_SECONDS = 5.0
_TESTING_SECONDS = 1.0
_ELSEWHERE_SECONDS = 5.0
"""When to ask a Prometheus of others again that has not loaded what was written."""
_LOOK_SECONDS = 60.0
"""When to ask one that has: nothing tells if it loses its files."""


class RulesReconciler:
    """Passes over the rules of stacks, and what they remember."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._verdicts = Verdicts()
        self._memory: dict[Key, Memory] = {}
        self._takers: dict[str, frozenset[Key]] = {}
        """Stacks that had policies of a namespace when they were last handed out."""
        self._neighbours = Neighbours(context)

    async def reconcile(self, key: Key) -> float | None:
        """Look at the rules of one stack; with an empty name, hand out a namespace's policies."""
        if not key.name:
            return await self._hand_out(key.namespace)
        memory, began = self._memory.setdefault(key, Memory()), self._context.clock()
        memory.changed = False
        share = await self._share(key, memory)
        if share is None:
            del self._memory[key]
            return math.inf
        hand_over_routes(self._context, key, share.policies)
        memory.fingerprint = share.fingerprint()
        stack = self._usable(share.taker.live)
        if isinstance(stack, Finding):
            await report_unusable(self._context, share, stack)
            return None
        scene = await self._scene(stack, share)
        del share  # its policies go as newer forms of them take their place
        return await self._work(scene, memory, began)

    async def _share(self, key: Key, memory: Memory) -> Share | None:
        """Read the stack and its policies, with the groups of those that are judged next."""
        new: set[str] = set()

        def needs_groups(stack: Key, policy: Object) -> bool:
            uid, judged = policy["metadata"]["uid"], memory.judged.get(policy["metadata"]["uid"])
            is_new = judged is None or judged.generation != policy["metadata"]["generation"]
            if stack == key and is_new and len(new) < NEW_IN_A_PASS:
                new.add(uid)
            return uid in new

        policies = await gather_policies(self._context.cluster, key.namespace, needs_groups)
        return policies.shares.get(key)

    async def _hand_out(self, namespace: str) -> float | None:
        """Wake the stacks whose policies have changed, and answer policies without a stack."""
        batches, began = self._context.batches, self._context.clock()
        if wait := batches.wait(namespace, began, self._delivery(namespace, began)):
            return wait.total_seconds()
        batches.begin(namespace)
        policies = await gather_policies(self._context.cluster, namespace)
        await self._neighbours.wake(policies.takers)
        self._takers[namespace] = frozenset(policies.shares)
        for key, share in policies.shares.items():
            self._notice(key, share)
        for homeless in policies.homeless:
            await report_finding(
                self._context, homeless.policy, homeless.finding, stack=homeless.runs_in
            )
        if not policies.shares and not policies.homeless:
            batches.forget(namespace)
            del self._takers[namespace]
            return math.inf
        batches.rest(namespace, began, self._context.clock())
        return None

    def _delivery(self, namespace: str, now: datetime) -> timedelta:
        """Return how long the slowest delivery of a namespace's policies takes at present."""
        known = (self._memory.get(key) for key in self._takers.get(namespace, ()))
        times = (memory.delivery(now) for memory in known if memory)
        return max(times, default=timedelta(0))

    def _notice(self, key: Key, share: Share) -> None:
        """Wake a stack's rules if their last pass has seen other policies than there are now."""
        memory = self._memory.setdefault(key, Memory())
        if memory.fingerprint != share.fingerprint():
            memory.changed = True
            self._context.wake(key)

    def _usable(self, live: Object) -> Stack | Finding:
        """Return the stack as the builders need it, or why it runs no rules."""
        metadata = live["metadata"]
        name = metadata["name"]
        try:
            stack = parse_stack(live)
        except ValidationError:
            return unknown(LOADED, "StackInvalid", f"see the status of MonitoringStack {name}")
        if not self._context.settings.grants_stacks(metadata["namespace"]):
            return unknown(LOADED, "StackInvalid", f"see the status of MonitoringStack {name}")
        if stack.spec.paused:
            return unknown(
                LOADED,
                "StackPaused",
                f"MonitoringStack {name} is paused; what its Prometheus runs stays as it is",
            )
        if not has_prometheus(stack.spec):
            return bad(
                ACCEPTED,
                "NoMetrics",
                f"MonitoringStack {name} has no Prometheus to run rules; give it spec.metrics or"
                " spec.external.prometheus",
            )
        return stack

    async def _scene(self, stack: Stack, share: Share) -> Scene:
        cluster, session = self._context.cluster, self._context.session
        return Scene(
            live=share.taker.live,
            stack=stack,
            policies={each["metadata"]["uid"]: without_groups(each) for each in share.policies},
            servers=await gather_servers(cluster, session, stack),
            slots=await gather_slots(cluster, stack),
            leaving=share.leaving,
            held=share.held,
            groups=share.groups,
            slimmer=share.slimmer,
        )

    async def _work(self, scene: Scene, memory: Memory, began: datetime) -> float | None:
        opinions = await judge_policies(scene, self._verdicts, memory.judged)
        if opinions is None:
            return 0.0
        if len(opinions) < len(scene.policies):
            memory.changed = True
        memory.versions.remember(scene.slots.texts)
        ready = scene.servers.ready
        proof = await gather_proof(ready, memory.versions, scene.slots.revisions)
        culprits = (
            {}  # its reloads may fail for files of others, and come when they come
            if scene.elsewhere
            else await advance_search(scene, memory, proof, self._context.clock())
        )
        self._tell_of_search(scene.stack, memory)
        tests = await advance_tests(self._context.cluster, scene, opinions, look=memory.tests_open)
        memory.tests_open = tests.open
        work = Work(scene, memory, opinions, culprits, tests, began)
        self._plan(work)
        await self._write(work, proof)
        if not ready:
            await report_policies(self._context, work, None, limit=None)
            await report_stack(self._context, work)
            return _NO_SERVER_SECONDS
        delay = await self._confirm(work)
        return (
            min(delay or _TESTING_SECONDS, _TESTING_SECONDS) if tests.open and delay != 0 else delay
        )

    def _tell_of_search(self, stack: Stack, memory: Memory) -> None:
        """Say whether reloads fail for the rules' sake."""
        key = Key(MONITORING_STACK.kind, stack.namespace, stack.name)
        note = self._context.searching.add if memory.search else self._context.searching.discard
        note(key)

    def _plan(self, work: Work) -> None:
        """Decide what goes into which slot."""
        search, scene = work.memory.search, work.scene
        files = _files(work)
        if search:
            homes = {file.name: file.home for file in files}
            texts = search.files()
            files = [RuleFile(name, texts[name], homes.get(name, 0)) for name in sorted(texts)]
            work.attempt = search.attempt
        plan = plan_slots(files, scene.slots.texts)
        work.homeless = plan.homeless
        # Prometheus reloads only if something differs, so even an empty set shows the attempt.
        work.slots = plan.slots
        if work.attempt and not plan.slots:
            work.slots = {min(scene.slots.objects, default=0): {}}
        revisions = work.memory.versions.remember(work.slots)
        work.revisions = {slot: text + work.attempt for slot, text in revisions.items()}

    async def _write(self, work: Work, proof: Proof) -> None:
        """Make the slots as planned, and note what it takes to tell how that went."""
        memory, scene = work.memory, work.scene
        if work.revisions != scene.slots.revisions or work.slots != scene.slots.texts:
            memory.keep_sound(scene.slots.files(), work.files(), proof.loaded)
            if not proof.behind or memory.search:
                memory.healthy = await gather_health(scene.servers.ready)
            memory.written_at = self._context.clock()
        elif proof.behind and memory.written_at is None:
            memory.written_at = self._context.clock()
        work.faults = await write_slots(
            self._context.cluster, scene.stack, work.slots, scene.slots, attempt=work.attempt
        )
        if work.faults:
            work.keep_revisions_of_faults()

    async def _confirm(self, work: Work) -> float | None:
        """Ask the servers until they show what was written, telling the policies meanwhile."""
        if work.scene.elsewhere:
            return await self._confirm_elsewhere(work)
        context, memory, ready = self._context, work.memory, work.scene.servers.ready
        enough = context.clock() + max(_WAIT, 2 * memory.delivered_in)
        latest = max(context.clock() + _WAIT, work.began + _PASS)
        while True:
            proof = await gather_proof(ready, memory.versions, work.revisions)
            await self._nudge(work, proof)
            if not proof.behind:
                memory.confirm(context.clock())
            if memory.changed and memory.may_report_later(context.clock()):
                return 0.0
            reported = await report_policies(context, work, proof)
            if not proof.behind and reported:
                return await self._settle(work)
            now = context.clock()
            if memory.changed or await is_refused(memory, proof.behind, now):
                return 0.0
            if now >= latest or (reported and now >= enough):
                await report_stack(context, work)
                return _UNCONFIRMED_SECONDS
            if reported:
                await asyncio.sleep(_POLL_SECONDS)

    async def _confirm_elsewhere(self, work: Work) -> float:
        """Ask the Prometheus of others once, whose files come when whoever brings them does."""
        context, memory, ready = self._context, work.memory, work.scene.servers.ready
        proof = await gather_proof(ready, memory.versions, work.revisions)
        work.is_refusing = bool(proof.behind) and not await gather_health(ready)
        if not proof.behind:
            memory.confirm(context.clock())
        while not await report_policies(context, work, proof):
            if memory.changed:
                return 0.0
        if proof.behind:
            await report_stack(context, work)
            return 0.0 if memory.changed else _ELSEWHERE_SECONDS
        return _LOOK_SECONDS if await self._settle(work) is None else 0.0

    async def _nudge(self, work: Work, proof: Proof) -> None:
        await self._context.nudges.nudge(
            self._context.cluster,
            proof.behind,
            annotation=names.RULES_ANNOTATION,
            revision=_combined(work),
            now=self._context.clock(),
        )

    async def _settle(self, work: Work) -> float | None:
        """End the pass after every server has shown what was written."""
        self._context.nudges.settle(work.scene.servers.ready, names.RULES_ANNOTATION)
        if work.memory.search:
            return _UNCONFIRMED_SECONDS if work.faults else 0.0
        work.memory.settle(work.revisions)
        await report_stack(self._context, work)
        return 0.0 if work.memory.changed else None


def _combined(work: Work) -> str:
    """Return one revision for all slots."""
    return names.short_hash(repr(sorted(work.revisions.items())), 16)


def _files(work: Work) -> list[RuleFile]:
    """Return the files that should run.

    A policy on which there is no opinion yet, that the server refuses, or whose tests have not
    passed, keeps what ran of it before. While Prometheus cannot even start, only what has run before
    stays.
    """
    scene, opinions, culprits = work.scene, work.opinions, work.culprits
    live = scene.slots.files()
    starting_fails = scene.servers.crashing and not scene.servers.ready
    found = [file for policy in scene.leaving if (file := _as_before(policy, live))]
    for uid, policy in scene.policies.items():
        if starting_fails and not is_loaded(policy, scene.stack):
            continue
        opinion = opinions.get(uid)
        file = opinion.file if opinion else None
        refused = is_culprit(policy) or (
            file is not None and culprits.get(file.name) == digest(file.text)
        )
        untested = work.tests.withheld(uid)
        if refused or untested or opinion is None or opinion.judged is None:
            file = _as_before(policy, live)
        if file is not None:
            found.append(file)
    return found


def _as_before(policy: Object, live: dict[str, str]) -> RuleFile | None:
    namespace, name = policy["metadata"]["namespace"], policy["metadata"]["name"]
    file = names.policy_file(namespace, name)
    if file not in live:
        return None
    return RuleFile(file, live[file], names.policy_slot(namespace, name))

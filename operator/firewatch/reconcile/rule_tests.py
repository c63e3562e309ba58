"""Unit tests of policies: which must run, their Jobs, and what came of them.

The result of a run stands in the policy's own status, so that it outlives the operator; a Job is
removed as soon as it does. A run that came to no result (no time, no image) is tried again once its
Job has been forgotten.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from firewatch.api.alerts import AlertPolicySpec, AlertPolicyStatus, TestsStatus
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.rule_tests import (
    SIZE_LIMIT,
    TestRun,
    build_test_files,
    build_test_job,
    render_tests,
    revision_of_tests,
)
from firewatch.build.rules import RuleFile
from firewatch.cluster.apply import apply, delete
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ClusterError, UnreachableError
from firewatch.cluster.kinds import CONFIG_MAP, JOB
from firewatch.reconcile.findings import read_status
from firewatch.reconcile.job_outcome import End, read_outcome
from firewatch.reconcile.judge import Opinions
from firewatch.reconcile.policies import Scene

_AT_A_TIME = 8
"""Runs of one stack that are under way together."""
_MESSAGE = 2048


class Verdict(StrEnum):
    """What has come of a policy's tests."""

    PASSED = "passed"
    FAILED = "failed"
    RUNNING = "running"
    NOT_RUN = "notRun"
    """They could not be run, or not to their end."""


_VERDICTS = {
    End.SUCCEEDED: Verdict.PASSED,
    End.FAILED: Verdict.FAILED,
    End.NO_RESULT: Verdict.NOT_RUN,
}


@dataclass(frozen=True)
class Tested:
    """How the tests of a policy stand."""

    verdict: Verdict
    revision: str
    message: str = ""

    def status(self) -> TestsStatus | None:
        """Return what the policy's status keeps of it; None if there is no result."""
        if self.verdict not in {Verdict.PASSED, Verdict.FAILED}:
            return None
        passed = self.verdict is Verdict.PASSED
        return TestsStatus(revision=self.revision, passed=passed, message=self.message)


@dataclass(frozen=True)
class TestResults:
    """How the tests of all policies stand."""

    __test__ = False

    of_policy: Mapping[str, Tested]
    """By uid; policies without tests are missing."""
    open: bool
    """Whether there are Jobs that must be looked at again."""

    def withheld(self, uid: str) -> bool:
        """Tell whether the policy's new rules may not run, or not yet."""
        tested = self.of_policy.get(uid)
        return tested is not None and tested.verdict is not Verdict.PASSED


@dataclass(frozen=True)
class _Wanted:
    """A policy with tests and rules."""

    uid: str
    policy: Object
    file: RuleFile
    run: TestRun
    known: TestsStatus | None
    """The result of this very run, if it is known."""


async def advance_tests(
    cluster: Cluster, scene: Scene, opinions: Opinions, *, look: bool
) -> TestResults:
    """Start the runs that are due, read those that are over, remove what is not needed any more.

    Nothing is asked of the API server unless a run is due or ``look`` is set.
    """
    wanted = [w for uid in scene.policies if (w := _wanted(scene, opinions, uid))]
    unknown = [each for each in wanted if each.known is None]
    found = {each.uid: _recorded(each.known) for each in wanted if each.known}
    if not unknown and not look:
        return TestResults(found, open=False)
    stack = scene.stack
    labels = names.component_selector(stack.name, names.TESTS)
    jobs = {
        job["metadata"]["name"]: job for job in await cluster.list(JOB, stack.namespace, labels)
    }
    kept = {each.run.name(stack.name) for each in unknown}
    await _remove_others(cluster, stack, jobs, kept)
    room = _AT_A_TIME - len(jobs.keys() & kept)
    for each in unknown:
        job = jobs.get(each.run.name(stack.name))
        if job is None and room > 0:
            room -= 1
            found[each.uid] = await _start(cluster, stack, each)
        else:
            found[each.uid] = await _read(cluster, each.run.revision, job)
    return TestResults(found, open=bool(unknown) or bool(jobs))


def _wanted(scene: Scene, opinions: Opinions, uid: str) -> _Wanted | None:
    policy, opinion = scene.policies[uid], opinions.get(uid)
    tests = policy.get("spec", {}).get("tests")
    if not tests or opinion is None or opinion.judged is None or opinion.file is None:
        return None
    metadata = policy["metadata"]
    revision = revision_of_tests(opinion.judged.digest, tests)
    run = TestRun(f"{metadata['namespace']}/{metadata['name']}", revision)
    before = read_status(AlertPolicyStatus, policy).tests
    known = before if before and before.revision == revision else None
    return _Wanted(uid, policy, opinion.file, run, known)


def _recorded(known: TestsStatus) -> Tested:
    verdict = Verdict.PASSED if known.passed else Verdict.FAILED
    return Tested(verdict, known.revision, known.message)


async def _remove_others(
    cluster: Cluster, stack: Stack, jobs: Mapping[str, Object], kept: set[str]
) -> None:
    """Remove the Jobs and ConfigMaps of runs whose result is known or of no use any more."""
    labels = names.component_selector(stack.name, names.TESTS)
    for name, job in jobs.items():
        if name not in kept:
            await delete(cluster, JOB, job)
    for live in await cluster.list(CONFIG_MAP, stack.namespace, labels):
        if live["metadata"]["name"] not in kept:
            await delete(cluster, CONFIG_MAP, live)


async def _start(cluster: Cluster, stack: Stack, wanted: _Wanted) -> Tested:
    revision = wanted.run.revision
    tests = AlertPolicySpec.model_validate(wanted.policy["spec"]).tests
    assert tests
    text = render_tests(tests)
    if len(text.encode()) + wanted.file.size > SIZE_LIMIT:
        message = "rules and tests together are larger than a ConfigMap; make them smaller"
        return Tested(Verdict.NOT_RUN, revision, message)
    try:
        files = build_test_files(stack, wanted.run, wanted.file.text, text)
        await apply(cluster, CONFIG_MAP, files)
        await apply(cluster, JOB, build_test_job(stack, wanted.run))
    except UnreachableError:
        raise
    except ClusterError as error:
        return Tested(Verdict.NOT_RUN, revision, f"the Job for the tests: {error}"[:_MESSAGE])
    return Tested(Verdict.RUNNING, revision)


async def _read(cluster: Cluster, revision: str, job: Object | None) -> Tested:
    """Return what has come of a run; one without a Job waits for its turn."""
    outcome = await read_outcome(cluster, job) if job else None
    if outcome is None:
        return Tested(Verdict.RUNNING, revision)
    verdict = _VERDICTS[outcome.end]
    message = outcome.message[:_MESSAGE]
    if verdict is Verdict.FAILED:
        message = _tidy(outcome.message) or "promtool says no more"
    return Tested(verdict, revision, message)


def _tidy(output: str) -> str:
    """Return the end of promtool's words, without trailing blanks and empty lines."""
    lines = (line.rstrip() for line in output.splitlines())
    text = re.sub(r"^Unit Testing: .*$", "", "\n".join(filter(None, lines)), flags=re.MULTILINE)
    return text.strip()[-_MESSAGE:]

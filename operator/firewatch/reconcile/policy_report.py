"""How a policy stands, as its status (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from firewatch.api.alerting import LeftOut
from firewatch.api.alerts import (
    AlertPolicyStatus,
    RejectedRule,
    RuleCounts,
    TestsStatus,
)
from firewatch.api.conditions import Finding, bad, good, merge_conditions, unknown
from firewatch.api.resource import Object
from firewatch.reconcile.findings import (
    ACCEPTED,
    APPLIED,
    LOADED,
    REJECTED_BY_SERVER,
    TESTED,
    read_status,
)
from firewatch.reconcile.judging import Judged
from firewatch.reconcile.routed import Routed, routed_parts
from firewatch.reconcile.rule_tests import Tested, Verdict


class Standing(StrEnum):
    """How far a policy's rules have come."""

    LOADED = "loaded"
    WAITING = "waiting"
    """They are written, the server has not confirmed them yet."""
    NO_SERVER = "noServer"
    """No server has judged them, so they are held back."""
    NO_ROOM = "noRoom"
    NOT_WRITTEN = "notWritten"
    UNTESTED = "untested"
    """Its tests have not passed, or not yet."""
    REFUSED = "refused"
    """Prometheus refuses the file, although each expression parses."""


@dataclass(frozen=True)
class Outcome:
    """What there is to say about a policy."""

    judged: Judged | None
    """None while no server has judged it."""
    standing: Standing
    fault: Finding | None = None
    """Why its slot could not be written."""
    routed: Routed | None = None
    """How its routes stand, if that has been found out."""
    tested: Tested | None = None
    """How its tests stand, if it has any."""
    elsewhere: str = ""
    """Address of the Prometheus, if others run it."""
    is_refusing: bool = False
    """Whether the last reload of that one has failed."""


def status_of(live: Object, outcome: Outcome, *, stack: str, now: datetime) -> AlertPolicyStatus:
    """Return the status of a policy for an outcome."""
    routed, left_out = routed_parts(live, outcome.routed)
    return policy_status(
        live,
        [*findings(outcome), *routed],
        now=now,
        stack=stack,
        judged=outcome.judged,
        loaded=outcome.standing is Standing.LOADED,
        left_out=left_out,
        tests=outcome.tested.status() if outcome.tested else None,
    )


def policy_status(
    live: Object,
    findings: Sequence[Finding],
    *,
    now: datetime,
    stack: str | None = None,
    judged: Judged | None = None,
    loaded: bool = False,
    left_out: Sequence[LeftOut] = (),
    tests: TestsStatus | None = None,
) -> AlertPolicyStatus:
    """Return the status of a policy with these findings."""
    before = read_status(AlertPolicyStatus, live)
    has_tests = bool(live.get("spec", {}).get("tests"))
    generation = live["metadata"]["generation"]
    rejected: Sequence[RejectedRule] = judged.rejected if judged else ()
    counts = RuleCounts()
    if judged:
        running = judged.total - judged.left_out if loaded else 0
        counts = RuleCounts(total=judged.total, loaded=running)
    return AlertPolicyStatus(
        observed_generation=generation,
        conditions=merge_conditions(
            before.conditions,
            findings,
            generation=generation,
            now=now,
        ),
        stack=stack,
        rules=counts,
        rejected=[*rejected],
        left_out=[*left_out],
        warnings=[*judged.warnings] if judged else [],
        detection=[*judged.detection] if judged else [],
        # The result of a run is kept until there is another: without it the tests would run again.
        tests=(tests or before.tests) if has_tests else None,
    )


def findings(outcome: Outcome) -> list[Finding]:
    """Return the conditions of a policy."""
    judged = outcome.judged
    if judged is None:
        return [_no_server(outcome.elsewhere)]
    if judged.fault:
        return [judged.fault]
    if not judged.digest:
        # A policy may only say whom alerts of others are told.
        return [_accepted(judged), *([_NO_RULES] if judged.total else [])]
    found = [_accepted(judged)]
    if outcome.tested:
        found.append(_tested(outcome.tested))
    if outcome.standing is Standing.UNTESTED:
        return found
    return [*found, *_delivered(outcome)]


def _delivered(outcome: Outcome) -> Sequence[Finding]:
    """Return how far the rules have come once they may run."""
    if outcome.standing is Standing.NOT_WRITTEN and outcome.fault:
        return [outcome.fault]
    if outcome.standing is Standing.WAITING and outcome.elsewhere:
        return [_APPLIED, _not_loaded_elsewhere(outcome)]
    return _STANDINGS[outcome.standing]


def _tested(tested: Tested) -> Finding:
    kept = "; what ran of this policy before still runs"
    said = tested.message[:1024]
    match tested.verdict:
        case Verdict.PASSED:
            return good(TESTED, "TestsPassed", "all tests of the rules pass")
        case Verdict.RUNNING:
            return unknown(TESTED, "TestsRunning", f"the tests of the rules are running{kept}")
        case Verdict.FAILED:
            return bad(
                TESTED, "TestsFailed", f"the tests of the rules fail{kept}. promtool: {said}"
            )
        case Verdict.NOT_RUN:
            return bad(TESTED, "TestsNotRun", f"the tests could not be run{kept}. {said}")


def _accepted(judged: Judged) -> Finding:
    if not judged.left_out:
        return good(ACCEPTED, "Accepted", "every rule is understood")
    first = judged.rejected[0]
    where = f"group {first.group}, rule {first.index}" + (f" ({first.rule})" if first.rule else "")
    return bad(
        ACCEPTED,
        "RulesRejected",
        f"{judged.left_out} of {judged.total} rules left out: {where}: {first.reason}:"
        f" {first.message}",
    )


def _no_server(elsewhere: str) -> Finding:
    why = (
        f"the Prometheus at {elsewhere} does not answer, see the status of the MonitoringStack"
        if elsewhere
        else "no Prometheus of the stack is ready to check the expressions"
    )
    return unknown(ACCEPTED, "NoServer", f"{why}; the rules are held back")


def _not_loaded_elsewhere(outcome: Outcome) -> Finding:
    server = f"the Prometheus at {outcome.elsewhere}"
    if outcome.is_refusing:
        return bad(
            LOADED,
            "ReloadFailed",
            f"the last reload of {server} has failed, for these rules or for something else; its log"
            " says which file it refuses",
        )
    return unknown(
        LOADED,
        "Reloading",
        f"{server} has not loaded these rules yet; it needs the files of the ConfigMaps with the"
        " labels in external.prometheus.ruleLabels, in its rule_files, and a reload when they change",
    )


_NO_RULES = bad(LOADED, "NoRules", "no rule is left that could run")
_APPLIED = good(APPLIED, "Applied", "the rules are written")
_STANDINGS = {
    Standing.LOADED: (
        _APPLIED,
        good(LOADED, "Loaded", "Prometheus confirms that it runs these rules"),
    ),
    Standing.WAITING: (
        _APPLIED,
        unknown(LOADED, "Reloading", "Prometheus has not confirmed these rules yet"),
    ),
    Standing.NO_ROOM: (
        bad(
            APPLIED,
            "RulesTooLarge",
            "the stack's rule ConfigMaps have no room for these rules; make the policy smaller, or"
            " move policies to another stack",
        ),
    ),
    Standing.REFUSED: (
        _APPLIED,
        bad(
            LOADED,
            REJECTED_BY_SERVER,
            "Prometheus refuses the rule file, although it accepts every expression; its log says"
            " why (kubectl logs, 'loading groups failed'). What it ran of this policy before, it"
            " still runs.",
        ),
    ),
}

"""What a policy asks for, and which of its rules cannot run (pure)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from firewatch.api.alerts import AlertPolicySpec, AlertPolicyStatus, RejectedRule
from firewatch.api.conditions import Finding, bad
from firewatch.api.resource import ConditionStatus, Object
from firewatch.build import names
from firewatch.build.checks import Fault, check_groups
from firewatch.build.rules import (
    Group,
    Place,
    RuleFile,
    digest,
    policy_groups,
    render_rules,
    rule_name,
)
from firewatch.reconcile.findings import ACCEPTED, LOADED
from firewatch.reconcile.invalid import explain_invalid

REJECTED_SHOWN = 50
BAD_EXPRESSION = "BadExpression"
REJECTED_BY_SERVER = "RejectedByServer"

Verdict = Callable[[str], str | None]
"""Says what is wrong with an expression: empty for nothing, None if that is not known yet."""


@dataclass(frozen=True)
class Judged:
    """The outcome of looking at a policy, small enough to be remembered."""

    generation: int
    digest: str
    """Hash of the policy's rule file; empty if no rule is left."""
    total: int
    rejected: tuple[RejectedRule, ...] = ()
    left_out: int = 0
    """How many rules are rejected; ``rejected`` holds the first 50."""
    fault: Finding | None = None
    """Why the spec as a whole cannot be used."""


@dataclass(frozen=True)
class Examined:
    """A policy that has been read and checked as far as that goes without a server."""

    generation: int
    file: str
    home: int
    groups: tuple[Group, ...]
    faults: Mapping[Place, Fault]

    def expressions(self) -> Iterator[str]:
        """Yield the expressions on which a verdict is needed."""
        for place, group in self._places():
            if place not in self.faults:
                yield group.rules[place.index].expr

    def judge(self, verdict: Verdict) -> tuple[Judged, RuleFile] | None:
        """Return the outcome and the rule file, or None if a verdict is not known yet."""
        faults = dict(self.faults)
        for place, group in self._places():
            if place in faults:
                continue
            problem = verdict(group.rules[place.index].expr)
            if problem is None:
                return None
            if problem:
                faults[place] = (BAD_EXPRESSION, problem)
        return self._outcome(faults)

    def recall(self, status: AlertPolicyStatus) -> tuple[Judged, RuleFile]:
        """Return the outcome with the verdicts that stand in the policy's own status."""
        known = {(r.group, r.index): r.message for r in status.rejected}
        faults = dict(self.faults)
        for place, group in self._places():
            if place not in faults and (message := known.get((group.name, place.index))):
                faults[place] = (BAD_EXPRESSION, message)
        return self._outcome(faults)

    def _outcome(self, faults: Mapping[Place, Fault]) -> tuple[Judged, RuleFile]:
        text = render_rules(self.groups, faults.keys())
        judged = Judged(
            generation=self.generation,
            digest=digest(text) if text else "",
            total=sum(len(group.rules) for group in self.groups),
            rejected=tuple(self._rejected(faults))[:REJECTED_SHOWN],
            left_out=len(faults),
        )
        return judged, RuleFile(self.file, text, self.home)

    def _rejected(self, faults: Mapping[Place, Fault]) -> Iterator[RejectedRule]:
        for place, group in self._places():
            if place in faults:
                reason, message = faults[place]
                yield RejectedRule(
                    group=group.name,
                    index=place.index,
                    rule=rule_name(group.rules[place.index]),
                    reason=reason,
                    message=message[:1024],
                )

    def _places(self) -> Iterator[tuple[Place, Group]]:
        for position, group in enumerate(self.groups):
            for index in range(len(group.rules)):
                yield Place(position, index), group


def examine(live: Object) -> Examined | Judged:
    """Read and check a policy; one that cannot be read at all is judged at once."""
    metadata = live["metadata"]
    namespace, name, generation = metadata["namespace"], metadata["name"], metadata["generation"]
    try:
        spec = AlertPolicySpec.model_validate(live.get("spec", {}))
    except ValidationError as error:
        fault = bad(ACCEPTED, "InvalidSpec", explain_invalid(error))
        return Judged(generation, digest="", total=0, fault=fault)
    groups = policy_groups(spec)
    return Examined(
        generation=generation,
        file=names.policy_file(namespace, name),
        home=names.policy_slot(namespace, name),
        groups=groups,
        faults=check_groups(groups),
    )


def is_loaded(live: Object) -> bool:
    """Tell whether a server has confirmed the policy in its present form before.

    The policy's own status says so, which outlives a restart of the operator.
    """
    return any(
        condition.get("type") == LOADED
        and condition.get("status") == ConditionStatus.TRUE
        and condition.get("observedGeneration") == live["metadata"]["generation"]
        for condition in _conditions(live)
    )


def is_trusted(live: Object) -> bool:
    """Tell whether the policy's status says all about its rules, so that no server need be asked."""
    rejected = live.get("status", {}).get("rejected") or ()
    return is_loaded(live) and len(rejected) < REJECTED_SHOWN


def is_culprit(live: Object) -> bool:
    """Tell whether a server has refused the policy in its present form."""
    return any(
        condition.get("type") == LOADED
        and condition.get("reason") == REJECTED_BY_SERVER
        and condition.get("observedGeneration") == live["metadata"]["generation"]
        for condition in _conditions(live)
    )


def _conditions(live: Object) -> Sequence[Object]:
    return live.get("status", {}).get("conditions") or ()

"""What a policy asks for, and which of its rules cannot run (pure)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from pydantic import ValidationError

from firewatch.api.alerts import (
    AlertDetection,
    AlertPolicySpec,
    AlertPolicyStatus,
    RejectedRule,
    RuleWarning,
)
from firewatch.api.conditions import Finding, bad
from firewatch.api.resource import ConditionStatus, Object
from firewatch.build import names
from firewatch.build.checks import Fault, check_groups
from firewatch.build.confine import confine_groups
from firewatch.build.detection import Pace, detection_warnings, find_detections, slowest
from firewatch.build.lint.rules import lint_policy
from firewatch.build.objects import Stack
from firewatch.build.rules import (
    Group,
    Place,
    RuleFile,
    digest,
    policy_groups,
    render_rules,
    rule_name,
)
from firewatch.reconcile.findings import ACCEPTED, LOADED, REJECTED_BY_SERVER
from firewatch.reconcile.invalid import explain_invalid

REJECTED_SHOWN = 50
_WARNINGS_SHOWN = 20
_DETECTIONS_SHOWN = 50
BAD_EXPRESSION = "BadExpression"

GOOD: Fault = ("", "")


@dataclass(frozen=True, order=True)
class Question:
    """An expression to be judged."""

    expression: str
    namespace: str = ""
    """The namespace that it is to be confined to, if any."""


Verdict = Callable[[Question], Fault | None]
"""Says what is wrong with an expression: ``GOOD`` for nothing, None if that is not known yet."""


@dataclass(frozen=True)
class Judged:
    """The outcome of looking at a policy, small enough to be remembered."""

    generation: int
    pace: Pace
    """How fast the stack is, by which windows and times of rules are judged."""
    digest: str
    """Hash of the policy's rule file; empty if no rule is left."""
    total: int
    rejected: tuple[RejectedRule, ...] = ()
    left_out: int = 0
    """How many rules are rejected; ``rejected`` holds the first 50."""
    warnings: tuple[RuleWarning, ...] = ()
    """Advice on the rules, the first 20."""
    detection: tuple[AlertDetection, ...] = ()
    """How long it takes until people are told of each alert, the slowest 50."""
    fault: Finding | None = None
    """Why the spec as a whole cannot be used."""


@dataclass(frozen=True)
class Examined:
    """A policy that has been read and checked as far as that goes without a server."""

    generation: int
    pace: Pace
    file: str
    home: int
    groups: tuple[Group, ...]
    faults: Mapping[Place, Fault]
    warnings: tuple[RuleWarning, ...] = ()
    detection: tuple[AlertDetection, ...] = ()
    confined: str = ""
    """The namespace that the rules are confined to, if any."""

    def questions(self) -> Iterator[Question]:
        """Yield the expressions on which a verdict is needed."""
        for place, group in self._places():
            if place not in self.faults:
                yield Question(group.rules[place.index].expr, self.confined)

    def judge(self, verdict: Verdict) -> tuple[Judged, RuleFile] | None:
        """Return the outcome and the rule file, or None if a verdict is not known yet."""
        faults = dict(self.faults)
        for place, group in self._places():
            if place in faults:
                continue
            fault = verdict(Question(group.rules[place.index].expr, self.confined))
            if fault is None:
                return None
            if fault != GOOD:
                faults[place] = fault
        return self._outcome(faults)

    def recall(self, status: AlertPolicyStatus) -> tuple[Judged, RuleFile]:
        """Return the outcome with the verdicts that stand in the policy's own status."""
        known = {(r.group, r.index): (r.reason, r.message) for r in status.rejected}
        faults = dict(self.faults)
        for place, group in self._places():
            if place not in faults and (fault := known.get((group.name, place.index))):
                faults[place] = fault
        return self._outcome(faults)

    def _outcome(self, faults: Mapping[Place, Fault]) -> tuple[Judged, RuleFile]:
        groups = confine_groups(self.groups, self.confined) if self.confined else self.groups
        text = render_rules(groups, faults.keys())
        judged = Judged(
            generation=self.generation,
            pace=self.pace,
            digest=digest(text) if text else "",
            total=sum(len(group.rules) for group in self.groups),
            rejected=tuple(self._rejected(faults))[:REJECTED_SHOWN],
            left_out=len(faults),
            warnings=self.warnings,
            detection=self.detection,
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


def examine(live: Object, home: str, pace: Pace) -> Examined | Judged:
    """Read and check a policy; one that cannot be read at all is judged at once.

    A policy of another namespace than ``home``, the stack's, is confined to its own. ``pace`` is that
    of the stack.
    """
    metadata = live["metadata"]
    namespace, name, generation = metadata["namespace"], metadata["name"], metadata["generation"]
    try:
        spec = AlertPolicySpec.model_validate(live.get("spec", {}))
    except ValidationError as error:
        fault = bad(ACCEPTED, "InvalidSpec", explain_invalid(error))
        return Judged(generation, pace, digest="", total=0, fault=fault)
    groups = policy_groups(spec, f"{namespace}/{name}")
    confined = "" if namespace == home else namespace
    detections = find_detections(spec, groups, pace)
    # What concerns the purpose of a policy comes first.
    warnings = chain(
        detection_warnings(spec, detections, pace), lint_policy(live.get("spec", {}), pace.scrapes)
    )
    return Examined(
        generation=generation,
        pace=pace,
        file=names.policy_file(namespace, name),
        home=names.policy_slot(namespace, name),
        groups=groups,
        faults=check_groups(groups, confined=bool(confined)),
        warnings=(*islice(warnings, _WARNINGS_SHOWN),),
        detection=(*slowest(detections)[:_DETECTIONS_SHOWN],),
        confined=confined,
    )


def is_loaded(live: Object, stack: Stack) -> bool:
    """Tell whether the stack's servers have confirmed the policy in its present form before.

    The policy's own status says so, which outlives a restart of the operator.
    """
    title = names.stack_title(stack.namespace, stack.name, live["metadata"]["namespace"])
    return live.get("status", {}).get("stack") == title and any(
        condition.get("type") == LOADED
        and condition.get("status") == ConditionStatus.TRUE
        and condition.get("observedGeneration") == live["metadata"]["generation"]
        for condition in _conditions(live)
    )


def is_trusted(live: Object, stack: Stack) -> bool:
    """Tell whether the policy's status says all about its rules, so that no server need be asked.

    It does not for a policy of another namespace: what confines it may be another text by now.
    """
    rejected = live.get("status", {}).get("rejected") or ()
    is_own = live["metadata"]["namespace"] == stack.namespace
    return is_own and is_loaded(live, stack) and len(rejected) < REJECTED_SHOWN


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

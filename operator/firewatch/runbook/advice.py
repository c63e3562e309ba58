"""Advice on resources in files (pure)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.checks import check_groups
from firewatch.build.detection import Pace, detection_warnings, find_detections, pace_of
from firewatch.build.lint.rules import lint_policy
from firewatch.build.rules import policy_groups, rule_name
from firewatch.runbook.documents import Document


@dataclass(frozen=True)
class Advice:
    """Something that could be better, or a rule that would be left out."""

    where: str
    policy: str
    rule: str
    """Group, index and name of the rule."""
    code: str
    message: str


def advise(documents: Sequence[Document]) -> Iterator[Advice]:
    """Yield the advice on all policies, with the pace of their stacks."""
    for document in documents:
        if isinstance(document.spec, AlertPolicySpec):
            yield from _on_policy(document, document.spec, _pace(document, documents))


def _on_policy(document: Document, spec: AlertPolicySpec, pace: Pace) -> Iterator[Advice]:
    groups = policy_groups(spec, f"{document.namespace}/{document.name}")
    for place, (reason, message) in check_groups(groups).items():
        group = groups[place.group]
        rule = f"{group.name}[{place.index}] {rule_name(group.rules[place.index])}"
        yield Advice(document.where, document.name, rule, reason, message)
    advice = (
        *detection_warnings(spec, find_detections(spec, groups, pace), pace),
        *lint_policy(document.raw["spec"], pace.scrapes),
    )
    for found in advice:
        rule = f"{found.group}[{found.index}] {found.rule}"
        yield Advice(document.where, document.name, rule, found.code, found.message)


def _pace(policy: Document, documents: Sequence[Document]) -> Pace:
    """Return the pace of a policy's stack, if the stack is in the files."""
    assert isinstance(policy.spec, AlertPolicySpec)
    wanted = policy.spec.stack_ref.name if policy.spec.stack_ref else None
    for each in documents:
        is_near = each.namespace == policy.namespace and wanted in (None, each.name)
        if is_near and isinstance(each.spec, MonitoringStackSpec):
            return pace_of(each.spec)
    return Pace()

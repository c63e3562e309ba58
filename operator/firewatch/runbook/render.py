"""What the operator would make of resources, by its own builders and without a cluster."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.conditions import Finding
from firewatch.api.resource import Object
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names
from firewatch.build.checks import check_groups
from firewatch.build.external import has_prometheus
from firewatch.build.left_out import find_left_out
from firewatch.build.objects import Stack
from firewatch.build.policy_routes import RoutingPolicy
from firewatch.build.raw_scrapes import build_raw_scrapes_secret
from firewatch.build.rule_tests import (
    TestRun,
    build_test_files,
    build_test_job,
    render_tests,
    revision_of_tests,
)
from firewatch.build.rules import RuleFile, digest, policy_groups, render_rules, rule_name
from firewatch.build.slots import build_slot, plan_slots
from firewatch.build.stack import build_shared, build_stack
from firewatch.build.surroundings import Surroundings
from firewatch.reconcile.stackref import resolve_stack
from firewatch.runbook.documents import Document, Input
from firewatch.runbook.given import Given, find_unseen, given, surround
from firewatch.runbook.grafana import grafana_objects
from firewatch.runbook.offline import build_notifications
from firewatch.runbook.retention import find_unfollowed, render_retention

_CLUSTER_SCOPE = "ClusterScopeNotGranted"
UNKNOWN_UID = "00000000-0000-0000-0000-000000000000"
"""Stands for the uid that the API server will give the stack."""


@dataclass(frozen=True)
class Rendered:
    """All objects, and what would be left out."""

    objects: tuple[Object, ...]
    left_out: tuple[str, ...]
    """One line each: which rule, policy or part of a stack, and why."""
    unseen: tuple[str, ...]
    """One line each: what the operator would make as well, of something that is not given."""


@dataclass(frozen=True)
class _Rules:
    """A policy as its stack takes it."""

    document: Document
    spec: AlertPolicySpec
    file: RuleFile


def render(found: Input, surroundings: Surroundings) -> Rendered:
    """Return what the operator would make of stacks and policies."""
    documents, files = found.documents, given(found.sources)
    stacks = {(s.namespace, s.name): s for d in documents if (s := _stack(d))}
    left_out: list[str] = []
    policies: dict[tuple[str, str], list[_Rules]] = {key: [] for key in stacks}
    for document in documents:
        if isinstance(document.spec, AlertPolicySpec):
            known = {n: s for (space, n), s in stacks.items() if space == document.namespace}
            _assign(document, document.spec, known, policies=policies, left_out=left_out)
    objects: list[Object] = []
    for namespace in dict.fromkeys(space for space, _ in stacks):
        objects += build_shared([s for s in stacks.values() if s.namespace == namespace])
    for key, stack in stacks.items():
        kept = replace(surroundings, retention=render_retention(stack, stacks, documents))
        around = surround(stack, kept, files)
        objects += _stack_objects(stack, around, left_out)
        objects += grafana_objects(stack, around, files, left_out)
        objects += _rule_objects(stack, policies[key], left_out)
        objects += _notification_objects(stack, policies[key], left_out)
    left_out += find_unfollowed(stacks, documents)
    return Rendered(tuple(objects), tuple(left_out), tuple(_unseen(stacks.values(), files)))


def _unseen(stacks: Iterable[Stack], files: Given) -> Iterator[str]:
    for stack in stacks:
        if line := find_unseen(stack, files):
            yield line


def _stack(document: Document) -> Stack | None:
    if not isinstance(document.spec, MonitoringStackSpec):
        return None
    uid = document.raw["metadata"].get("uid", UNKNOWN_UID)
    return Stack(document.namespace, document.name, uid, document.spec)


def _stack_objects(
    stack: Stack, surroundings: Surroundings, left_out: list[str]
) -> Iterator[Object]:
    """Yield what a stack is made of, without rules and notifications."""
    yield from build_stack(stack, surroundings)
    if (raw := surroundings.raw_scrapes) and raw.file:
        yield build_raw_scrapes_secret(stack, {raw.file: raw.text})
    for each in find_left_out(stack, surroundings):
        message = each.message
        if each.reason == _CLUSTER_SCOPE:
            message += f"; if it is there, add --cluster-stack-namespace {stack.namespace} here"
        left_out.append(f"MonitoringStack {stack.name}: {message}")


def _assign(
    document: Document,
    spec: AlertPolicySpec,
    stacks: dict[str, Stack],
    *,
    policies: dict[tuple[str, str], list[_Rules]],
    left_out: list[str],
) -> None:
    """Give a policy to its stack, without the rules that cannot run."""
    wanted = spec.stack_ref.name if spec.stack_ref else None
    where = (document.namespace, document.name)
    policy = f"{document.where}: AlertPolicy {document.name}"
    if spec.stack_ref and spec.stack_ref.namespace not in {None, document.namespace}:
        # Its rules are confined to its namespace with the help of the server's own parser.
        left_out.append(f"{policy}: rules for a stack of another namespace need a cluster")
        return
    found = resolve_stack(wanted, stacks)
    if isinstance(found, Finding):
        left_out.append(f"{policy}: {found.message}")
        return
    groups = policy_groups(spec, "/".join(where))
    faults = check_groups(groups)
    for place, (reason, message) in faults.items():
        group = groups[place.group]
        rule = f"group {group.name}, rule {place.index} ({rule_name(group.rules[place.index])})"
        left_out.append(f"{document.where}: {rule}: {reason}: {message}")
    text = render_rules(groups, faults.keys())
    file = RuleFile(names.policy_file(*where), text, names.policy_slot(*where))
    policies[document.namespace, found].append(_Rules(document, spec, file))


def _rule_objects(
    stack: Stack, policies: Sequence[_Rules], left_out: list[str]
) -> Iterator[Object]:
    """Yield the rule ConfigMaps of a stack, and the Jobs that would test the rules first."""
    if not has_prometheus(stack.spec):
        left_out.extend(
            f"{each.document.where}: MonitoringStack {stack.name} has no Prometheus to run rules;"
            " give it spec.metrics or spec.external.prometheus"
            for each in policies
        )
        return
    plan = plan_slots([each.file for each in policies if each.file.text], {})
    for slot in sorted(plan.slots):
        yield build_slot(stack, slot, plan.slots[slot])
    for each in policies:
        if each.file.name in plan.homeless:
            left_out.append(f"{each.document.where}: no rule ConfigMap has room for its rules")
        if each.spec.tests and each.file.text:
            raw = each.document.raw["spec"]["tests"]
            revision = revision_of_tests(digest(each.file.text), raw)
            run = TestRun(f"{each.document.namespace}/{each.document.name}", revision)
            yield build_test_files(stack, run, each.file.text, render_tests(each.spec.tests))
            yield build_test_job(stack, run)


def _notification_objects(
    stack: Stack, policies: Sequence[_Rules], left_out: list[str]
) -> Iterator[Object]:
    """Yield what Alertmanager is given, with placeholders for credentials."""
    routing = [RoutingPolicy(p.document.namespace, p.document.name, p.spec) for p in policies]
    built = build_notifications(stack, routing)
    if built is None:
        return
    secret, notifications = built
    yield secret
    for part in notifications.left_out:
        owner = f"AlertPolicy {part.policy}" if part.policy else f"MonitoringStack {stack.name}"
        left_out.append(f"{owner}: {part.path}: {part.reason}: {part.message}")

"""The RetentionPolicies among the files: which a stack follows, and why others are not followed."""

from collections.abc import Iterator, Mapping, Sequence

from firewatch.api.conditions import Finding
from firewatch.api.resource import Object
from firewatch.api.retention import RetentionPolicySpec
from firewatch.build.objects import Stack
from firewatch.build.retention import RetentionInForce
from firewatch.reconcile.retention_choice import (
    choose_retention,
    conflict,
    find_unfit,
    policies_of,
    wanted_stack,
)
from firewatch.reconcile.stackref import resolve_stack
from firewatch.reconcile.volumes import smallest_capacity
from firewatch.runbook.documents import Document

Stacks = Mapping[tuple[str, str], Stack]
"""By namespace and name."""


def render_retention(
    stack: Stack, stacks: Stacks, documents: Sequence[Document]
) -> RetentionInForce | None:
    """Return what the stack's Prometheus would keep; None if it has none.

    The stack counts as new: nothing has been in force before.
    """
    if stack.spec.metrics is None:
        return None
    found = _policies_of(stack, stacks, documents)
    return choose_retention(
        stack.spec.metrics.retention, found, None, volume=smallest_capacity(stack, [])
    )


def find_unfollowed(stacks: Stacks, documents: Sequence[Document]) -> Iterator[str]:
    """Yield one line for each policy that no stack would follow."""
    for document in filter(_is_policy, documents):
        if finding := _find_unfollowed(document, stacks, documents):
            yield f"{document.where}: RetentionPolicy {document.name}: {finding.message}"


def _find_unfollowed(
    document: Document, stacks: Stacks, documents: Sequence[Document]
) -> Finding | None:
    found = resolve_stack(wanted_stack(document.raw), _names(stacks, document.namespace))
    if isinstance(found, Finding):
        return found
    stack = stacks[document.namespace, found]
    others = [p["metadata"]["name"] for p in _policies_of(stack, stacks, documents)]
    others.remove(document.name)
    if others:
        return conflict(found, others)
    assert isinstance(document.spec, RetentionPolicySpec)
    return find_unfit(document.spec, stack, smallest_capacity(stack, []))


def _policies_of(stack: Stack, stacks: Stacks, documents: Sequence[Document]) -> list[Object]:
    policies = [d.raw for d in documents if _is_policy(d) and d.namespace == stack.namespace]
    return policies_of(stack.name, policies, _names(stacks, stack.namespace))


def _is_policy(document: Document) -> bool:
    return isinstance(document.spec, RetentionPolicySpec)


def _names(stacks: Stacks, namespace: str) -> list[str]:
    return [name for space, name in stacks if space == namespace]

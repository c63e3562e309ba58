"""Which RetentionPolicy a stack follows (pure)."""

from collections.abc import Collection, Sequence

from pydantic import ValidationError

from firewatch.api.conditions import Finding, bad
from firewatch.api.metrics import Retention
from firewatch.api.resource import Object
from firewatch.api.retention import RetentionPolicySpec
from firewatch.api.stack import StackRetention
from firewatch.build.objects import Stack
from firewatch.build.retention import RetentionInForce, own_retention, policy_retention
from firewatch.reconcile.findings import ACCEPTED
from firewatch.reconcile.stackref import resolve_stack


def policies_of(stack: str, policies: Sequence[Object], stacks: Collection[str]) -> list[Object]:
    """Return the policies that are about a stack, by name."""
    found = [
        policy
        for policy in policies
        if "deletionTimestamp" not in policy["metadata"]
        and resolve_stack(wanted_stack(policy), stacks) == stack
    ]
    return sorted(found, key=lambda policy: str(policy["metadata"]["name"]))


def wanted_stack(policy: Object) -> str | None:
    """Return the stack that a policy names."""
    reference = policy.get("spec", {}).get("stackRef") or {}
    name: str | None = reference.get("name")
    return name


def choose_retention(
    own: Retention,
    policies: Sequence[Object],
    before: StackRetention | None,
    *,
    volume: int | None,
) -> RetentionInForce:
    """Return what Prometheus keeps.

    While two policies are about one stack, what was in force stays: a second policy that is applied
    by mistake must not delete samples.
    """
    if len(policies) > 1:
        if before is None:
            return own_retention(own)
        return RetentionInForce(before.time, before.size, before.policy)
    for policy in policies:
        spec = parse_policy(policy)
        if isinstance(spec, RetentionPolicySpec) and spec.metrics:
            name = policy["metadata"]["name"]
            return policy_retention(own, spec.metrics, policy=name, volume=volume)
    return own_retention(own)


def parse_policy(live: Object) -> RetentionPolicySpec | ValidationError:
    """Return the spec of a policy, or what is wrong with it."""
    try:
        return RetentionPolicySpec.model_validate(live.get("spec", {}))
    except ValidationError as error:
        return error


def conflict(stack: str, others: Sequence[str]) -> Finding:
    """Return that a stack has other policies as well, given their names."""
    return bad(
        ACCEPTED,
        "Conflict",
        f"MonitoringStack {stack} has another RetentionPolicy ({', '.join(others)}), so neither is"
        " followed and what was in force stays; delete one of them",
    )


def find_unfit(spec: RetentionPolicySpec, stack: Stack, volume: int | None) -> Finding | None:
    """Return why a stack cannot follow a policy, if it cannot.

    ``volume`` is the size of Prometheus' smallest volume in bytes, None if it has none.
    """
    if stack.spec.metrics is None or spec.metrics is None:
        return bad(
            ACCEPTED,
            "NoMetrics",
            f"MonitoringStack {stack.name} has no metrics; add spec.metrics to it",
        )
    if volume is None and spec.metrics.percentage:
        return bad(
            ACCEPTED,
            "NoVolume",
            f"spec.metrics.percentage: MonitoringStack {stack.name} has no volume to take a share"
            " of; add spec.metrics.storage to it, or set size",
        )
    return None

"""Which RetentionPolicy a stack follows (pure)."""

from collections.abc import Collection, Sequence

from pydantic import ValidationError

from firewatch.api.metrics import Retention
from firewatch.api.resource import Object
from firewatch.api.retention import RetentionPolicySpec
from firewatch.api.stack import StackRetention
from firewatch.build.retention import RetentionInForce, own_retention, policy_retention
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

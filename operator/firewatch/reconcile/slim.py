"""The form in which thousands of policies are held during a pass (pure)."""

import json
from collections.abc import Hashable

from firewatch.api.resource import Object


class Slimmer:
    """Takes from policies what a pass does not look at, and holds once what many have alike.

    Without their rule groups two thirds of policies are conditions, nearly all of them the same.
    """

    def __init__(self) -> None:
        self._conditions: dict[tuple[tuple[str, Hashable], ...], Object] = {}

    def slim(self, policy: Object) -> Object:
        """Return a policy without its rule groups; it may share parts with others."""
        return self.share(without_groups(policy))

    def share(self, policy: Object) -> Object:
        """Return a policy whose conditions are those of an earlier one, as far as they are equal."""
        status = policy.get("status", {})
        if not (conditions := status.get("conditions")):
            return policy
        shared = [self._conditions.setdefault((*each.items(),), each) for each in conditions]
        return {**policy, "status": {**status, "conditions": shared}}


def without_groups(policy: Object) -> Object:
    """Return a policy without its rule groups, which are most of it."""
    if "groups" not in policy.get("spec", {}):
        return policy
    rest = {key: value for key, value in policy["spec"].items() if key != "groups"}
    return {**policy, "spec": rest}


def pack_groups(policy: Object) -> bytes:
    """Return the rule groups of a policy as text, which takes a third of what they take as data."""
    return json.dumps(policy.get("spec", {}).get("groups"), ensure_ascii=False).encode()


def unpack_groups(policy: Object, packed: bytes) -> Object:
    """Return a policy with the rule groups that were packed."""
    groups = json.loads(packed)
    return policy if groups is None else {**policy, "spec": {**policy["spec"], "groups": groups}}

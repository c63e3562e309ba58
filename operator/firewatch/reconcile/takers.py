"""Which MonitoringStack takes a policy, among those of all namespaces (pure)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from firewatch.api.conditions import Finding, bad
from firewatch.api.resource import Key, Object
from firewatch.build import names
from firewatch.reconcile.context import RULES
from firewatch.reconcile.findings import ACCEPTED

EVERY_NAMESPACE = "*"


@dataclass(frozen=True)
class Taker:
    """A MonitoringStack, and whose policies it takes."""

    key: Key
    """The key of its rules."""
    live: Object = field(compare=False)
    others: frozenset[str] = frozenset()
    """Other namespaces whose policies it takes, perhaps ``*``."""
    labels: frozenset[tuple[str, str]] = frozenset()
    """Labels that those policies must have."""

    def reads(self, namespace: str) -> bool:
        """Tell whether it takes policies of the namespace at all."""
        own = namespace == self.key.namespace
        return own or bool(self.others & {namespace, EVERY_NAMESPACE})

    def takes(self, policy: Object) -> bool:
        """Tell whether it may run the policy."""
        metadata = policy["metadata"]
        if metadata["namespace"] == self.key.namespace:
            return True
        labels = metadata.get("labels") or {}
        return self.reads(metadata["namespace"]) and self.labels <= labels.items()

    def title(self, namespace: str) -> str:
        """Return what the stack is called in the status of a policy of the namespace."""
        return names.stack_title(self.key.namespace, self.key.name, namespace)


def parse_taker(live: Object) -> Taker:
    """Return a live MonitoringStack as a taker of policies."""
    metadata = live["metadata"]
    selection = live.get("spec", {}).get("policies") or {}
    labels = (selection.get("selector") or {}).get("matchLabels") or {}
    return Taker(
        Key(RULES, metadata["namespace"], metadata["name"]),
        live,
        frozenset(selection.get("namespaces") or ()),
        frozenset(labels.items()),
    )


def resolve_taker(policy: Object, takers: Sequence[Taker]) -> Taker | Finding:
    """Return the stack that is to run a policy, or why there is none.

    A stack of another namespace has to be named: whoever runs a policy is given the credentials of its
    receivers, and anybody may write a stack that takes the policies of all namespaces.
    """
    namespace = policy["metadata"]["namespace"]
    reference = policy.get("spec", {}).get("stackRef")
    if reference:
        return _named(policy, reference, takers)
    found = [taker for taker in takers if taker.key.namespace == namespace]
    if len(found) == 1:
        return found[0]
    if not found:
        return bad(
            ACCEPTED,
            "NoStack",
            "there is no MonitoringStack in this namespace; create one, or name one of another"
            " namespace that takes this policy in spec.stackRef",
        )
    return _ambiguous([taker.title(namespace) for taker in found])


def _named(
    policy: Object, reference: Mapping[str, str], takers: Sequence[Taker]
) -> Taker | Finding:
    own = policy["metadata"]["namespace"]
    name, namespace = reference["name"], reference.get("namespace", own)
    for taker in takers:
        if (taker.key.namespace, taker.key.name) == (namespace, name) and taker.takes(policy):
            return taker
    if namespace == own:
        return bad(
            ACCEPTED,
            "StackNotFound",
            f"there is no MonitoringStack {name} in this namespace; create it or correct"
            " spec.stackRef",
        )
    return bad(
        ACCEPTED,
        "StackNotFound",
        f"no MonitoringStack {name} in namespace {namespace} takes this policy; correct"
        " spec.stackRef, or add this namespace to the stack's spec.policies.namespaces (and see its"
        " spec.policies.selector)",
    )


def _ambiguous(titles: Collection[str]) -> Finding:
    return bad(
        ACCEPTED,
        "AmbiguousStack",
        f"{len(titles)} MonitoringStacks could run this policy ({', '.join(sorted(titles))}); name"
        " one in spec.stackRef",
    )

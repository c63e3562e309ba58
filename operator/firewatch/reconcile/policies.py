"""Which policies a stack has, and telling the stacks when that changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firewatch.api.conditions import Finding
from firewatch.api.resource import Object
from firewatch.build.objects import Stack
from firewatch.cluster.client import Cluster
from firewatch.cluster.kinds import ALERT_POLICY, MONITORING_STACK
from firewatch.reconcile.delivery import LiveSlots
from firewatch.reconcile.servers import Servers
from firewatch.reconcile.stackref import resolve_stack


@dataclass(frozen=True)
class Policies:
    """The policies of a namespace, by the stack that they belong to."""

    of_stack: Mapping[str, Sequence[Object]]
    """Policies by stack; every stack is there."""
    stacks: Mapping[str, Object]
    homeless: Sequence[tuple[Object, Finding]]
    """Policies without a stack, and why."""

    def of(self, stack: str) -> tuple[Object, Sequence[Object]] | None:
        """Return a stack with its policies, or None if it is not there."""
        if stack not in self.stacks:
            return None
        return self.stacks[stack], self.of_stack[stack]


@dataclass(frozen=True)
class Scene:
    """Everything that a pass over the rules of a stack has read."""

    live: Object
    """The MonitoringStack."""
    stack: Stack
    policies: dict[str, Object]
    """By uid; replaced by their newer forms as they are reported to."""
    servers: Servers
    slots: LiveSlots


async def gather_policies(cluster: Cluster, namespace: str) -> Policies:
    """Read the policies and the stacks of a namespace."""
    stacks = {
        live["metadata"]["name"]: live
        for live in await cluster.list(MONITORING_STACK, namespace)
        if "deletionTimestamp" not in live["metadata"]
    }
    of_stack: dict[str, list[Object]] = {name: [] for name in stacks}
    homeless: list[tuple[Object, Finding]] = []
    for policy in await cluster.list(ALERT_POLICY, namespace):
        if "deletionTimestamp" in policy["metadata"]:
            continue
        found = resolve_stack(_wanted_stack(policy), stacks)
        if isinstance(found, Finding):
            homeless.append((policy, found))
        else:
            of_stack[found].append(policy)
    return Policies(of_stack, stacks, homeless)


def _wanted_stack(policy: Object) -> str | None:
    reference = policy.get("spec", {}).get("stackRef") or {}
    name: str | None = reference.get("name")
    return name


def fingerprint(stack: Object, policies: Sequence[Object]) -> int:
    """Return a number that differs when the spec of the stack or of any policy does."""
    return hash(frozenset(_form(live) for live in (stack, *policies)))


def _form(live: Object) -> tuple[str, int]:
    metadata = live["metadata"]
    return (metadata["uid"], metadata["generation"])
